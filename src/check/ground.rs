//! What a server stands on: secrets, personas, the database, ports.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::Finding;
use crate::config::Config;
use crate::recording::Probed;
use crate::serve::load_personas;
use crate::sip::SipSettings;
use crate::store::{self, Probe, StoreError};

/// The API keys, where some are named.
pub(super) fn secrets(config: &Config) -> Vec<Finding> {
    let keys = [
        ("language model", config.llm.key()),
        ("search provider", config.search.key()),
        ("doors", config.doors.key()),
        ("TURN servers", config.turn_servers.secret()),
        ("webhooks", config.webhook.secret()),
        ("Twilio account", config.doors.twilio_token()),
    ];
    let finding = |(whose, key)| match key {
        Ok(None) => None,
        Ok(Some(_)) => Some(Finding::ok(format!("secrets: the {whose}'s key is there"))),
        Err(error) => Some(Finding::error("secrets", error)),
    };
    keys.into_iter().filter_map(finding).chain(sealing(config)).collect()
}

/// The key of recordings, where there is one: its id stands in their rows.
fn sealing(config: &Config) -> Option<Finding> {
    match config.recording.shelf() {
        Ok(shelf) => {
            shelf.keys.new.map(|key| Finding::ok(format!("secrets: recordings are sealed with the key {}", key.id())))
        }
        Err(error) => Some(Finding::error("secrets", error)),
    }
}

/// The store that recordings move to, where there is one: can we send, read and take away?
pub(super) async fn object_store(config: &Config) -> Vec<Finding> {
    let Some(place) = &config.recording.store else { return Vec::new() };
    // A missing secret has been told already.
    let Some(objects) = config.recording.shelf().ok().and_then(|shelf| shelf.objects) else { return Vec::new() };
    let what = format!("recordings: the store s3://{}", place.bucket);
    let mut findings = match objects.probe().await {
        Ok(Probed { keeps_versions: true }) => vec![Finding::warn(
            format!("{what} takes, gives and removes, and keeps what is removed as a version of before"),
            "turn versioning off for the bucket, or have a lifecycle rule expire old versions: else what is erased stays there",
        )],
        Ok(_) => vec![Finding::ok(format!("{what} takes, gives and removes"))],
        Err(why) => vec![Finding::fail(
            format!("{what} does not do what it is for: {why}"),
            "until it does, recordings stay in the folder of recording.dir",
        )],
    };
    if config.recording.store_endpoint.as_ref().is_some_and(|url| url.as_str().starts_with("http://")) {
        let way_out = "name an https:// address as recording.store_endpoint, unless nobody listens on the way";
        findings.push(Finding::warn(format!("{what} is reached without TLS"), way_out));
    }
    findings
}

/// The files that say who the agent is.
pub(super) fn personas(config: &Config) -> Vec<Finding> {
    match load_personas(&config.personas.dir, &config.personas.default) {
        Ok(personas) => {
            let names: Vec<&str> = personas.iter().map(|persona| persona.name.as_str()).collect();
            let mut findings = vec![Finding::ok(format!("personas: {}", names.join(", ")))];
            findings.extend(telephones(config, &names));
            findings
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
    let mut findings = vec![
        port("TCP", "http.listen", http, TcpListener::bind(http).map(drop), served),
        port("UDP", "media.udp_port", media, UdpSocket::bind(media).map(drop), served),
    ];
    if let Some(sip) = config.sip.listen {
        findings.push(port("UDP", "sip.listen", sip, UdpSocket::bind(sip).map(drop), served));
        findings.push(port("TCP", "sip.listen", sip, TcpListener::bind(sip).map(drop), served));
        if let Some(tls) = config.sip.tls_listen {
            findings.push(port("TCP", "sip.tls_listen", tls, TcpListener::bind(tls).map(drop), served));
        }
    }
    if let Some(asterisk) = config.doors.audio_socket {
        findings.push(port("TCP", "doors.audio_socket", asterisk, TcpListener::bind(asterisk).map(drop), served));
    }
    findings
}

/// Telephones, where they can call: whether the section is right, and who answers.
fn telephones(config: &Config, personas: &[&str]) -> Option<Finding> {
    match SipSettings::of(&config.sip) {
        Ok(settings) => settings.map(|settings| telephony(config, &settings, personas)),
        Err(error) => Some(Finding::error("telephones", error)),
    }
}

fn telephony(config: &Config, settings: &SipSettings, personas: &[&str]) -> Finding {
    let strange: Vec<&str> = settings.dialled.personas().filter(|name| !personas.contains(name)).collect();
    if !strange.is_empty() {
        let way_out = "name one of `duologue persona list` in sip.numbers";
        return Finding::fail(format!("telephones: there is no persona '{}'", strange.join("', '")), way_out);
    }
    let (calls, room) = (config.calls.max as usize, settings.ports.clone().step_by(2).count());
    if room < calls {
        let way_out = "raise sip.rtp_last";
        return Finding::warn(format!("telephones: {room} ports for the sound of {calls} calls"), way_out);
    }
    let keyless = config.review.key_env.is_none() && config.review.key_file.is_none();
    if keyless && (settings.outbound.rules() > 0 || !settings.phones.is_empty()) {
        let way_out = "set review.key_env or review.key_file: calls are made for whoever shows the key";
        return Finding::warn("telephones: nobody may have a call made, for there is no key".to_owned(), way_out);
    }
    let answers = |user: &str| personas.contains(&settings.dialled.who(user, |name| personas.contains(&name)));
    if let Some(trunk) = settings.outbound.registered().find(|trunk| !answers(&trunk.ours.user)) {
        let way_out = format!("add \"{}=PERSONA\" to sip.numbers", trunk.ours.user);
        return Finding::warn(format!("telephones: nobody answers what comes from trunk '{}'", trunk.name), way_out);
    }
    if settings.outbound.has_secured_trunk() && settings.tls.is_none() {
        let way_out = "set sip.tls_listen, sip.tls_certificate and sip.tls_key: some exchanges hang up over a connection of their own";
        return Finding::warn(
            "telephones: a trunk is called over TLS and cannot call back over it".to_owned(),
            way_out,
        );
    }
    let registers: Vec<&str> = settings.outbound.registered().map(|trunk| trunk.name.as_str()).collect();
    let registers =
        if registers.is_empty() { String::new() } else { format!("; it registers with {}", registers.join(", ")) };
    let out = match settings.outbound.rules() {
        0 if settings.phones.is_empty() => "nobody is called (sip.outbound)".to_owned(),
        rules => format!("whom {rules} lines of sip.outbound name may be called"),
    };
    let phones = match settings.phones.len() {
        0 => String::new(),
        phones => format!("; {phones} telephones may register, and be called"),
    };
    Finding::ok(format!(
        "telephones: SIP on {}, the sound on UDP {}-{}; {out}{phones}{registers}",
        settings.listen, config.sip.rtp_first, config.sip.rtp_last
    ))
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
