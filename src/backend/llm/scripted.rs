//! A model that follows a script: the same words get the same reply at the same pace. For demonstrations, load tests
//! and scenarios, where what is measured or shown must not depend on a model's mood.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde::Deserialize;
use tokio::time::sleep;
use unicode_segmentation::UnicodeSegmentation;

use crate::backend::{ChatRequest, Llm, LlmError, Role};

/// What is said to what, as YAML.
///
/// ```yaml
/// first_token_ms: 120
/// token_ms: 30
/// rules:
///   - hears: [opening hours, when do you open]
///     says: We are open from nine to five.
/// otherwise: I did not catch that.
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Milliseconds before the first token, 0..=60000.
    #[serde(default)]
    pub first_token_ms: u32,
    /// Milliseconds before each further token, 0..=60000.
    #[serde(default)]
    pub token_ms: u32,
    /// Tried in their order; the first that applies is taken.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Said when no rule applies.
    pub otherwise: String,
}

/// One rule of a script.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Applies when the caller's last words contain one of these, case and punctuation left aside.
    pub hears: Vec<String>,
    pub says: String,
    /// Says the first line of what the model is told (persona, what is known of the caller) that has these words; `says` only
    /// where no line has them.
    #[serde(default)]
    pub recites: Option<String>,
    /// The answer where one with structure is asked for.
    #[serde(default)]
    pub answers: Option<serde_json::Value>,
    #[serde(default)]
    pub ends: Ending,
}

/// What happens after a rule's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The reply is complete.
    #[default]
    Complete,
    /// The model breaks off.
    BreaksOff,
    /// Nothing more comes, and no end either.
    Hangs,
}

/// A script that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("the script is not understood: {0}")]
    Unreadable(String),
    #[error("the script's rule {rule} hears nothing that could be said")]
    Deaf { rule: usize },
    #[error("the script's {field} is {ms} ms; at most 60000 are allowed")]
    TooSlow { field: &'static str, ms: u32 },
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When it is no YAML of this form, when a rule could never apply, or when it is slower than any call is long.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_saphyr::from_str(text).map_err(|fault| ScriptError::Unreadable(fault.to_string()))?;
        for (field, ms) in [("first_token_ms", script.first_token_ms), ("token_ms", script.token_ms)] {
            if ms > 60_000 {
                return Err(ScriptError::TooSlow { field, ms });
            }
        }
        match script.rules.iter().position(|rule| rule.hears.iter().all(|heard| words(heard).is_empty())) {
            Some(at) => Err(ScriptError::Deaf { rule: at + 1 }),
            None => Ok(script),
        }
    }

    fn rule_for(&self, said: &str) -> Option<&Rule> {
        let said = format!(" {} ", words(said));
        self.rules.iter().find(|rule| {
            rule.hears
                .iter()
                .map(|heard| words(heard))
                .any(|heard| !heard.is_empty() && said.contains(&format!(" {heard} ")))
        })
    }
}

/// The words of a text, in lower case, one space between them.
fn words(text: &str) -> String {
    text.unicode_words().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The line of the system messages that has these words.
fn told(request: &ChatRequest, sought: &str) -> Option<String> {
    let sought = words(sought);
    let lines = request.messages.iter().filter(|message| message.role == Role::System);
    let mut lines = lines.flat_map(|message| message.content.lines());
    lines.find(|line| words(line).contains(&sought)).map(|line| line.trim_start_matches("- ").to_owned())
}

/// Pieces as a model makes them: a word with the space before it, or a mark.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut space = String::new();
    for piece in text.split_word_bounds() {
        if piece.trim().is_empty() {
            space.push_str(piece);
        } else {
            tokens.push(std::mem::take(&mut space) + piece);
        }
    }
    tokens
}

/// Follows a [`Script`].
#[derive(Clone, Debug)]
pub struct ScriptedLlm {
    script: Script,
}

impl ScriptedLlm {
    /// A model that follows `script`.
    pub const fn new(script: Script) -> Self {
        Self { script }
    }

