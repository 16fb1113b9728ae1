//! Keys that are agreed on over DTLS: baresip with its `dtls_srtp`, as caller and called, and a telephone by hand that shows another
//! certificate than it has named, or names another one in the middle of a call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::dtls::config::{ClientAuthType, ConfigBuilder};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::shared::TransportProtocol;
use rtc_srtp::context::Context;
use sha2::{Digest as _, Sha256};
use tokio::net::UdpSocket;

use super::baresip::{Baresip, More};
use super::by_hand::{Dialog, context, line_of, pair, port_of, silence};
use super::house::House;
use super::house::rows::rows;
use super::{
    KEY, PATIENCE, PROTECTED, answered, dial, house, metric, over, plain, reported, sounds, understood, unopened,
};

const KEYED: More<'_> = More { config: "module dtls_srtp.so\n", account: ";mediaenc=dtls_srtp" };

async fn keyless(house: &House, reason: &str) -> u64 {
    metric(house, &format!("duologue_dtls_failed_total{{reason=\"{reason}\"}}")).await
}

/// Waits until so many rows are there.
async fn happens(house: &House, sql: &'static str, count: usize, phone: &mut Baresip) -> Vec<(String,)> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let found = rows::<(String,)>(house, sql).await;
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < patience, "{sql}: {found:?}\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// On hold and back, keys afterwards: none of it asks for other keys, and packets are understood as before.
async fn holds_and_presses(house: &House, phone: &mut Baresip) {
    const HOLDS: &str = "SELECT json ->> 'on' || '' FROM events WHERE type = 'hold' ORDER BY id";
    phone.holds(true);
    happens(house, HOLDS, 1, phone).await;
    phone.holds(false);
    let told = happens(house, HOLDS, 2, phone).await;
    assert_eq!(told, [("1".to_owned(),), ("0".to_owned(),)]);
    phone.press("4#");
    let keys = happens(house, "SELECT json ->> 'key' FROM events WHERE type = 'key' ORDER BY id", 2, phone).await;
    assert_eq!(keys, [("4".to_owned(),), ("#".to_owned(),)], "\n{}", phone.log());
}

async fn nothing_was_refused(house: &House) {
    for reason in ["authentication", "replay"] {
        assert_eq!(unopened(house, reason).await, 0, "{reason}");
    }
    for reason in ["fingerprint", "timeout", "handshake"] {
        assert_eq!(keyless(house, reason).await, 0, "{reason}");
    }
}

/// Over UDP, where keys in the SDP are refused. Reports have a handshake of their own first, and then travel with the sound.
#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_agrees_on_keys_and_has_a_conversation_and_reports_about_it() {
    for mux in ["no", "yes"] {
        let house = house("").await;
        let config = format!("{}rtcp_mux {mux}\n", KEYED.config);
        let mut phone = Baresip::start_with(plain(&house).port(), sounds(), More { config: &config, ..KEYED });
        phone.dial("porter");
        answered(&house, &mut phone).await;
        holds_and_presses(&house, &mut phone).await;
        let share = understood(&house, &mut phone).await;
        assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
        nothing_was_refused(&house).await;
        let (reports, expected, rtt_ms) = reported(&house).await;
        assert!(reports > 0 && expected > 100, "{mux}: {reports} reports about {expected} packets\n{}", phone.log());
        assert!(rtt_ms.is_some_and(|rtt_ms| rtt_ms < 1_000.0), "{rtt_ms:?}: it answers our sender reports");
        let ends: Vec<(String,)> = rows(&house, "SELECT end_reason FROM calls").await;
        assert_eq!(ends, [("caller-hangup".to_owned(),)]);
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_offered_keys_over_dtls_and_gets_no_call_with_others() {
    let plain = More::default();
    for (more, takes_it) in [(KEYED, true), (PROTECTED, false), (plain, false)] {
        let mut phone = Baresip::start_with(0, sounds(), more);
        let port = phone.sip;
        let house = house(&format!(
            "outbound = [\"*@127.0.0.1:* via phone\"]\ntrunks = [\"phone=sip:anna@127.0.0.1:{port}\"]\nsrtp = [\"phone=dtls\"]\n{KEY}"
        ))
        .await;
        dial(&house, &format!("sip:anna@127.0.0.1:{port}")).await;
        if takes_it {
            answered(&house, &mut phone).await;
            holds_and_presses(&house, &mut phone).await;
            let share = understood(&house, &mut phone).await;
            assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
            assert!(reported(&house).await.0 > 0, "{}", phone.log());
            nothing_was_refused(&house).await;
        } else {
            over(&house).await;
            let ends: Vec<(String, String)> = rows(&house, "SELECT end_reason, end_detail FROM calls").await;
            assert_eq!(ends[0].0, "unreachable", "{ends:?}\n{}", phone.log());
        }
        house.server.stop().await;
    }
}

/// Who a telephone by hand is.
struct Shown(Certificate);

impl Shown {
    fn new() -> Self {
        let provider = rtc_crypto::default_provider().expect("cryptography");
        Self(Certificate::generate_self_signed(vec!["hand".to_owned()], provider.crypto()).expect("a certificate"))
    }

    /// An offer of sound there, from who has this certificate; it begins with DTLS.
    fn offer(&self, port: u16) -> String {
        let digest = Sha256::digest(&self.0.certificate[0]);
        let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=fingerprint:SHA-256 {}\r\na=setup:active\r\n\
             m=audio {port} UDP/TLS/RTP/SAVP 8\r\na=rtcp-mux\r\n",
            digits.join(":")
        )
    }

    /// Shakes hands as the one who begins; the server's packets from then on, and why not. What came besides is passed over.
    async fn begins(&self, sound: &UdpSocket, there: SocketAddr) -> Result<Context, String> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(rtc_crypto::default_provider().expect("cryptography"))
            .with_certificates(vec![self.0.clone()])
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .build(true, None)
            .expect("a configuration");
        let mut endpoint = Endpoint::new(there, TransportProtocol::UDP, None);
        endpoint.connect(Instant::now(), there, Arc::new(config), None).expect("a beginning");
        let patience = Instant::now() + PATIENCE;
        loop {
            while let Some(leaving) = endpoint.poll_transmit() {
                sound.send_to(&leaving.message, there).await.expect("sent");
            }
            assert!(Instant::now() < patience, "no end of the handshake");
            let mut buffer = vec![0; 2_048];
            let received = tokio::time::timeout(Duration::from_millis(100), sound.recv(&mut buffer)).await;
            let _ = endpoint.handle_timeout(there, Instant::now());
            let Ok(Ok(read)) = received else { continue };
            if !(20..=63).contains(&buffer[0]) {
                continue;
            }
            let events = endpoint.read(Instant::now(), there, None, BytesMut::from(&buffer[..read]));
            let events = events.map_err(|why| why.to_string())?;
            if events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete)) {
                let state = endpoint.get_connection_state(there).expect("a state");
                // RFC 5764, section 4.2: both keys, then both salts, the client's first.
                let keys = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 60).expect("keys");
                let keys = keys.as_ref();
                return Ok(context(&[&keys[16..32], &keys[46..60]].concat()));
            }
        }
    }
}

