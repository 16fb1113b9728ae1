//! DTLS for a telephone's sound (RFC 5763, RFC 5764): one handshake on one port, in which both sides show the certificate that their SDP has
//! named, and have keys for SRTP afterwards. The protocol is `rtc-dtls`'s, as in browsers' calls. Here is what it gets to see, for how long, and
//! what is believed. No socket, and told the time.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use duologue_signaling::dtls::sift;
use duologue_signaling::phone_sdp::{CertificateHash, DtlsRole, Fingerprint, KEY_BYTES, Key};
use rtc::dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::dtls::state::State;
use rtc::shared::TransportProtocol;
use rtc::shared::error::Error;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::protection_profile::ProtectionProfile;
use rustls::pki_types::CertificateDer;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// From the answer on. A handshake is three round trips; what is lost is sent again every second (RFC 6347, section 4.2.4.1).
const WITHIN: Duration = Duration::from_secs(10);
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What one handshake reads at most: parts of messages, and bytes. With certificates of 4,096 bits a side sends ten parts in 6 kB, and sends
/// them again where they are lost.
const PARTS: usize = 256;
const BYTES: usize = 65_536;
/// The library keeps handshakes by address. Here each has its own, and whose packets it gets is decided elsewhere.
const THERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// The one profile that is agreed on over DTLS (docs/decisions/0039).
const PROFILE: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;

/// Who the server is to every telephone, for as long as it runs: a certificate that nobody vouches for, and that SDP names.
pub(super) struct Identity {
    certificate: Certificate,
    pub(super) sha256: [u8; 32],
}

impl Identity {
    /// # Errors
    /// Where the library makes no certificate.
    pub(super) fn new() -> Result<Self, Error> {
        let provider = rtc_crypto::default_provider().map_err(|why| Error::Crypto(why.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["duologue".to_owned()], provider.crypto())?;
        let shown = certificate.certificate.first().ok_or(Error::ErrNoCertificates)?;
        let sha256 = Sha256::digest(shown).into();
        Ok(Self { certificate, sha256 })
    }
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoKeys {
    #[error("the other side's certificate is not the one that its SDP names")]
    Fingerprint,
    #[error("DTLS was not finished within {} s{}", WITHIN.as_secs(), said(*.0))]
    Late(Option<u8>),
    #[error("DTLS failed: {0}")]
    Failed(String),
}

fn said(alert: Option<u8>) -> String {
    alert.map_or_else(String::new, |number| {
        format!(", and the other side told of alert {number} (RFC 5246, section 7.2)")
    })
}

impl NoKeys {
    /// As counters name it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Fingerprint => "fingerprint",
            Self::Late(_) => "timeout",
            Self::Failed(_) => "handshake",
        }
    }

    fn of(why: &Error) -> Self {
        match why {
            Error::ErrNoMatchingCertificateFingerprint => Self::Fingerprint,
            why => Self::Failed(why.to_string()),
        }
    }
}

/// What was agreed on: each side's packets have a key of their own.
pub(super) struct AgreedKeys {
    pub(super) ours: Key,
    pub(super) theirs: Key,
}

/// One handshake, and what is left of it: the last of it may have been lost and is then asked for again.
pub(super) struct Handshake {
    /// Behind a lock that nobody waits for, as the library's other states ([`super::srtp`]).
    endpoint: Mutex<Endpoint>,
    config: Arc<HandshakeConfig>,
    role: DtlsRole,
    named: Arc<[Fingerprint]>,
    /// The first of it has left.
    begun: bool,
    done: bool,
    until: Instant,
    parts: usize,
    bytes: usize,
    alert: Option<u8>,
    /// What left last, and when; and what has yet to leave.
    flight: (Vec<Bytes>, Instant),
    out: VecDeque<Bytes>,
    /// Where its packets have come from last.
    pub(super) from: Option<SocketAddr>,
}

/// Whether a certificate is one of those that were named.
fn is_named(named: &[Fingerprint], shown: &[Vec<u8>]) -> bool {
    let Some(own) = shown.first() else { return false };
    named.iter().any(|one| match one.hash {
        CertificateHash::Sha1 => Sha1::digest(own).as_slice() == one.digest,
        CertificateHash::Sha256 => Sha256::digest(own).as_slice() == one.digest,
        CertificateHash::Sha384 => Sha384::digest(own).as_slice() == one.digest,
        CertificateHash::Sha512 => Sha512::digest(own).as_slice() == one.digest,
    })
}

impl Handshake {
    /// With whoever has one of these certificates.
    ///
    /// # Errors
    /// Where the library does not take what it is told.
    pub(super) fn new(
        identity: &Identity,
        role: DtlsRole,
        named: &[Fingerprint],
        now: Instant,
    ) -> Result<Self, NoKeys> {
        let failed = |why: String| NoKeys::Failed(why);
        let provider = rtc_crypto::default_provider().map_err(|why| failed(why.to_string()))?;
        let named: Arc<[Fingerprint]> = named.into();
        let known = named.clone();
        let verify = move |shown: &[Vec<u8>], _: &[CertificateDer<'static>]| {
            if is_named(&known, shown) { Ok(()) } else { Err(Error::ErrNoMatchingCertificateFingerprint) }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![identity.certificate.clone()])
            .with_srtp_protection_profiles(vec![PROFILE])
            // Both sides show one (RFC 5763, section 5). Nobody vouches for it but the SDP.
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            // What the library says for its browsers; nobody looks at it.
            .with_server_name("localhost".to_owned())
            .build(role == DtlsRole::Client, None)
            .map_err(|why| failed(why.to_string()))?;
        let config = Arc::new(config);
        let serves = (role == DtlsRole::Server).then(|| config.clone());
        Ok(Self {
            endpoint: Mutex::new(Endpoint::new(THERE, TransportProtocol::UDP, serves)),
            config,
            role,
            named,
            begun: false,
            done: false,
            until: now + WITHIN,
            parts: 0,
            bytes: 0,
            alert: None,
            flight: (Vec::new(), now),
            out: VecDeque::new(),
            from: None,
        })
    }

