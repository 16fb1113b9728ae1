//! Who answers which number.

use std::collections::HashMap;

/// A line of `sip.numbers` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumbersFault {
    #[error("'{0}' is no number with a persona, as in \"5000=porter\"")]
    Form(String),
    #[error("{0} stands there twice")]
    Twice(String),
}

/// Numbers and who answers them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialled {
    numbers: HashMap<String, String>,
    /// Whoever answers what nobody else does.
    rest: Option<String>,
}

impl Dialled {
    /// # Errors
    /// The first line that is none.
    pub fn read(lines: &[String]) -> Result<Self, NumbersFault> {
        let mut read = Self::default();
        for line in lines {
            let (number, persona) = line
                .split_once('=')
                .map(|(number, persona)| (number.trim(), persona.trim()))
                .filter(|(number, persona)| !number.is_empty() && !persona.is_empty())
                .ok_or_else(|| NumbersFault::Form(line.clone()))?;
            let before = if number == "*" {
                read.rest.replace(persona.to_owned())
            } else {
                read.numbers.insert(number.to_owned(), persona.to_owned())
            };
            if before.is_some() {
                return Err(NumbersFault::Twice(number.to_owned()));
            }
        }
        Ok(read)
    }

    /// Everybody who is named.
    pub fn personas(&self) -> impl Iterator<Item = &str> {
        self.numbers.values().chain(&self.rest).map(String::as_str)
    }

    /// The persona that answers this number: its own, then one of that name, then whoever answers the rest. Whether there is such a
    /// persona is for others to say; nobody dialled is nobody asked for.
    pub fn who<'a>(&'a self, dialled: &'a str, known: impl Fn(&str) -> bool) -> &'a str {
        match self.numbers.get(dialled) {
            Some(persona) => persona,
            None if known(dialled) => dialled,
            None => self.rest.as_deref().unwrap_or(dialled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Dialled, NumbersFault> {
        Dialled::read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_number_a_name_and_the_rest() {
        let dialled = read(&["5000=porter", "+49 30 1234 = night"]).unwrap();
        let known = |name: &str| name == "tutor";
        assert_eq!(dialled.who("5000", known), "porter");
        assert_eq!(dialled.who("+49 30 1234", known), "night");
        assert_eq!(dialled.who("tutor", known), "tutor");
        assert_eq!(dialled.who("nobody", known), "nobody");
        let all = read(&["*=porter", "tutor=night"]).unwrap();
        assert_eq!(all.who("nobody", known), "porter");
        assert_eq!(all.who("tutor", known), "night", "a number is more than a name");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(read(&["5000"]), Err(NumbersFault::Form("5000".into())));
        assert_eq!(read(&["=porter"]), Err(NumbersFault::Form("=porter".into())));
        assert_eq!(read(&["1=a", "1=b"]), Err(NumbersFault::Twice("1".into())));
    }
}
