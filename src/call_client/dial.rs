//! Setting a call up over HTTP: the offer is posted, the answer comes back, the call has a URL of its own.

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::Instant;

use duologue_signaling::problem::Problem;

/// Why no call was set up.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    #[error("{0:?} is no URL of a server: give something like http://127.0.0.1:8080")]
    Url(String),
    #[error("no server answers at {url}: {why}")]
    Unreachable { url: Url, why: String },
    #[error("the server refused the call ({status}): {why}")]
    Refused { status: StatusCode, why: String },
    #[error("the server's answer is no call: {0}")]
    Odd(&'static str),
}

/// A call that was set up: ended by [`Dialled::hang_up`].
#[derive(Debug)]
pub struct Dialled {
    client: Client,
    call: Url,
    /// The SDP answer.
    pub answer: String,
    /// When the offer went out, and when the answer was here.
    pub asked: Instant,
    pub answered: Instant,
}

/// Posts an offer to `{server}/v1/calls`, with what is `asked` for beside it.
///
/// # Errors
/// When the server cannot be reached or refuses; its own words are passed on.
pub async fn dial(server: &str, asked: [(&str, Option<&str>); 2], offer: &str) -> Result<Dialled, DialFault> {
    // Only the first process-wide provider counts; another one that is there already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();
    let bad_url = || DialFault::Url(server.to_owned());
    let base = Url::parse(server).ok().filter(|url| url.has_host()).ok_or_else(bad_url)?;
    let mut calls = base.join("/v1/calls").map_err(|_| bad_url())?;
    for (what, value) in asked {
        if let Some(value) = value {
            calls.query_pairs_mut().append_pair(what, value);
        }
    }
    let request = client.post(calls.clone()).header(CONTENT_TYPE, "application/sdp").body(offer.to_owned());
    let unreachable = |why: reqwest::Error| DialFault::Unreachable { url: calls.clone(), why: root(&why) };
    let asked = Instant::now();
    let response = request.send().await.map_err(unreachable)?;
    if response.status() != StatusCode::CREATED {
        return Err(refused(response).await);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let call = location.and_then(|location| calls.join(location).ok());
    let call = call.ok_or(DialFault::Odd("it names no Location"))?;
    let answer = response.text().await.map_err(unreachable)?;
    Ok(Dialled { client, call, answer, asked, answered: Instant::now() })
}

impl Dialled {
    /// The call's URL.
    pub fn url(&self) -> &Url {
        &self.call
    }

    /// Tells the server that the call is over. A server that is gone, or has ended the call itself, is no fault.
    pub async fn hang_up(&self) {
        if let Err(why) = self.client.delete(self.call.clone()).send().await {
            tracing::debug!(%why, "the server did not take the hang-up");
        }
    }
}

/// What lies at the bottom of an error: the stack of wrappers says nothing to the user.
fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

async fn refused(response: Response) -> DialFault {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let why = match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => {
            [Some(problem.title), problem.detail, problem.fix].into_iter().flatten().collect::<Vec<_>>().join(". ")
        }
        Err(_) => text.chars().take(300).collect(),
    };
    DialFault::Refused { status, why }
}
