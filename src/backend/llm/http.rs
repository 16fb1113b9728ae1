//! The HTTP client that all servers are reached with.

use std::time::Duration;

use reqwest::{Client, Url};

use crate::backend::LlmError;

/// Long enough for a far away server, short beside the patience for a first token.
const CONNECT: Duration = Duration::from_secs(3);

/// A client for one base URL.
///
/// # Errors
/// When the URL is none, or TLS cannot be set up for it.
pub(super) fn client(url: &str) -> Result<Client, LlmError> {
    let unreachable = |why: String| LlmError::Unreachable { url: url.to_owned(), why };
    let parsed = Url::parse(url).map_err(|fault| unreachable(format!("this is no URL: {fault}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(unreachable("the URL must begin with http:// or https:// and name a host".into()));
    }
    // Another part of the process may have chosen a provider already; either one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().connect_timeout(CONNECT).tcp_nodelay(true);
    if parsed.scheme() == "http" {
        // without this the client reads the system's certificates, and fails on a machine that has none
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(&parsed) {
        // a proxy from the environment knows nothing of this machine's own ports
        builder = builder.no_proxy();
    }
    builder.build().map_err(|fault| unreachable(reason(&fault)))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What an error of the client means to us; `url` is the server's.
pub(super) fn fault(url: &str, fault: &reqwest::Error) -> LlmError {
    if fault.is_connect() || fault.is_builder() {
        LlmError::Unreachable { url: url.to_owned(), why: reason(fault) }
    } else {
        LlmError::BrokeOff(reason(fault))
    }
}

/// The innermost cause: the outer ones only repeat the URL.
fn reason(fault: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = fault;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The beginning of a server's words, short enough for a log line.
pub(super) fn excerpt(text: &str) -> String {
    const MOST: usize = 200;
    let text = text.trim();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