    fn reply(&self, request: &ChatRequest) -> Result<(Vec<String>, Ending), LlmError> {
        let said = request.messages.iter().rfind(|message| message.role == Role::User);
        let rule = said.and_then(|said| self.script.rule_for(&said.content));
        let ending = rule.map_or(Ending::Complete, |rule| rule.ends);
        let text = match (&request.schema, rule) {
            (None, Some(rule)) => {
                rule.recites.as_ref().and_then(|sought| told(request, sought)).unwrap_or_else(|| rule.says.clone())
            }
            (None, None) => self.script.otherwise.clone(),
            (Some(_), Some(Rule { answers: Some(answer), .. })) => answer.to_string(),
            (Some(_), _) => {
                return Err(LlmError::BrokeOff("the script has no answer with structure to this".into()));
            }
        };
        let tokens = tokens(&text);
        let most = request.max_tokens as usize;
        if tokens.len() > most {
            return Ok((tokens.into_iter().take(most).collect(), Ending::Complete));
        }
        Ok((tokens, ending))
    }
}

#[async_trait]
impl Llm for ScriptedLlm {
    async fn chat(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let (tokens, ending) = self.reply(&request)?;
        let first = Duration::from_millis(self.script.first_token_ms.into());
        let between = Duration::from_millis(self.script.token_ms.into());
        let pieces = stream::iter(tokens.into_iter().enumerate()).then(move |(at, token)| async move {
            sleep(if at == 0 { first } else { between }).await;
            Ok(token)
        });
        Ok(match ending {
            Ending::Complete => pieces.boxed(),
            Ending::BreaksOff => {
                pieces.chain(stream::iter([Err(LlmError::BrokeOff("so it stands in the script".into()))])).boxed()
            }
            Ending::Hangs => pieces.chain(stream::pending()).boxed(),
        })
    }

    async fn prime(&self, _request: ChatRequest) -> Result<(), LlmError> {
        Ok(())
    }

    fn name(&self) -> String {
        format!("scripted, {} rules", self.script.rules.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ChatMessage;

    const SCRIPT: &str = "
first_token_ms: 100
token_ms: 20
rules:
  - hears: [opening hours, Wann]
    says: From nine to five.
  - hears: [crash]
    says: I am
    ends: breaks-off
otherwise: Sorry?
";

    fn ask(said: &str, max_tokens: u32) -> ChatRequest {
        let messages = vec![ChatMessage { role: Role::User, content: said.into() }];
        ChatRequest { messages, max_tokens, temperature: 0.0, schema: None }
    }

    async fn all(said: &str, max_tokens: u32) -> Vec<Result<String, LlmError>> {
        let llm = ScriptedLlm::new(Script::parse(SCRIPT).expect("valid"));
        llm.chat(ask(said, max_tokens)).await.expect("opens").collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_rule_that_applies_is_said_token_by_token_at_its_pace() {
        let began = tokio::time::Instant::now();
        let said: Vec<String> = all("What are your OPENING  hours?", 50).await.into_iter().flatten().collect();
        assert_eq!(said, ["From", " nine", " to", " five", "."]);
        assert_eq!(began.elapsed(), Duration::from_millis(100 + 4 * 20));
    }

    #[tokio::test(start_paused = true)]
    async fn words_are_matched_whole() {
        assert_eq!(all("Wanne", 50).await, [Ok("Sorry".into()), Ok("?".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_ends_at_the_token_cap() {
        assert_eq!(all("Wann?", 2).await, [Ok("From".into()), Ok(" nine".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_may_break_off() {
        let pieces = all("please crash", 50).await;
        assert!(matches!(pieces.last(), Some(Err(LlmError::BrokeOff(_)))), "{pieces:?}");
    }

    #[test]
    fn a_script_that_cannot_be_followed_is_refused_with_the_reason() {
        assert!(matches!(Script::parse("rules: []"), Err(ScriptError::Unreadable(_))));
        let deaf = Script::parse("rules: [{hears: ['?!'], says: a}]\notherwise: b");
        assert_eq!(deaf, Err(ScriptError::Deaf { rule: 1 }));
        let slow = Script::parse("token_ms: 60001\notherwise: b");
        assert_eq!(slow, Err(ScriptError::TooSlow { field: "token_ms", ms: 60_001 }));
    }
}
