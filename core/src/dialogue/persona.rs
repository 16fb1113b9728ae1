//! Who the agent is: one Markdown file with a YAML head. The head is data for the conversation, the body is the system
//! prompt.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::ladder::Rung;

/// A persona, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Persona {
    /// What the API calls it: lower case letters, digits and `-`.
    pub name: String,
    /// For people.
    pub title: String,
    pub description: String,
    /// The first words of a call; empty waits for the caller.
    pub opening: String,
    /// What is said when the language model fails.
    pub trouble: String,
    /// What is said to a caller who talks without end.
    pub long_turn: String,
    /// What the agent does while nobody speaks.
    pub ladder: Vec<Rung>,
    /// Sampling temperature: 0.0..=2.0.
    pub temperature: f32,
    /// Longest reply in tokens: 8..=512.
    pub max_tokens: u32,
    /// Words that the recogniser may expect.
    pub hotwords: Vec<String>,
    /// Sends the caller's own sound back instead of talking: the measuring rig's own floor.
    pub echo: bool,
    /// The system prompt.
    pub prompt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    opening: String,
    #[serde(default = "default_trouble")]
    trouble: String,
    #[serde(default = "default_long_turn")]
    long_turn: String,
    #[serde(default)]
    ladder: Vec<Rung>,
    #[serde(default = "default_temperature")]
    temperature: f32,
    #[serde(default = "default_max_tokens")]
    max_tokens: u32,
    #[serde(default)]
    hotwords: Vec<String>,
    #[serde(default)]
    echo: bool,
}

fn default_trouble() -> String {
    "Sorry, I lost my thread. Could you say that again?".into()
}

fn default_long_turn() -> String {
    "Let me stop you there for a moment. What can I do for you?".into()
}

const fn default_temperature() -> f32 {
    0.3
}

/// 96 tokens are some 25 seconds of speech, longer than anybody listens to a machine.
const fn default_max_tokens() -> u32 {
    96
}

/// What is wrong with a persona file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonaFault {
    #[error("line 1: a persona begins with a YAML head between two lines of '---'")]
    NoHead,
    #[error("the YAML head does not parse: {0}")]
    Head(String),
    #[error("name: '{0}' should be 1 to 40 lower case letters, digits and '-'")]
    Name(String),
    #[error("{field}: {value} is outside {range}")]
    Range { field: String, value: String, range: String },
    #[error("the body is empty: write the system prompt below the second '---'")]
    NoPrompt,
}

const LADDER_WAIT_MS: RangeInclusive<u64> = 1_000..=600_000;

impl Persona {
    /// Reads a persona file.
    ///
    /// # Errors
    /// All faults of the file at once.
    pub fn parse(file: &str) -> Result<Self, Vec<PersonaFault>> {
        let (head, body) = split(file).ok_or_else(|| vec![PersonaFault::NoHead])?;
        let head: Head = serde_saphyr::from_str(head).map_err(|fault| vec![PersonaFault::Head(fault.to_string())])?;
        let faults = faults_of(&head, body);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            title: if head.title.is_empty() { head.name.clone() } else { head.title },
            name: head.name,
            description: head.description,
            opening: head.opening,
            trouble: head.trouble,
            long_turn: head.long_turn,
            ladder: head.ladder,
            temperature: head.temperature,
            max_tokens: head.max_tokens,
            hotwords: head.hotwords,
            echo: head.echo,
            prompt: body.trim().into(),
        })
    }

    /// A persona with nothing but a name: no opening, no ladder, an empty prompt.
    pub fn blank(name: &str) -> Self {
        Self {
            name: name.into(),
            title: name.into(),
            description: String::new(),
            opening: String::new(),
            trouble: default_trouble(),
            long_turn: default_long_turn(),
            ladder: Vec::new(),
            temperature: default_temperature(),
            max_tokens: default_max_tokens(),
            hotwords: Vec::new(),
            echo: false,
            prompt: String::new(),
        }
    }

    /// What the recogniser is told to expect, if anything.
    pub fn recogniser_prompt(&self) -> Option<String> {
        (!self.hotwords.is_empty()).then(|| self.hotwords.join(", "))
    }
}

/// Head and body.
fn split(file: &str) -> Option<(&str, &str)> {
    let rest = file.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let end = rest.find("\n---")?;
    let body = rest[end + 4..].trim_start_matches(['-', '\r']);
    Some((&rest[..end], body))
}

fn faults_of(head: &Head, body: &str) -> Vec<PersonaFault> {
    let mut faults = Vec::new();
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if head.name.is_empty() || head.name.len() > 40 || !head.name.chars().all(named) {
        faults.push(PersonaFault::Name(head.name.clone()));
    }
    let mut out_of_range =
        |field: String, value: String, range: String| faults.push(PersonaFault::Range { field, value, range });
    if !(0.0..=2.0).contains(&head.temperature) {
        out_of_range("temperature".into(), head.temperature.to_string(), "0.0 to 2.0".into());
    }
    if !(8..=512).contains(&head.max_tokens) {
        out_of_range("max_tokens".into(), head.max_tokens.to_string(), "8 to 512 tokens".into());
    }
    for (i, rung) in head.ladder.iter().enumerate() {
        if !LADDER_WAIT_MS.contains(&rung.after_ms) {
            out_of_range(format!("ladder[{i}].after_ms"), rung.after_ms.to_string(), "1,000 to 600,000 ms".into());
        }
    }
    if body.trim().is_empty() && !head.echo {
        faults.push(PersonaFault::NoPrompt);
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTER: &str = "---\nname: porter\nopening: Good evening.\nladder:\n  - after_ms: 9000\n    say: Still there?\n---\n\nYou are a porter.\n";

    #[test]
    fn a_persona_is_its_head_and_its_prompt() {
        let persona = Persona::parse(PORTER).unwrap();
        assert_eq!(persona.name, "porter");
        assert_eq!(persona.opening, "Good evening.");
        assert_eq!(persona.ladder[0].after_ms, 9_000);
        assert_eq!(persona.prompt, "You are a porter.");
    }

    #[test]
    fn faults_are_named_all_at_once() {
        let file = "---\nname: The Porter\nmax_tokens: 2\nladder:\n  - after_ms: 5\n    say: hm\n---\n";
        let faults = Persona::parse(file).unwrap_err();
        let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for part in ["'The Porter'", "max_tokens: 2", "ladder[0].after_ms: 5", "system prompt"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let faults = Persona::parse("---\nname: a\nvoise: joe\n---\nprompt").unwrap_err();
        assert!(faults[0].to_string().contains("voise"), "{}", faults[0]);
    }

    #[test]
    fn a_file_without_a_head_says_so() {
        assert_eq!(Persona::parse("You are a porter."), Err(vec![PersonaFault::NoHead]));
    }
}
