//! SIP over TLS, and over TCP what TLS shares with it; protected sound (SRTP) and its reports: baresip calls and is called, openssl and plain sockets bring what is wrong.
//! `make test` installs both (scripts/system-packages.sh --test).

#[path = "sip/baresip.rs"]
mod baresip;
#[path = "tls/by_hand.rs"]
mod by_hand;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/dtls.rs"]
mod dtls;
mod house;
#[path = "tls/offered.rs"]
mod offered;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use baresip::{Baresip, More, Sounds, share};
use by_hand::{ByHand, FORGED, OURS, context, silence};
use certificates::{Certificates, lines};
use duologue::config::Config;
use duologue::sip::{SipError, SipSettings};
use house::House;
use house::rows::rows;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SIP: &str = "[sip]\nlisten = \"127.0.0.1:0\"\nrtp_first = 32000\nrtp_last = 33999\n";
/// Nothing on loopback takes so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The key of every server here that has one: a variable that cargo sets for every test, with the value "duologue".
const KEY: &str = "[review]\nkey_env = \"CARGO_PKG_NAME\"\n";

async fn house(more: &str) -> House {
    House::scripted_with(&format!("{SIP}{more}")).await
}

fn secure(house: &House) -> SocketAddr {
    house.server.telephones.as_ref().expect("telephones").secure_address.expect("TLS")
}

fn plain(house: &House) -> SocketAddr {
    house.server.telephones.as_ref().expect("telephones").address
}

