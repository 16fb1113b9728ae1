//! SearXNG, on this machine or another: `GET /search?q=...&format=json`.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::http::Asking;
use super::{SearchFault, SearchProvider, page};
use crate::knowledge::Passage;

pub(super) const NAME: &str = "searxng";
/// It has JSON switched off until its operator wants it.
const WAY_OUT: &str = "list json under search.formats in its settings.yml, or lift its limiter for this machine";

/// An instance.
#[derive(Clone, Debug)]
pub struct SearxNg(Asking);

#[derive(Deserialize)]
struct Answer {
    results: Vec<Hit>,
    /// Each a name and what went wrong there.
    #[serde(default)]
    unresponsive_engines: Vec<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(default)]
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    score: Option<f32>,
}

impl SearxNg {
    /// # Errors
    /// When `url` is no address.
    pub fn new(url: &str, patience: Duration) -> Result<Self, SearchFault> {
        Asking::new(NAME, &format!("{}/search", url.trim_end_matches('/')), patience, WAY_OUT).map(Self)
    }
}

#[async_trait]
impl SearchProvider for SearxNg {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &str, most: usize) -> Result<Vec<Passage>, SearchFault> {
        let mut url = self.0.url.clone();
        url.query_pairs_mut().append_pair("q", query).append_pair("format", "json").append_pair("safesearch", "1");
        let answer: Answer = self.0.ask(self.0.client.get(url)).await?;
        let told = |hit: &Hit| {
            let text = hit.content.as_deref().unwrap_or_default();
            page(&hit.url, hit.title.as_deref().unwrap_or_default(), text, hit.score.unwrap_or_default())
        };
        if answer.results.is_empty() && !answer.unresponsive_engines.is_empty() {
            // It says 200 and finds nothing where nobody could be asked; to the caller the difference matters.
            return Err(SearchFault::Deaf { provider: NAME, engines: engines(&answer.unresponsive_engines) });
        }
        Ok(answer.results.iter().filter_map(told).take(most).collect())
    }
}

/// `google (timeout), bing (access denied)`.
fn engines(silent: &[Vec<serde_json::Value>]) -> String {
    let words = |engine: &[serde_json::Value]| {
        let mut words = engine.iter().filter_map(serde_json::Value::as_str);
        let name = words.next().unwrap_or("one without a name").to_owned();
        words.next().map_or(name.clone(), |why| format!("{name} ({why})"))
    };
    silent.iter().take(8).map(|engine| words(engine)).collect::<Vec<_>>().join(", ")
}
