//! Ollama's API as JSON: what may be asked, and the lines that are answered.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    #[serde(default)]
    pub content: String,
}

/// The body of `POST /api/chat`. Fields of newer clients that are not named here are ignored, as Ollama does.
#[derive(Debug, Deserialize)]
pub struct ChatBody {
    pub model: String,
    #[serde(default)]
    pub messages: Vec<Message>,
    #[serde(default = "yes")]
    pub stream: bool,
    #[serde(default)]
    pub format: Option<Value>,
    #[serde(default)]
    pub options: RawOptions,
    /// Ours, not Ollama's: a beginning of chats that stays in the cache. Only where no token is to be made.
    #[serde(default)]
    pub keep: bool,
}

const fn yes() -> bool {
    true
}

/// Ollama's option names; unknown ones are ignored.
#[derive(Debug, Default, Deserialize)]
pub struct RawOptions {
    num_predict: Option<i64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    repeat_penalty: Option<f32>,
    seed: Option<i64>,
    stop: Option<Stops>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stops {
    One(String),
    Many(Vec<String>),
}

/// What shape an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Json,
    /// A JSON Schema.
    Schema(Map<String, Value>),
}

/// Checked options.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The longest reply in tokens; 0 only fills the prefix cache, `None` goes on to the end of the context.
    pub num_predict: Option<u32>,
    /// 0.0 always takes the likeliest token.
    pub temperature: f32,
    pub top_p: f32,
    /// 0: all tokens.
    pub top_k: i32,
    pub repeat_penalty: f32,
    pub seed: u32,
    pub stop: Vec<String>,
}

/// One checked request to the engine.
#[derive(Debug, Clone)]
pub struct Ask {
    pub messages: Vec<Message>,
    pub options: Options,
    pub format: Option<Format>,
    /// Stays in the cache.
    pub keep: bool,
}

const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];
/// More than anybody needs; each is looked for in every piece of text.
const MOST_STOPS: usize = 16;

impl ChatBody {
    /// Checks what can be checked without the model.
    ///
    /// # Errors
    /// A sentence that names the field and its range.
    pub fn check(self) -> Result<Ask, String> {
        if let Some(message) = self.messages.iter().find(|message| !ROLES.contains(&message.role.as_str())) {
            return Err(format!("messages: unknown role '{}' (system, user, assistant, tool)", message.role));
        }
        let options = self.options.check()?;
        if self.keep && options.num_predict != Some(0) {
            return Err("keep: only with num_predict 0, for what is kept is a beginning".into());
        }
        Ok(Ask { messages: self.messages, options, format: format(self.format)?, keep: self.keep })
    }
}

impl RawOptions {
    fn check(self) -> Result<Options, String> {
        let stop = match self.stop {
            None => vec![],
            Some(Stops::One(stop)) => vec![stop],
            Some(Stops::Many(stops)) => stops,
        };
        if stop.len() > MOST_STOPS {
            return Err(format!("options.stop: at most {MOST_STOPS} strings"));
        }
        let num_predict = match self.num_predict {
            None => None,
            Some(n) if n < 0 => None,
            Some(n) => Some(u32::try_from(n).map_err(|_| format!("options.num_predict: {n} is too large"))?),
        };
        // Ollama's defaults, but for the seed: the same question gets the same answer unless a seed is asked for.
        Ok(Options {
            num_predict,
            temperature: within("temperature", self.temperature.unwrap_or(0.8), 0.0, 5.0)?,
            top_p: within("top_p", self.top_p.unwrap_or(0.9), 0.0, 1.0)?,
            top_k: self.top_k.unwrap_or(40).clamp(0, i64::from(i32::MAX)) as i32,
            repeat_penalty: within("repeat_penalty", self.repeat_penalty.unwrap_or(1.1), 0.1, 10.0)?,
            seed: self.seed.unwrap_or(0) as u32,
            stop,
        })
    }
}

fn within(name: &str, value: f32, low: f32, high: f32) -> Result<f32, String> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(format!("options.{name}: {value} is not in {low}..={high}"))
    }
}

fn format(format: Option<Value>) -> Result<Option<Format>, String> {
    match format {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) if name.is_empty() => Ok(None),
        Some(Value::String(name)) if name == "json" => Ok(Some(Format::Json)),
        Some(Value::Object(schema)) => Ok(Some(Format::Schema(schema))),
        Some(_) => Err("format: neither \"json\" nor a JSON schema".into()),
    }
}

/// Why a reply ended, in Ollama's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoneReason {
    Stop,
    Length,
    /// Nothing was asked: the model is there.
    Load,
}

/// What is told at the end of a reply; durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub reason: DoneReason,
    pub total_ns: u64,
    pub prompt_tokens: u64,
    /// Tokens of the prompt that were in the cache already.
    pub cached_tokens: u64,
    pub prompt_ns: u64,
    pub reply_tokens: u64,
    pub reply_ns: u64,
}

impl Outcome {
    /// The answer to a chat without messages.
    pub const LOADED: Self = Self {
        reason: DoneReason::Load,
        total_ns: 0,
        prompt_tokens: 0,
        cached_tokens: 0,
        prompt_ns: 0,
        reply_tokens: 0,
        reply_ns: 0,
    };
}

/// A line with a piece of the reply.
pub fn piece_line(model: &str, text: &str) -> Value {
    json!({
        "model": model, "created_at": now(), "message": { "role": "assistant", "content": text }, "done": false,
    })
}

/// The last line, or the whole answer where no stream was asked for.
pub fn done_line(model: &str, text: &str, outcome: &Outcome) -> Value {
    let reason = match outcome.reason {
        DoneReason::Stop => "stop",
        DoneReason::Length => "length",
        DoneReason::Load => "load",
    };
    json!({
        "model": model, "created_at": now(), "message": { "role": "assistant", "content": text }, "done": true,
        "done_reason": reason, "total_duration": outcome.total_ns, "load_duration": 0,
        "prompt_eval_count": outcome.prompt_tokens, "prompt_eval_cached": outcome.cached_tokens,
        "prompt_eval_duration": outcome.prompt_ns, "eval_count": outcome.reply_tokens,
        "eval_duration": outcome.reply_ns,
    })
}

/// The present moment as Ollama writes it.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value) -> Result<Ask, String> {
        serde_json::from_value::<ChatBody>(body).map_err(|fault| fault.to_string())?.check()
    }

    #[test]
    fn options_that_are_not_given_have_ollamas_values() {
        let ask = check(json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] })).expect("valid");
        assert_eq!((ask.options.temperature, ask.options.top_k, ask.options.num_predict), (0.8, 40, None));
    }

    #[test]
    fn a_bad_option_is_named_with_its_range() {
        let fault = check(json!({ "model": "m", "options": { "temperature": -1 } })).expect_err("refused");
        assert_eq!(fault, "options.temperature: -1 is not in 0..=5");
        let fault = check(json!({ "model": "m", "messages": [{ "role": "robot" }] })).expect_err("refused");
        assert!(fault.contains("'robot'"), "{fault}");
        let fault = check(json!({ "model": "m", "format": 7 })).expect_err("refused");
        assert!(fault.starts_with("format"), "{fault}");
    }

    #[test]
    fn a_single_stop_string_is_as_good_as_a_list() {
        let ask = check(json!({ "model": "m", "options": { "stop": "END", "num_predict": -1 } })).expect("valid");
        assert_eq!((ask.options.stop, ask.options.num_predict), (vec!["END".to_owned()], None));
    }
}
