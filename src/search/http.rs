//! One request, bounded in time and in bytes.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use super::SearchFault;

const CONNECT: Duration = Duration::from_secs(1);
/// Bytes of an answer: ten pages with their snippets have some ten thousand.
const ANSWER_MOST: usize = 1024 * 1024;

/// A client of one provider.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub provider: &'static str,
    pub client: Client,
    pub url: Url,
    patience: Duration,
    /// What to do when it refuses.
    way_out: &'static str,
}

impl Asking {
    pub fn new(
        provider: &'static str,
        url: &str,
        patience: Duration,
        way_out: &'static str,
    ) -> Result<Self, SearchFault> {
        let unreachable = |why: String| SearchFault::Unreachable { provider, why };
        let url = Url::parse(url).map_err(|why| unreachable(format!("search.url: {why}")))?;
        // Another part of the process may have chosen a TLS provider already; either one will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A key is sent to the address that was set, and to no other.
        let mut builder =
            Client::builder().connect_timeout(CONNECT).timeout(patience).redirect(redirect::Policy::none());
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|why| unreachable(reason(&why)))?;
        Ok(Self { provider, client, url, patience, way_out })
    }

    /// Sends it and reads the answer.
    pub async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, SearchFault> {
        let provider = self.provider;
        let fault = |why: &reqwest::Error| {
            if why.is_timeout() && !why.is_connect() {
                SearchFault::Late { provider, within: self.patience }
            } else {
                SearchFault::Unreachable { provider, why: reason(why) }
            }
        };
        let answer = request.send().await.map_err(|why| fault(&why))?;
        let status = answer.status();
        match status {
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::PAYMENT_REQUIRED => {
                return Err(SearchFault::Refused { provider, status: status.as_u16(), way_out: self.way_out });
            }
            _ if !status.is_success() => return Err(SearchFault::OutOfOrder { provider, status: status.as_u16() }),
            _ => {}
        }
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(|why| fault(&why))?);
            if body.len() > ANSWER_MOST {
                return Err(SearchFault::NotUnderstood { provider, why: format!("more than {ANSWER_MOST} bytes") });
            }
        }
        serde_json::from_slice(&body).map_err(|why| SearchFault::NotUnderstood { provider, why: why.to_string() })
    }
}

/// The innermost cause. The outer ones have the address in them, and with it whatever stands there.
fn reason(fault: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = fault;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
