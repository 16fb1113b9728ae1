//! What a server stands on: secrets, personas, the database, ports.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::Finding;
use crate::config::Config;
use crate::serve::load_personas;
use crate::store::{self, Probe, StoreError};

/// The API keys, where some are named.
pub(super) fn secrets(config: &Config) -> Vec<Finding> {
    let keys = [
        ("language model", config.llm.key()),
        ("search provider", config.search.key()),
        ("doors", config.doors.key()),
        ("TURN servers", config.turn_servers.secret()),
    ];
    let finding = |(whose, key)| match key {
        Ok(None) => None,
        Ok(Some(_)) => Some(Finding::ok(format!("secrets: the {whose}'s key is there"))),
        Err(error) => Some(Finding::error("secrets", error)),
    };
    keys.into_iter().filter_map(finding).collect()
}

/// The files that say who the agent is.
pub(super) fn personas(config: &Config) -> Vec<Finding> {
    match load_personas(&config.personas.dir, &config.personas.default) {
        Ok(personas) => {
            let names: Vec<&str> = personas.iter().map(|persona| persona.name.as_str()).collect();
            vec![Finding::ok(format!("personas: {}", names.join(", ")))]
        }
        Err(error) => vec![Finding::fail(error.to_string(), "mend the file, or name another folder as personas.dir")],
    }
}

/// The database; and whether a server of ours has it at this moment.
pub(super) async fn database(config: &Config) -> (Finding, bool) {
    let path = &config.store.path;
    let shown = path.display();
    match store::probe(path).await {
        Ok(Probe::Absent) => (Finding::ok(format!("database: {shown} will be made by the server")), false),
        Ok(Probe::Ready { calls, .. }) => (Finding::ok(format!("database: {shown}, {calls} calls, writable")), false),
        Err(StoreError::InUse { .. }) => {
            let way_out = "that is right if one runs here; to start another one, name another file as store.path";
            (Finding::warn(format!("database: {shown} is in use by a running server"), way_out), true)
        }
        Err(error) => (Finding::error("database", error), false),
    }
}

/// Both ports. Where a server of ours runs already (`served`), it is the one that has them.
pub(super) fn ports(config: &Config, served: bool) -> Vec<Finding> {
    let http = config.http.listen;
    let media = SocketAddr::new(http.ip(), config.media.udp_port);
    let asterisk = config.doors.audio_socket;
    let asterisk = asterisk.map(|at| port("TCP", "doors.audio_socket", at, TcpListener::bind(at).map(drop), served));
    let mut ports = vec![
        port("TCP", "http.listen", http, TcpListener::bind(http).map(drop), served),
        port("UDP", "media.udp_port", media, UdpSocket::bind(media).map(drop), served),
    ];
    ports.extend(asterisk);
    ports
}

fn port(protocol: &str, key: &str, at: SocketAddr, bound: std::io::Result<()>, served: bool) -> Finding {
    let what = |state: &str| format!("ports: {protocol} {at} {state}");
    let another = format!("set another one as {key}");
    match bound {
        Ok(()) => Finding::ok(what("is free")),
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse if served => Finding::warn(what("is in use, as by the running server"), String::new()),
            ErrorKind::AddrInUse => {
                let kind = if protocol == "TCP" { "-tlpn" } else { "-ulpn" };
                let find = format!(
                    "stop the program that has it (`ss {kind} 'sport = :{}'` names it), or {another}",
                    at.port()
                );
                Finding::fail(what("is in use"), find)
            }
            ErrorKind::PermissionDenied => Finding::fail(what("needs privileges"), format!("{another}, above 1023")),
            ErrorKind::AddrNotAvailable => Finding::fail(
                what("is no address of this machine"),
                "listen on 127.0.0.1, 0.0.0.0, [::] or one of its own (http.listen)",
            ),
            _ => Finding::fail(format!("{}: {error}", what("cannot be had")), another),
        },
    }
}