/// The next packet of sound, opened.
async fn hears(sound: &UdpSocket, theirs: &mut Context) -> Vec<u8> {
    let mut buffer = vec![0; 2_048];
    loop {
        let read = tokio::time::timeout(PATIENCE, sound.recv(&mut buffer)).await.expect("sound in time");
        let read = read.expect("a datagram");
        if buffer[0] >= 128 && !(192..=223).contains(&buffer[1]) {
            return theirs.decrypt_rtp(&buffer[..read]).expect("by the keys that were agreed on").to_vec();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_another_certificate_than_he_has_named_gets_no_call() {
    let house = house("").await;
    let (sound, _reports) = pair().await;
    let (named, shown) = (Shown::new(), Shown::new());
    let mut dialog = Dialog::with(plain(&house)).await;
    let answer = dialog.offers(&named.offer(sound.local_addr().expect("an address").port())).await;
    assert!(answer.contains("a=setup:passive\r\n") && answer.contains("a=fingerprint:sha-256 "), "{answer}");
    let there = SocketAddr::new(plain(&house).ip(), port_of(&answer));
    let why = shown.begins(&sound, there).await.err();
    assert!(why.is_some(), "and is told so");
    dialog.is_hung_up().await;
    over(&house).await;
    let ends: Vec<(String, String)> = rows(&house, "SELECT end_reason, end_detail FROM calls").await;
    assert_eq!(ends[0].0, "network-gone");
    assert!(ends[0].1.contains("no keys for the sound: the other side's certificate is not the one"), "{ends:?}");
    assert_eq!(keyless(&house, "fingerprint").await, 1);
    let mut buffer = [0; 2_048];
    while let Ok(read) = sound.try_recv(&mut buffer) {
        assert!((20..=63).contains(&buffer[0]), "no sound has left: {:?}", &buffer[..read]);
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_and_nothing_is_believed_before_there_are_keys_and_another_certificate_gets_others() {
    let house = house("").await;
    let (sound, _reports) = pair().await;
    let port = sound.local_addr().expect("an address").port();
    let first = Shown::new();
    let mut dialog = Dialog::with(plain(&house)).await;
    let answer = dialog.offers(&first.offer(port)).await;
    let there = SocketAddr::new(plain(&house).ip(), port_of(&answer));
    for n in 0..5 {
        sound.send_to(&silence(n), there).await.expect("sent");
    }
    let patience = Instant::now() + PATIENCE;
    while unopened(&house, "early").await < 5 {
        assert!(Instant::now() < patience, "what comes too early is counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sound.try_recv(&mut [0; 2_048]).is_err(), "nothing has left");
    // What others send to the port, as DTLS too, changes nothing.
    let stranger = UdpSocket::bind("127.0.0.2:0").await.expect("a port");
    let hello = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 13, 1, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 7];
    stranger.send_to(&hello, there).await.expect("sent");
    let mut theirs = first.begins(&sound, there).await.expect("keys");
    assert_eq!(hears(&sound, &mut theirs).await.len(), 172, "20 ms of A-law");
    // The same again: the keys stay. Another certificate: others.
    let again = dialog.offers(&first.offer(port)).await;
    assert_eq!(line_of(&again, "a=setup:").as_deref(), Some("passive"), "{again}");
    for _ in 0..20 {
        hears(&sound, &mut theirs).await;
    }
    let second = Shown::new();
    let again = dialog.offers(&second.offer(port)).await;
    assert!(again.starts_with("SIP/2.0 200 "), "{again}");
    // What was on its way is by the old keys.
    while sound.try_recv(&mut [0; 2_048]).is_ok() {}
    let mut theirs = second.begins(&sound, there).await.expect("other keys");
    for _ in 0..20 {
        hears(&sound, &mut theirs).await;
    }
    // Neither in the clear nor with keys in the SDP does it go on.
    let clear = first.offer(port).replace("UDP/TLS/RTP/SAVP", "RTP/AVP");
    let refused = dialog.offers(&clear).await;
    assert!(refused.starts_with("SIP/2.0 488 "), "{refused}");
    hears(&sound, &mut theirs).await;
    dialog.hang_up().await;
    over(&house).await;
    assert_eq!(keyless(&house, "fingerprint").await + keyless(&house, "timeout").await, 0);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_come_about_is_refused_before_it_rings() {
    let house = house("").await;
    let offer = Shown::new().offer(40_000);
    for (from, to, why) in [
        ("a=setup:active", "a=setup:holdconn", "neither side would begin with DTLS"),
        ("a=fingerprint:SHA-256", "a=fingerprint:md5", "without a certificate that is named here"),
    ] {
        let mut dialog = Dialog::with(plain(&house)).await;
        let answer = dialog.offers(&offer.replace(from, to)).await;
        assert!(answer.starts_with("SIP/2.0 488 ") && answer.contains(why), "{answer}");
    }
    assert_eq!(rows::<(i64,)>(&house, "SELECT count(*) FROM calls").await, [(0,)]);
    house.server.stop().await;
}

/// Nobody answers the handshake: the call ends by itself, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_he_begins_and_does_not_is_waited_for_and_no_longer() {
    let house = house("").await;
    let mut dialog = Dialog::with(plain(&house)).await;
    let answer = dialog.offers(&Shown::new().offer(40_000)).await;
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    over(&house).await;
    let ends: Vec<(String, String)> = rows(&house, "SELECT end_reason, end_detail FROM calls").await;
    assert!(ends[0].1.contains("DTLS was not finished within 10 s"), "{ends:?}");
    assert_eq!(keyless(&house, "timeout").await, 1);
    house.server.stop().await;
}
