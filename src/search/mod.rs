//! Ring 3: asking the web. Two providers, one trait; what they find are passages, quoted like any other text that is not ours.
//! Every fault has a name, and none of them has the key in it.

mod http;
mod searxng;
mod serper;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duologue_signaling::event::Origin;

pub use searxng::SearxNg;
pub use serper::Serper;

use crate::config::{SearchKind, SecretError};
use crate::knowledge::Passage;

/// Why a search gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchFault {
    #[error("{provider} cannot be reached: {why}")]
    Unreachable { provider: &'static str, why: String },
    #[error("{provider} refuses the request ({status}): {way_out}")]
    Refused { provider: &'static str, status: u16, way_out: &'static str },
    #[error("{provider} is out of order ({status})")]
    OutOfOrder { provider: &'static str, status: u16 },
    #[error("{provider} has not answered within {0} ms", .within.as_millis())]
    Late { provider: &'static str, within: Duration },
    #[error("{provider} has answered with something else than its JSON: {why}")]
    NotUnderstood { provider: &'static str, why: String },
    #[error("{provider} has no answer from the engines that it asks: {engines}")]
    Deaf { provider: &'static str, engines: String },
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Somebody who knows the web.
#[async_trait]
pub trait SearchProvider: Send + Sync {
    /// For SQL.
    fn name(&self) -> &'static str;

    /// At most `most` pages about `query`, the best first. Dropping the future drops the request.
    ///
    /// # Errors
    /// When there is no answer that can be read; pages that nobody knows are an empty list, not an error.
    async fn search(&self, query: &str, most: usize) -> Result<Vec<Passage>, SearchFault>;
}

/// What every call of this server shares of it. Cheap to clone.
#[derive(Clone)]
pub struct SearchHouse {
    pub provider: Arc<dyn SearchProvider>,
    /// Pages for one search: 1..=10.
    pub results: usize,
}

/// The provider that the configuration names; `None` where it names none.
///
/// # Errors
/// When its key is not there or its address is none.
pub fn provider(config: &crate::config::Search) -> Result<Option<Arc<dyn SearchProvider>>, SearchFault> {
    // The reply goes on without it when the budget is spent: the request need not live much longer.
    let patience = Duration::from_millis(u64::from(config.budget_ms) + 500);
    let url = config.url.as_ref().map(|url| url.as_str());
    Ok(match config.provider {
        SearchKind::None => None,
        SearchKind::Searxng => Some(Arc::new(SearxNg::new(url.unwrap_or("http://127.0.0.1:8888"), patience)?)),
        SearchKind::Serper => {
            let key = config.key()?;
            let key = key.as_ref().map_or("", |key| key.reveal());
            Some(Arc::new(Serper::new(url.unwrap_or(serper::URL), key, patience)?))
        }
    })
}

/// The provider's name as calls record it.
pub const fn name(kind: SearchKind) -> Option<&'static str> {
    match kind {
        SearchKind::None => None,
        SearchKind::Searxng => Some(searxng::NAME),
        SearchKind::Serper => Some(serper::NAME),
    }
}

/// A page as a passage; nothing of it is longer than it need be.
fn page(url: &str, title: &str, text: &str, rank: f32) -> Option<Passage> {
    let short =
        |text: &str, most: usize| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(most).collect();
    let (source, heading, text): (String, String, String) = (short(url, 500), short(title, 160), short(text, 500));
    let page = Passage { origin: Origin::Web, source, heading, text, rank, ..Passage::default() };
    (!page.text.is_empty()).then_some(page)
}
