//! `GET /v1/ice`: the relays through which a client reaches the server, with a name and a password for a while.
//!
//! The rule is coturn's and draft-uberti-behave-turn-rest-00's: the name is the moment until which it holds, in seconds of Unix
//! time, and a label; the password is HMAC-SHA1 of the name with the shared secret, in base64. The relay makes the same and
//! needs no list.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha1::Sha1;

use super::Web;
use crate::config::Secret;
use crate::store::utc_ms;

/// What clients are told.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    pub urls: Vec<String>,
    pub secret: Option<Secret>,
    pub valid_s: u32,
}

/// As `RTCPeerConnection` takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// `GET /v1/ice`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    ice_servers: Vec<IceServer>,
    /// For how long, seconds.
    valid_s: u32,
}

impl IceServers {
    /// With credentials that hold from `now_s` on, where there is a secret.
    pub fn servers(&self, now_s: u64) -> Vec<IceServer> {
        let (relays, others): (Vec<String>, Vec<String>) =
            self.urls.iter().cloned().partition(|url| url.starts_with("turn"));
        let mut servers = Vec::new();
        if !others.is_empty() {
            servers.push(IceServer { urls: others, username: None, credential: None });
        }
        if !relays.is_empty() {
            let made = self.secret.as_ref().map(|secret| credentials(secret, now_s + u64::from(self.valid_s)));
            let (username, credential) = made.unzip();
            servers.push(IceServer { urls: relays, username, credential });
        }
        servers
    }

    /// As `Link` headers (RFC 9725, section 4.6).
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for server in self.servers(now_s()) {
            for url in &server.urls {
                let mut link = format!("<{url}>; rel=\"ice-server\"");
                if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                    let more =
                        format!("; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\"");
                    link.push_str(&more);
                }
                links.push(link);
            }
        }
        links
    }
}

fn credentials(secret: &Secret, until_s: u64) -> (String, String) {
    let username = format!("{until_s}:duologue");
    // A key of any length is taken (RFC 2104, section 2).
    let password = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes())
        .map(|mac| STANDARD.encode(mac.chain_update(username.as_bytes()).finalize().into_bytes()))
        .unwrap_or_default();
    (username, password)
}

fn now_s() -> u64 {
    u64::try_from(utc_ms()).unwrap_or(0) / 1_000
}

/// The relays.
pub async fn show(State(web): State<Web>) -> Response {
    let shown = Shown { ice_servers: web.ice_servers.servers(now_s()), valid_s: web.ice_servers.valid_s };
    ([(axum::http::header::CACHE_CONTROL, "no-store")], Json(shown)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_relay_gets_a_name_that_ends_and_a_password_made_from_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, "north\n").expect("written");
        let text = format!("[turn_servers]\nsecret_file = {:?}\n", file.display().to_string());
        let secret = Config::parse(&text, "t").expect("valid").turn_servers.secret().expect("readable");
        let urls = vec!["stun:192.0.2.1:3478".to_owned(), "turn:192.0.2.1:3478?transport=udp".to_owned()];
        let servers = IceServers { urls, secret, valid_s: 3_600 };
        let [stun, turn] = &servers.servers(1_700_000_000)[..] else { panic!("two servers") };
        assert_eq!((&stun.urls[0][..], &stun.username), ("stun:192.0.2.1:3478", &None));
        assert_eq!(turn.username.as_deref(), Some("1700003600:duologue"));
        // printf 1700003600:duologue | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(turn.credential.as_deref(), Some("+PKDqfhtqSDEF9Nm/E/8umGj8vw="));
        assert!(servers.links()[1].starts_with("<turn:192.0.2.1:3478?transport=udp>; rel=\"ice-server\"; username=\""));
    }
}
