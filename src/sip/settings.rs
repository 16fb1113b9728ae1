//! The section `[sip]`, read: what is listened on, who may call and be called, and how.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::bindings::Times;
use duologue_signaling::phone_sdp::PhoneCodec;
use rustls::{ClientConfig, ServerConfig};

use super::outbound::Keys;
use super::party::{Directory, Who, protected};
use super::{Dialled, Guard, Outbound, SessionTimes, SipError, phones, sdp, tls};
use crate::config::Sip;

/// What the configuration says, read.
#[derive(Clone, Debug)]
pub struct SipSettings {
    pub listen: SocketAddr,
    /// Where TLS is listened for, and as whom.
    pub tls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// Whose certificates are believed. `None`: nobody's, and nobody is called over TLS.
    pub believed: Option<Arc<ClientConfig>>,
    /// Keys for the sound are taken and offered where whoever is on the way can read them.
    pub srtp_in_clear: bool,
    pub public: Option<IpAddr>,
    pub ports: RangeInclusive<u16>,
    pub codecs: Vec<PhoneCodec>,
    pub dialled: Dialled,
    pub guard: Guard,
    pub ring: Duration,
    /// `None`: a silent telephone is waited for.
    pub silent: Option<Duration>,
    /// Messages of one source within a second.
    pub messages_a_second: u32,
    pub tcp_most: u32,
    pub tcp_most_per_address: u32,
    pub tcp_idle: Duration,
    /// How long a call lasts without a word of the other side's.
    pub session: SessionTimes,
    /// Whom the server may call.
    pub outbound: Outbound,
    /// To whom sound is offered protected, beside the trunks that say so themselves.
    pub(super) protects: Vec<(Who, Keys)>,
    /// Whose telephones may ask to be replaced in their calls.
    pub(super) refer_from: Vec<Who>,
    /// Telephones that may register, by name.
    pub phones: Vec<String>,
    /// For how long they are kept.
    pub phones_kept: Times,
    /// How long a trunk is asked to keep us.
    pub register_s: u32,
    /// Calls of the server's own at once.
    pub outbound_most: u32,
    pub outbound_a_minute: u32,
    /// How long it rings there.
    pub answer: Duration,
}

impl SipSettings {
    /// `None`: no telephone can call.
    ///
    /// # Errors
    /// When the section contradicts itself.
    pub fn of(sip: &Sip) -> Result<Option<Self>, SipError> {
        let Some(listen) = sip.listen else { return Ok(None) };
        // Each call has the port after its own for reports.
        let ports = sip.rtp_first.next_multiple_of(2)..=sip.rtp_last.saturating_sub(1);
        if ports.is_empty() {
            return Err(SipError::Ports);
        }
        if sip.codecs.is_empty() {
            return Err(SipError::Codecs);
        }
        if sip.digests.is_empty() {
            return Err(SipError::Digests);
        }
        let outbound = Outbound::read(&sip.outbound, sip.trunk_passwords()?)?.register(&sip.register)?;
        let (others, trunks): (Vec<_>, Vec<_>) = sip.srtp.iter().cloned().partition(|line| line.contains([':', '@']));
        let outbound = outbound.protect(&trunks, sip.srtp_in_clear)?;
        let believed = match tls::client(sip) {
            // Nobody misses it who calls nobody over TLS.
            Err(_) if sip.tls_ca.is_none() && !outbound.has_secured_trunk() => None,
            believed => Some(believed?),
        };
        let guard = Guard::new(sip.passwords()?, sip.digests.clone());
        let phones = sip.phone_passwords()?;
        let names = phones::names(&guard, &phones)?;
        let there = Directory { outbound: &outbound, phones: &names, is_user: &|name| guard.has(name) };
        let protects = protected(&others, &there).map_err(SipError::Srtp)?;
        let refer_from = sip.refer_from.iter().map(|line| Who::read(line, &there));
        let refer_from = refer_from.collect::<Result<_, _>>().map_err(SipError::ReferFrom)?;
        Ok(Some(Self {
            listen,
            tls: sip.tls_listen.zip(tls::server(sip)?),
            believed,
            srtp_in_clear: sip.srtp_in_clear,
            public: sip.public_address,
            ports,
            codecs: sip.codecs.iter().copied().map(sdp::codec_of).collect(),
            dialled: Dialled::read(&sip.numbers)?,
            guard: guard.with_phones(phones),
            phones: names,
            phones_kept: Times { least_s: sip.phones_least_s, longest_s: sip.phones_most_s.max(sip.phones_least_s) },
            ring: Duration::from_millis(u64::from(sip.ring_ms)),
            silent: (sip.silent_s > 0).then(|| Duration::from_secs(u64::from(sip.silent_s))),
            messages_a_second: sip.messages_a_second,
            tcp_most: sip.tcp_most,
            tcp_most_per_address: sip.tcp_most_per_address,
            tcp_idle: Duration::from_secs(u64::from(sip.tcp_idle_s)),
            session: SessionTimes { ours_s: sip.session_s, least_s: sip.session_least_s },
            outbound,
            protects,
            refer_from,
            register_s: sip.register_s,
            outbound_most: sip.outbound_most,
            outbound_a_minute: sip.outbound_a_minute,
            answer: Duration::from_secs(u64::from(sip.answer_s)),
        }))
    }
}
