//! The values of the configuration that are more than a number: choices, addresses, models, secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use duologue_signaling::event::Event;
use toml::de::DeValue;

use super::knob::{Knob, quoted};

/// A closed list of words.
macro_rules! choice {
    ( $(#[doc = $about:literal])+ pub enum $name:ident { $( $variant:ident = $word:literal, )+ } ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $variant, )+ }

        impl $name {
            /// As it stands in the file.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl Knob for $name {
            type Limit = ();

            fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
                match value.as_str()? { $( $word => Some(Self::$variant), )+ _ => None }
            }

            fn allowed((): &()) -> String {
                [$( concat!("\"", $word, "\"") ),+].join(" or ")
            }

            fn toml(&self) -> Option<String> {
                Some(quoted(self.as_str()))
            }
        }
    };
}

choice! {
    /// Who recognises.
    pub enum AsrBackend { Whisper = "whisper", Scripted = "scripted", }
}

choice! {
    /// When the agent's own voice is taken out of what is heard.
    pub enum EchoCancelling { Auto = "auto", On = "on", Off = "off", }
}

choice! {
    /// What is spoken with telephones.
    pub enum SpokenCodec { Opus = "opus", G722 = "G722", Pcma = "PCMA", Pcmu = "PCMU", }
}

choice! {
    /// How a telephone proves its password (RFC 8760).
    pub enum SipDigest { Sha256 = "SHA-256", Md5 = "MD5", }
}

choice! {
    /// What hears whether a turn is complete.
    pub enum TurnKind { SmartTurn = "smart-turn", None = "none", }
}

choice! {
    /// What chooses the action.
    pub enum JudgeKind { Rules = "rules", Tuned = "tuned", Llm = "llm", }
}

choice! {
    /// Who finds facts in what callers say.
    pub enum Extractor { Rules = "rules", Llm = "llm", }
}

choice! {
    /// Who writes the replies.
    pub enum LlmBackend { Embedded = "embedded", Ollama = "ollama", Openai = "openai", Scripted = "scripted", }
}

choice! {
    /// How a chat is put to the embedded model.
    pub enum LlmLayout { Auto = "auto", Chat = "chat", Transcript = "transcript", }
}

choice! {
    /// Who speaks.
    pub enum TtsBackend { Piper = "piper", Scripted = "scripted", }
}

choice! {
    /// Which calls leave an input journal.
    pub enum KeepJournals { Recorded = "recorded", Off = "off", }
}

choice! {
    /// Who is asked about the web.
    pub enum SearchKind { None = "none", Searxng = "searxng", Serper = "serper", }
}

choice! {
    /// Whether calls are recorded, and how the caller is told.
    pub enum RecordCalls { Tone = "tone", Announced = "announced", Silent = "silent", Off = "off", }
}

choice! {
    /// What becomes of a caller whom somebody else has hung up on.
    pub enum HumanLeaves { End = "end", Agent = "agent", }
}

choice! {
    /// How log lines look.
    pub enum LogFormat { Text = "text", Json = "json", }
}

/// A model, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelRef {
    /// Chosen by the machine.
    Auto,
    /// A name: of the manifest, or of a model server.
    Id(String),
    /// A file of the user's own.
    Path(PathBuf),
    /// A file to be fetched.
    Url(String),
}

impl ModelRef {
    /// `whisper-base`, `./my.gguf`, `https://...`: an address has a scheme; a path begins with `.`, `/` or `~/`, or
    /// ends like a model file. A slash alone makes no path: model servers have names such as `meta/llama`.
    pub fn from_text(text: &str) -> Self {
        let ends = [".gguf", ".bin", ".onnx", ".yaml"];
        if text == "auto" {
            Self::Auto
        } else if text.starts_with("https://") || text.starts_with("http://") {
            Self::Url(text.to_owned())
        } else if text.starts_with(['.', '/']) || text.starts_with("~/") || ends.iter().any(|end| text.ends_with(end)) {
            Self::Path(home_expanded(text))
        } else {
            Self::Id(text.to_owned())
        }
    }

