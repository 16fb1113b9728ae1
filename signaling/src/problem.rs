//! Errors over HTTP: problem documents (RFC 9457), with the way out as a member of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The content type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI reference that names the kind of problem; clients branch on it. `about:blank` when the status says all.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The kind in words, the same each time.
    pub title: String,
    /// The HTTP status, repeated here because documents travel.
    pub status: u16,
    /// This occurrence in words: what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// A URI reference of this occurrence: the call it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What to do about it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of a named kind: `code` becomes the type `/problems/{code}` and, in words, the title. `detail` says what
    /// was found, `fix` what to do about it; an empty one is left out.
    pub fn new(status: u16, code: &str, detail: &str, fix: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            kind: format!("/problems/{code}"),
            title: in_words(code),
            status,
            detail: some(detail),
            instance: None,
            fix: some(fix),
        }
    }

    /// Adds what it is about.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }
}

/// `no-such-call` as `No such call`.
fn in_words(code: &str) -> String {
    let words = code.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_with_the_members_of_the_standard() {
        let problem = Problem::new(404, "no-such-call", "call 7 is over", "").instance("/v1/calls/7");
        let json = serde_json::to_value(&problem).expect("plain strings");
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/problems/no-such-call", "title": "No such call", "status": 404,
                "detail": "call 7 is over", "instance": "/v1/calls/7",
            })
        );
    }

    #[test]
    fn a_problem_without_a_type_is_about_blank() {
        let read: Problem = serde_json::from_str(r#"{"title":"Not Found","status":404}"#).expect("valid");
        assert_eq!(read.kind, "about:blank");
        assert_eq!(read.fix, None);
    }
}
