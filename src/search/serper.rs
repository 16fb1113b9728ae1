//! Serper: Google's results for a key. `POST /search` with `X-API-KEY`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::http::Asking;
use super::{SearchFault, SearchProvider, page};
use crate::knowledge::Passage;

pub(super) const NAME: &str = "serper";
pub(super) const URL: &str = "https://google.serper.dev";
const WAY_OUT: &str = "look at the key that search.key_env or search.key_file names, and at what is left of its credit";

/// An account.
#[derive(Clone)]
pub struct Serper {
    asking: Asking,
    key: HeaderValue,
}

impl fmt::Debug for Serper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Serper({})", self.asking.url)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    answer_box: Option<AnswerBox>,
    #[serde(default)]
    organic: Vec<Hit>,
}

/// What Google answers itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AnswerBox {
    title: Option<String>,
    answer: Option<String>,
    snippet: Option<String>,
    link: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hit {
    title: String,
    link: String,
    snippet: String,
}

impl Serper {
    /// # Errors
    /// When `url` is no address, or the key cannot stand in a header.
    pub fn new(url: &str, key: &str, patience: Duration) -> Result<Self, SearchFault> {
        let asking = Asking::new(NAME, &format!("{}/search", url.trim_end_matches('/')), patience, WAY_OUT)?;
        let refused = || SearchFault::Refused { provider: NAME, status: 0, way_out: WAY_OUT };
        let mut key = HeaderValue::from_str(key).map_err(|_| refused())?;
        key.set_sensitive(true);
        Ok(Self { asking, key })
    }
}

#[async_trait]
impl SearchProvider for Serper {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &str, most: usize) -> Result<Vec<Passage>, SearchFault> {
        let request = self.asking.client.post(self.asking.url.clone());
        let request = request
            .header(HeaderName::from_static("x-api-key"), self.key.clone())
            .json(&json!({"q": query, "num": most}));
        let answer: Answer = self.asking.ask(request).await?;
        let own = answer.answer_box.unwrap_or_default();
        let text = own.answer.or(own.snippet).unwrap_or_default();
        let own = page(&own.link.unwrap_or_default(), &own.title.unwrap_or_default(), &text, f32::MAX);
        // Its order is all that it tells of how well a page fits.
        let rank = |place: usize| 1.0 / (1.0 + place as f32);
        let pages = answer.organic.iter().enumerate();
        let pages = pages.filter_map(|(place, hit)| page(&hit.link, &hit.title, &hit.snippet, rank(place)));
        Ok(own.into_iter().chain(pages).take(most).collect())
    }
}