    /// This, with `auto` put in place of [`ModelRef::Auto`].
    pub fn or_auto(&self, auto: &str) -> Self {
        if *self == Self::Auto { Self::Id(auto.to_owned()) } else { self.clone() }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => out.write_str("auto"),
            Self::Id(text) | Self::Url(text) => out.write_str(text),
            Self::Path(path) => write!(out, "{}", path.display()),
        }
    }
}

impl Knob for ModelRef {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        value.as_str().filter(|text| (1..=1_000).contains(&text.len()) && text.trim() == *text).map(Self::from_text)
    }

    fn allowed((): &()) -> String {
        "a model's id, path or URL".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// `~/` becomes the home folder, where there is one.
pub(super) fn home_expanded(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

/// The address of an HTTP server, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// As it was written, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Knob for HttpUrl {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        let text = value.as_str()?;
        let url = reqwest::Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host())
            .then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    fn allowed((): &()) -> String {
        "an http:// or https:// address".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

/// A site whose pages may call the server: scheme, host and port, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// As a browser sends it in its `Origin` header; or `*`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Knob for Origin {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        let text = value.as_str()?;
        let is_origin = |url: reqwest::Url| url.origin().is_tuple() && url.origin().ascii_serialization() == text;
        (text == "*" || reqwest::Url::parse(text).is_ok_and(is_origin)).then(|| Self(text.to_owned()))
    }

    fn allowed((): &()) -> String {
        "origins as in \"https://app.example.org\" (no path, no slash at the end), or \"*\"".into()
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

/// An event that can be sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName(&'static str);

impl EventName {
    /// What a program that keeps books of calls needs.
    pub(super) fn usual() -> Vec<Self> {
        ["call-started", "transcript", "turn-ended", "trouble", "call-ended"].map(Self).to_vec()
    }

    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// `words` comes several times a second and is no row; `turn-ended` has all of them.
    fn all() -> impl Iterator<Item = &'static str> {
        Event::NAMES.into_iter().filter(|name| *name != "words")
    }
}

impl Knob for EventName {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        let text = value.as_str()?;
        Self::all().find(|name| *name == text).map(Self)
    }

    fn allowed((): &()) -> String {
        format!("names of events: {}", Self::all().collect::<Vec<_>>().join(", "))
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self.0))
    }
}

/// A key that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether this is the key, found out in a time that does not tell how much of it was right.
    pub fn is(&self, shown: &[u8]) -> bool {
        let key = self.0.as_bytes();
        shown.len() == key.len() && shown.iter().zip(key).fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
    }

    pub(super) fn from_env(key: &'static str, name: &str) -> Result<Self, SecretError> {
        let value = std::env::var(name).unwrap_or_default();
        let trimmed = value.trim();
        if trimmed.is_empty() {
            Err(SecretError::NotInEnvironment { key, name: name.to_owned() })
        } else {
            Ok(Self(trimmed.to_owned()))
        }
    }

    pub(super) fn from_file(key: &'static str, path: &Path) -> Result<Self, SecretError> {
        let refuse = |why: String| SecretError::NotInFile { key, path: path.to_path_buf(), why };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        let trimmed = text.trim();
        if trimmed.is_empty() { Err(refuse("it is empty".into())) } else { Ok(Self(trimmed.to_owned())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(...)")
    }
}

/// Why a secret is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{key} names the environment variable {name}, which is not set: set it{}", file_form(key))]
    NotInEnvironment { key: &'static str, name: String },
    #[error("{key} names {}, which gives no key: {why}", path.display())]
    NotInFile { key: &'static str, path: PathBuf, why: String },
    #[error("the key of {key} has {found} characters, and {least} are the least: `openssl rand -hex 32` makes one")]
    TooShort { key: &'static str, found: usize, least: usize },
    #[error("recording.store cannot be used: {0}; look at store_endpoint and store_region")]
    NoStore(String),
}

/// The other way out, where a key has one.
fn file_form(key: &str) -> String {
    if key.starts_with("recording.store_") { String::new() } else { format!(", or use {key}'s file form") }
}