    fn endpoint(&mut self) -> &mut Endpoint {
        self.endpoint.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the first of it is ours to send, and has not left.
    pub(super) const fn is_to_begin(&self) -> bool {
        matches!(self.role, DtlsRole::Client) && !self.begun
    }

    /// Sends the first of it.
    ///
    /// # Errors
    /// Where the library cannot.
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), NoKeys> {
        self.begun = true;
        let config = self.config.clone();
        let begun = self.endpoint().connect(now, THERE, config, None);
        self.sends(now);
        begun.map_err(|why| NoKeys::of(&why))
    }

    /// What the library has to send.
    fn sends(&mut self, now: Instant) {
        let endpoint = self.endpoint();
        let next = || endpoint.poll_transmit().map(|leaving| leaving.message.freeze());
        let flight: Vec<Bytes> = std::iter::from_fn(next).collect();
        if !flight.is_empty() {
            self.out.extend(flight.iter().cloned());
            self.flight = (flight, now);
        }
    }

    /// Reads a datagram. The keys, where it was the last that was needed.
    ///
    /// # Errors
    /// Why there will be none.
    pub(super) fn read(&mut self, datagram: &[u8], now: Instant) -> Result<Option<AgreedKeys>, NoKeys> {
        let sifted = sift(datagram);
        self.alert = self.alert.or(sifted.alert.filter(|_| !self.done));
        let room = self.parts + sifted.parts <= PARTS && self.bytes + sifted.records.len() <= BYTES;
        // A new one would begin where the old one was closed.
        let over = self.done && self.endpoint().get_connection_state(THERE).is_none();
        if sifted.records.is_empty() || !room || over || self.is_to_begin() {
            return Ok(None);
        }
        (self.parts, self.bytes) = (self.parts + sifted.parts, self.bytes + sifted.records.len());
        let read = self.endpoint().read(now, THERE, None, BytesMut::from(sifted.records.as_slice()));
        self.sends(now);
        if self.done {
            return Ok(None);
        }
        let events = read.map_err(|why| NoKeys::of(&why))?;
        if events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete)) {
            self.done = true;
            return self.keys().map(Some);
        }
        if events.iter().any(|event| matches!(event, EndpointEvent::PeerClosed)) {
            return Err(NoKeys::Failed("the other side closed it".into()));
        }
        Ok(None)
    }

    /// What is overdue leaves again.
    ///
    /// # Errors
    /// When it has taken too long.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), NoKeys> {
        if self.done {
            return Ok(());
        }
        if now >= self.until {
            return Err(NoKeys::Late(self.alert));
        }
        // That it was sent often enough is no reason to wait no longer.
        let _ = self.endpoint().handle_timeout(THERE, now);
        self.sends(now);
        // The library forgets when to send again as soon as anything comes that brings it no further: half a flight, or one twice. What it sent
        // last is sent again then; the other side passes over what has come there before.
        let forgotten = self.endpoint().poll_timeout(&THERE).is_none();
        if forgotten && now.duration_since(self.flight.1) >= AGAIN_AFTER {
            self.out.extend(self.flight.0.iter().cloned());
            self.flight.1 = now;
        }
        Ok(())
    }

    /// Says goodbye, where keys were agreed on (close_notify, RFC 5246, section 7.2.1): whoever keeps a connection for each call may let go of it.
    pub(super) fn close(&mut self, now: Instant) {
        if self.done && self.endpoint().close(now).is_ok() {
            self.sends(now);
        }
    }

    /// What is to be sent.
    pub(super) fn leaving(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    fn keys(&mut self) -> Result<AgreedKeys, NoKeys> {
        let (named, role) = (self.named.clone(), self.role);
        let state = self.endpoint().get_connection_state(THERE);
        let state = state.ok_or_else(|| NoKeys::Failed("it is over already".into()))?;
        // The library has asked before; what everything rests on is not left to when it does.
        if !is_named(&named, &state.peer_certificates) {
            return Err(NoKeys::Fingerprint);
        }
        if state.srtp_protection_profile() != PROFILE {
            return Err(NoKeys::Failed("no SRTP was agreed on in it (use_srtp)".into()));
        }
        exported(state, role).ok_or_else(|| NoKeys::Failed("it gave no keys".into()))
    }
}

/// RFC 5764, section 4.2.
fn exported(state: &State, role: DtlsRole) -> Option<AgreedKeys> {
    let mut config = Config { profile: ProtectionProfile::Aes128CmHmacSha1_80, ..Config::default() };
    let material = state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], config.keying_material_len()).ok()?;
    config.set_session_keys_from_keying_material(material.as_ref(), role == DtlsRole::Client).ok()?;
    let key = |master: &[u8], salt: &[u8]| -> Option<Key> {
        Some(Key(<[u8; KEY_BYTES]>::try_from([master, salt].concat()).ok()?))
    };
    let keys = &config.keys;
    let ours = key(&keys.local_master_key, &keys.local_master_salt)?;
    Some(AgreedKeys { ours, theirs: key(&keys.remote_master_key, &keys.remote_master_salt)? })
}

#[cfg(test)]
mod tests;