async fn over(house: &House) {
    let patience = Instant::now() + Duration::from_secs(20);
    while house.server.registry.count() > 0 {
        assert!(Instant::now() < patience, "a call goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn metric(house: &House, name: &str) -> u64 {
    let text = Client::new().get(format!("{}/metrics", house.url)).send().await.expect("an answer");
    let text = text.text().await.expect("a body");
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

async fn rejected(house: &House, reason: &str) -> u64 {
    metric(house, &format!("duologue_sip_rejected_total{{reason=\"{reason}\"}}")).await
}

fn sounds() -> Sounds<'static> {
    Sounds { codec: "PCMA/8000", rate_hz: 8_000, channels: 1, voice_from_ms: 6_500, voice_ms: 1_500, all_ms: 40_000 }
}

/// Until the caller has been answered, and that was heard; then it hangs up. What the agent said and how much of it came out.
async fn conversation(house: &House, phone: &mut Baresip) -> f32 {
    answered(house, phone).await;
    understood(house, phone).await
}

/// Until the caller has been answered, and that was heard.
async fn answered(house: &House, phone: &mut Baresip) {
    let patience = Instant::now() + Duration::from_secs(35);
    while rows::<(String,)>(house, "SELECT type FROM events WHERE type = 'turn-ended'").await.len() < 2 {
        assert!(Instant::now() < patience, "no answer within 35 s:\n{}", phone.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}

/// It hangs up. What was said, and how much of it came out.
async fn understood(house: &House, phone: &mut Baresip) -> f32 {
    phone.hang_up();
    over(house).await;
    let turns: Vec<(String, String)> =
        rows(house, "SELECT speaker, coalesce(heard, text) FROM turns ORDER BY turn LIMIT 3").await;
    assert_eq!(turns[1], ("caller".to_owned(), "What time does the kitchen close?".to_owned()), "{turns:?}");
    let share = share(&phone.heard(), &format!("{} {}", turns[0].1, turns[2].1));
    println!("{share:.2} of the agent's words came out of the telephone");
    share
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_calls_over_tls_and_has_a_conversation() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    let house = house(&files.lines("server")).await;
    let config = format!("sip_cafile {}\n", files.path("ca.pem").display());
    let mut phone = Baresip::start_with(secure(&house).port(), sounds(), More { config: &config, account: "" });
    phone.dial_as("porter", ";transport=tls");
    let share = conversation(&house, &mut phone).await;
    assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
    let ends: Vec<(String, String)> = rows(&house, "SELECT transport, end_reason FROM calls").await;
    assert_eq!(ends, [("sip".to_owned(), "caller-hangup".to_owned())], "its BYE came over the same connection");
    assert_eq!(rejected(&house, "tls").await, 0);
    house.server.stop().await;
}

/// Calls, and gives the end of the call.
async fn dial(house: &House, to: &str) {
    let asked = Client::new().post(format!("{}/v1/calls", house.url)).bearer_auth("duologue");
    let answer = asked.json(&json!({"to": to, "persona": "porter"})).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 202, "{}", answer.json::<Value>().await.expect("JSON"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_is_called_over_tls_if_it_shows_the_right_certificate() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    files.issue("phone", "127.0.0.1");
    files.issue("other", "elsewhere.example.org");
    let ca = format!("tls_ca = \"{}\"\n", files.path("ca.pem").display());
    let more = format!("{ca}outbound = [\"*@127.0.0.1:*\"]\n{}{KEY}", files.lines("server"));
    // The other's certificate is vouched for as well, and is not that of this address.
    let house_of_strangers = house(&more).await;
    let config = format!("sip_certificate {}\n", files.path("other-both.pem").display());
    let other = Baresip::start_with(0, sounds(), More { config: &config, account: "" });
    dial(&house_of_strangers, &format!("sips:anna@127.0.0.1:{}", other.sip + 1)).await;
    over(&house_of_strangers).await;
    let ends: Vec<(String, String)> = rows(&house_of_strangers, "SELECT end_reason, end_detail FROM calls").await;
    assert_eq!(ends[0].0, "unreachable", "{ends:?}");
    assert!(ends[0].1.contains("certificate"), "{ends:?}");
    house_of_strangers.server.stop().await;
    drop(other);

    let house = house(&more).await;
    let ca_file = files.path("ca.pem");
    let config =
        format!("sip_certificate {}\nsip_cafile {}\n", files.path("phone-both.pem").display(), ca_file.display());
    let mut phone = Baresip::start_with(0, sounds(), More { config: &config, account: "" });
    dial(&house, &format!("sip:anna@127.0.0.1:{};transport=tls", phone.sip + 1)).await;
    let share = conversation(&house, &mut phone).await;
    assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
    let ends: Vec<(String, String)> = rows(&house, "SELECT transport, end_reason FROM calls").await;
    assert_eq!(ends, [("sip-out".to_owned(), "caller-hangup".to_owned())]);
    house.server.stop().await;
}

const PROTECTED: More<'_> = More { config: "module srtp.so\n", account: ";mediaenc=srtp-mand" };

async fn unopened(house: &House, reason: &str) -> u64 {
    metric(house, &format!("duologue_srtp_rejected_total{{reason=\"{reason}\"}}")).await
}

/// What its reports said of our packets, and what ours were answered with.
async fn reported(house: &House) -> (i64, i64, Option<f64>) {
    rows(house, "SELECT reports, packets_expected, rtt_ms FROM downlink").await[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_whose_sound_is_protected_has_a_conversation_and_reports_about_it() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    let house = house(&files.lines("server")).await;
    let config = format!("{}sip_cafile {}\n", PROTECTED.config, files.path("ca.pem").display());
    let mut phone = Baresip::start_with(secure(&house).port(), sounds(), More { config: &config, ..PROTECTED });
    phone.dial_as("porter", ";transport=tls");
    let share = conversation(&house, &mut phone).await;
    assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
    // It opens its NAT with an empty packet, which is too short to be a protected one, and with a report (`APP`, "PING") that it sends before
    // it has its keys: that one is in the clear, and is not believed.
    assert!(unopened(&house, "clear").await <= 1);
    for reason in ["authentication", "replay"] {
        assert_eq!(unopened(&house, reason).await, 0, "{reason}");
    }
    let (reports, expected, rtt_ms) = reported(&house).await;
    assert!(reports > 0 && expected > 100, "{reports} reports about {expected} packets\n{}", phone.log());
    assert!(rtt_ms.is_some_and(|rtt_ms| rtt_ms < 1_000.0), "{rtt_ms:?}: it answers our sender reports");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_came_in_the_clear_are_refused_unless_it_is_said_that_they_need_not() {
    let strict = house("").await;
    let mut phone = Baresip::start_with(plain(&strict).port(), sounds(), PROTECTED);
    phone.dial("porter");
    assert!(phone.is_told("488", PATIENCE), "{}", phone.log());
    assert_eq!(strict.server.telephones.as_ref().expect("telephones").counts().refused, 1);
    assert_eq!(rows::<(i64,)>(&strict, "SELECT count(*) FROM calls").await, [(0,)]);
    strict.server.stop().await;
    drop(phone);
    let lenient = house("srtp_in_clear = true\n").await;
    let mut phone = Baresip::start_with(plain(&lenient).port(), sounds(), PROTECTED);
    phone.dial("porter");
    assert!(phone.is_told("CALL_ESTABLISHED", PATIENCE), "{}", phone.log());
    phone.hang_up();
    over(&lenient).await;
    lenient.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_offered_protected_sound_and_gets_no_call_in_the_clear() {
    let files = Certificates::new();
    files.issue("phone", "127.0.0.1");
    files.issue("server", "127.0.0.1");
    for (protects, account) in [(true, PROTECTED.account), (false, "")] {
        let module = if protects { PROTECTED.config } else { "" };
        let config = format!(
            "{module}sip_certificate {}\nsip_cafile {}\n",
            files.path("phone-both.pem").display(),
            files.path("ca.pem").display()
        );
        let mut phone = Baresip::start_with(0, sounds(), More { config: &config, account });
        let port = phone.sip + 1;
        let house = house(&format!(
            "tls_ca = \"{}\"\noutbound = [\"*@127.0.0.1:* via phone\"]\ntrunks = [\"phone=sip:anna@127.0.0.1:{port};transport=tls\"]\n\
             srtp = [\"phone\"]\n{}{KEY}",
            files.path("ca.pem").display(),
            files.lines("server")
        ))
        .await;
        dial(&house, &format!("sip:anna@127.0.0.1:{port}")).await;
        if protects {
            let share = conversation(&house, &mut phone).await;
            assert!(share >= 0.7, "{share:.2}\n{}", phone.log());
            assert!(reported(&house).await.0 > 0, "{}", phone.log());
        } else {
            over(&house).await;
            let ends: Vec<(String, String)> = rows(&house, "SELECT end_reason, end_detail FROM calls").await;
            assert_eq!(ends[0].0, "unreachable", "{ends:?}");
        }
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_does_not_prove_itself_is_counted_and_draws_none_away() {
    let house = house("srtp_in_clear = true\n").await;
    let mut phone = ByHand::call(plain(&house)).await;
    let first = phone.hears().await;
    assert_eq!((first[1] & 0x7f, first.len()), (8, 172), "20 ms of A-law");
    // From another port of the same machine, which a telephone behind a NAT might have: in the clear, with another key, too short.
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut forger = context(&FORGED);
    stranger.send_to(&silence(1), phone.there).await.expect("sent");
    for n in 2..5 {
        let forged = forger.encrypt_rtp(&silence(n)).expect("sealed");
        stranger.send_to(&forged, phone.there).await.expect("sent");
    }
    stranger.send_to(&silence(6)[..11], phone.there).await.expect("sent");
    let patience = Instant::now() + PATIENCE;
    while unopened(&house, "authentication").await < 4 || unopened(&house, "short").await < 1 {
        assert!(Instant::now() < patience, "what was forged is counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(phone.still_hears().await, "the agent's sound comes here all the same");
    assert!(stranger.try_recv(&mut [0; 2_048]).is_err(), "and none of it goes there");
    // The telephone's own, each of them twice.
    let mut ours = context(&OURS);
    for n in 100..110 {
        let sealed = ours.encrypt_rtp(&silence(n)).expect("sealed");
        phone.sound.send_to(&sealed, phone.there).await.expect("sent");
        phone.sound.send_to(&sealed, phone.there).await.expect("sent");
    }
    while unopened(&house, "replay").await < 10 {
        assert!(Instant::now() < patience, "what came twice is counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((unopened(&house, "replay").await, unopened(&house, "authentication").await), (10, 4));
    // The reports are protected as well: one says what has left, and by whom.
    let report = phone.is_told().await;
    assert_eq!(report[1], 200, "a sender report");
    assert!(report.windows(2).any(|two| two == [0x81, 202]), "with who says it: {report:?}");
    phone.hang_up().await;
    over(&house).await;
    house.server.stop().await;
}

fn options(name: &str, transport: &str, more: &str) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{name};rport\r\n\
         From: <sip:a@127.0.0.1>;tag={name}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {name}@x\r\nCSeq: 1 OPTIONS\r\n{more}\r\n"
    )
}

/// What comes back for this over a connection of its own, until it is closed or `until` has come.
async fn over_tcp(at: SocketAddr, pieces: &[&[u8]], until: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    for piece in pieces {
        stream.write_all(piece).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let (mut heard, mut buffer) = (String::new(), vec![0; 4_096]);
    while until.is_empty() || !heard.contains(until) {
        let read =
            tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer, or an end, in time");
        match read {
            Ok(read) if read > 0 => heard += &String::from_utf8_lossy(&buffer[..read]),
            _ => break,
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_over_tcp_is_counted_answered_and_costs_the_connection_only_where_its_end_is_unknown() {
    let house = house("").await;
    let at = plain(&house);
    // In order, in pieces, and with a space where some readers expect none.
    let body = options("space", "TCP", "Content-Type: text/plain\r\nContent-Length : 4\r\n") + "body";
    let good = options("good", "TCP", "Content-Length: 0\r\n");
    let (one, two) = body.as_bytes().split_at(50);
    let heard = over_tcp(at, &[b"\r\n\r\n", one, two, good.as_bytes()], "Call-ID: good@x").await;
    assert!(heard.starts_with("\r\n"), "a ping is answered: {heard:?}");
    assert!(heard.contains("Call-ID: space@x") && heard.matches("SIP/2.0 200").count() == 2, "{heard}");
    // Wrong, with an end: answered, and the next is read.
    let twice = options("twice", "TCP", "CSeq: 2 OPTIONS\r\nContent-Length: 0\r\n");
    let unknown = options("unknown", "TCP", "Content-Length: 0\r\n").replace("OPTIONS", "BREW");
    let heard = over_tcp(at, &[twice.as_bytes(), unknown.as_bytes(), good.as_bytes()], "Call-ID: good@x").await;
    let statuses: Vec<&str> = heard.lines().filter_map(|line| line.strip_prefix("SIP/2.0 ")?.get(..3)).collect();
    assert_eq!(statuses, ["400", "501", "200"], "{heard}");
    assert_eq!((rejected(&house, "header-repeated").await, rejected(&house, "method").await), (1, 1));
    // No end: answered, and closed.
    let endless = options("endless", "TCP", "Content-Length: many\r\n");
    let heard = over_tcp(at, &[endless.as_bytes()], "").await;
    assert!(heard.starts_with("SIP/2.0 400 Bad Request: Content-Length is no number\r\n"), "{heard}");
    let large = options("large", "TCP", "Content-Length: 99999999\r\n");
    let heard = over_tcp(at, &[large.as_bytes()], "").await;
    assert!(heard.starts_with("SIP/2.0 513 "), "{heard}");
    assert_eq!(over_tcp(at, &[&[0x16, 3, 1, 0, 5]], "").await, "", "TLS where none is spoken");
    assert_eq!((rejected(&house, "content-length").await, rejected(&house, "too-large").await), (1, 1));
    assert_eq!(rejected(&house, "not-sip").await, 1);
    let patience = Instant::now() + PATIENCE;
    while metric(&house, "duologue_sip_connections").await > 0 {
        assert!(Instant::now() < patience, "a connection that is closed is counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.server.stop().await;
}

/// What openssl's client hears for this, said with pauses in between, and what it says of the connection.
async fn by_openssl(at: SocketAddr, arguments: Vec<String>, said: Vec<String>) -> String {
    tokio::task::spawn_blocking(move || {
        let mut client = Command::new("timeout")
            .args(["5", "openssl", "s_client", "-connect", &at.to_string(), "-ign_eof"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl");
        let pipe = client.stdin.as_mut().expect("a pipe");
        for said in said {
            pipe.write_all(said.as_bytes()).expect("it listens");
            std::thread::sleep(Duration::from_millis(700));
        }
        let out = client.wait_with_output().expect("an end");
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    })
    .await
    .expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_over_tls_is_counted_and_answered_too() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    let house = house(&files.lines("server")).await;
    let at = secure(&house);
    let good = options("good", "TLS", "Content-Length: 0\r\n");
    let twice = options("twice", "TLS", "CSeq: 2 OPTIONS\r\nContent-Length: 0\r\n");
    let endless = options("endless", "TLS", "Content-Length: many\r\n");
    let trust = ["-CAfile".to_owned(), files.path("ca.pem").display().to_string(), "-verify_return_error".to_owned()];
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = trust.iter().cloned().chain([version.to_owned()]).collect();
        let heard = by_openssl(at, arguments, vec![format!("{twice}{good}"), format!("{endless}{good}")]).await;
        let statuses: Vec<&str> = heard.lines().filter_map(|line| line.strip_prefix("SIP/2.0 ")?.get(..3)).collect();
        // What stands behind that without an end is not read.
        assert_eq!(statuses, ["400", "200", "400"], "{version}\n{heard}");
        assert!(heard.contains("Verify return code: 0 (ok)"), "{version}\n{heard}");
    }
    let old = by_openssl(at, vec!["-tls1_1".to_owned()], Vec::new()).await;
    assert!(old.contains("alert") || old.contains("no protocols available"), "{old}");
    let heard = over_tcp(at, &[good.as_bytes()], "").await;
    assert!(!heard.contains("SIP/2.0"), "who speaks no TLS is answered nothing: {heard:?}");
    assert!(rejected(&house, "tls").await >= 1);
    assert_eq!((rejected(&house, "header-repeated").await, rejected(&house, "content-length").await), (2, 2));
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_are_as_few_as_over_tcp() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    let house = house(&format!("tcp_most_per_address = 2\n{}", files.lines("server"))).await;
    let open = [TcpStream::connect(secure(&house)).await, TcpStream::connect(plain(&house)).await];
    let mut third = TcpStream::connect(secure(&house)).await.expect("the kernel takes it");
    let read = tokio::time::timeout(PATIENCE, third.read(&mut [0; 8])).await.expect("an end in time");
    assert!(matches!(read, Ok(0) | Err(_)), "one too many is closed: {read:?}");
    assert_eq!(rejected(&house, "connection").await, 1);
    drop(open);
    house.server.stop().await;
}

#[test]
fn a_certificate_or_a_key_that_will_not_do_is_named() {
    let files = Certificates::new();
    files.issue("server", "127.0.0.1");
    files.issue("other", "127.0.0.1");
    let settings = |lines: &str| {
        let config = Config::parse(&format!("{SIP}{lines}"), "test").expect("a configuration");
        SipSettings::of(&config.sip).map(|_| ()).map_err(|why: SipError| why.to_string())
    };
    let fault = |lines: &str| settings(lines).expect_err("a fault");
    assert_eq!(settings(&files.lines("server")), Ok(()));
    let alone = fault("tls_listen = \"127.0.0.1:0\"\n");
    assert!(alone.contains("sip.tls_certificate and sip.tls_key"), "{alone}");
    let (pem, key) = (files.path("server.pem"), files.path("server-key.pem"));
    let missing = fault(&lines(&files.path("none.pem"), &key));
    assert!(missing.starts_with("sip.tls_certificate ") && missing.contains("none.pem: No such file"), "{missing}");
    let no_certificate = fault(&lines(&key, &key));
    assert!(no_certificate.contains("has no \"BEGIN CERTIFICATE\" in it"), "{no_certificate}");
    let no_key = fault(&lines(&pem, &pem));
    assert!(no_key.starts_with("sip.tls_key ") && no_key.contains("has no private key"), "{no_key}");
    let another = fault(&lines(&pem, &files.path("other-key.pem")));
    assert!(another.starts_with("sip.tls_key does not belong to the first certificate"), "{another}");
    let ca = fault(&format!("tls_ca = \"{}\"\n", key.display()));
    assert!(ca.starts_with("sip.tls_ca ") && ca.contains("has no \"BEGIN CERTIFICATE\""), "{ca}");
}
