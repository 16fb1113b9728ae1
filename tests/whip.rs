//! WHIP as RFC 9725 has it, rule by rule, over HTTP; and where the draft of WHEP says the same. docs/DOORS.md has the table. That sound
//! goes both ways is for `doors.rs`, with aiortc.

mod house;

use duologue::peer::client::Caller;
use duologue::peer::{PeerEvent, Port, PortConfig};
use duologue_signaling::whip::{self, Credentials, fragment_of, restarted};
use house::House;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, StatusCode, header};

const KEY: &str = "a-key-for-the-doors";
const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Of another site's page.
const PAGE: &str = "https://studio.example.org";

/// A server, its key, and a port from which microphones are offered.
struct Studio {
    house: House,
    _folder: tempfile::TempDir,
    port: Port,
    http: Client,
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl Into<HeaderName>) -> &str {
        self.headers.get(name.into()).map_or("", |value| value.to_str().expect("text"))
    }

    /// Of a problem document, what it is about.
    fn problem(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["type"].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned()
    }
}

impl Studio {
    async fn open(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, KEY).expect("written");
        let file = file.display().to_string();
        let more = format!(
            "cors_origins = [{PAGE:?}]\n[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n\
             [judge]\nkind = \"rules\"\n[doors]\nkey_file = {file:?}\n\
             [turn_servers]\nurls = [\"stun:192.0.2.1\", \"turn:192.0.2.1:3478\"]\nsecret_file = {file:?}\n{more}"
        );
        let house = House::open_with(&more).await;
        let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
        Self { house, _folder: folder, port, http: Client::new() }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.house.url)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.text().await.expect("text") }
    }

    /// With the key.
    async fn asks(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {KEY}");
        self.ask(method, path, &[headers, &[("Authorization", bearer.as_str())]].concat(), body).await
    }

    async fn posts(&self, offer: &str) -> Answer {
        self.asks("POST", "/v1/whip?persona=echo", &[("Content-Type", SDP)], offer).await
    }

    /// A microphone's offer, as WHIP wants it.
    async fn offer(&self) -> (Caller, String) {
        let caller = Caller::new(&self.port).await.expect("an offer");
        let offer = caller.offer().replace("a=sendrecv", "a=sendonly");
        assert!(offer.contains("a=sendonly") && offer.contains("a=rtcp-mux\r\n"), "{offer}");
        (caller, offer)
    }

    /// Waits until no call is alive.
    async fn empty(&self) {
        while self.house.server.registry.count() > 0 || self.house.server.registry.is_full() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn hangs_up(&self, session: &str) {
        assert_eq!(self.asks("DELETE", session, &[], "").await.status, StatusCode::OK, "{session}");
    }
}

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|found| found.trim_end() == line).count()
}

/// Sections 4.2, 4.4.1, 4.4.4 and 4.6.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_answered_one_way_in_one_bundle_with_all_candidates() {
    let studio = Studio::open("").await;
    let (_caller, offer) = studio.offer().await;
    for (way, setup, answered) in
        [("sendonly", "actpass", "passive"), ("sendrecv", "actpass", "passive"), ("sendonly", "active", "passive")]
    {
        let offer =
            offer.replace("a=sendonly", &format!("a={way}")).replace("a=setup:actpass", &format!("a=setup:{setup}"));
        let answer = studio.posts(&offer).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        assert_eq!(answer.header(header::CONTENT_TYPE), SDP);
        let session = answer.header(header::LOCATION).to_owned();
        assert!(
            session.starts_with("/v1/whip/") && session.len() > "/v1/whip/".len() + 30,
            "nobody guesses it: {session}"
        );
        let tag = answer.header(header::ETAG);
        assert!(tag.starts_with('"') && tag.len() > 10, "a strong one: {tag}");
        let body = &answer.body;
        let audio = body.split("m=").find(|section| section.starts_with("audio")).expect("a section of sound");
        assert_eq!((count(audio, "a=recvonly"), count(audio, "a=sendrecv")), (1, 0), "{way}: {body}");
        assert_eq!((count(audio, "a=rtcp-mux"), count(audio, "a=end-of-candidates")), (1, 1), "{body}");
        // RFC 8858, section 4.3: that is an offer's, and no answer's.
        assert_eq!(count(body, "a=rtcp-mux-only"), 0);
        assert_eq!(count(audio, &format!("a=setup:{answered}")), 1, "{setup}: {body}");
        let bundle = body.lines().find(|line| line.starts_with("a=group:BUNDLE")).expect("a bundle");
        let mids: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
        assert!(!mids.is_empty() && mids.iter().all(|mid| bundle.split(' ').any(|one| one == *mid)), "{body}");
        assert!(audio.contains("a=candidate:") && Credentials::of(body).is_some(), "{body}");
        let links: Vec<&str> =
            answer.headers.get_all(header::LINK).iter().map(|link| link.to_str().expect("text")).collect();
        assert!(links.contains(&"<stun:192.0.2.1>; rel=\"ice-server\""), "{links:?}");
        let relay =
            links.iter().find(|link| link.starts_with("<turn:192.0.2.1:3478>; rel=\"ice-server\"; username=\""));
        assert!(relay.is_some_and(|relay| relay.contains("; credential=\"")), "{links:?}");
        assert!(relay.is_some_and(|relay| relay.ends_with("; credential-type=\"password\"")), "{links:?}");
        studio.hangs_up(&session).await;
    }
    studio.house.server.stop().await;
}

/// Sections 4.2, 4.4.1, 4.4.2 and 4.5.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_microphone_s_offer_is_refused_by_name_and_leaves_nothing() {
    let studio = Studio::open("[calls]\nmax = 1\n").await;
    let (_caller, offer) = studio.offer().await;
    let audio = offer.split("m=").find(|section| section.starts_with("audio")).expect("a section of sound");
    let mid = audio.lines().find_map(|line| line.strip_prefix("a=mid:")).expect("its name");
    let twice = offer.replace(&format!("a=group:BUNDLE {mid}"), &format!("a=group:BUNDLE {mid} second"));
    let twice = format!("{twice}m={}", audio.replace(&format!("a=mid:{mid}\r\n"), "a=mid:second\r\n"));
    let other = format!("a=msid:other track\r\n{}", "a=rtcp-mux\r\n");
    let pictures = |msid: &str| {
        let video = format!(
            "m={}",
            audio.replacen("audio", "video", 1).replace(&format!("a=mid:{mid}\r\n"), "a=mid:second\r\n")
        );
        let video: String =
            video.lines().filter(|line| !line.starts_with("a=msid:")).map(|line| format!("{line}\r\n")).collect();
        let bundled = offer.replace(&format!("a=group:BUNDLE {mid}"), &format!("a=group:BUNDLE {mid} second"));
        let streams: String =
            bundled.lines().filter(|line| !line.starts_with("a=msid:")).map(|line| format!("{line}\r\n")).collect();
        let streams = streams.replacen("a=rtcp-mux\r\n", "a=msid:one track\r\na=rtcp-mux\r\n", 1);
        format!("{streams}{}", video.replacen("a=rtcp-mux\r\n", msid, 1))
    };
    let loose =
        pictures("a=rtcp-mux\r\n").replace(&format!("a=group:BUNDLE {mid} second"), &format!("a=group:BUNDLE {mid}"));
    for (kind, body, status, problem) in [
        ("application/json", offer.clone(), 415, "not-sdp"),
        ("", offer.clone(), 415, "not-sdp"),
        (SDP, "hello".into(), 400, "not-sdp"),
        (SDP, String::new(), 400, "not-sdp"),
        (SDP, offer.replace("m=audio", "m=audio nine"), 400, "malformed-sdp"),
        (SDP, "v=0\r\n".to_owned() + &"a=x\r\n".repeat(20_000), 413, "body-too-large"),
        (SDP, offer.replace("a=sendonly", "a=recvonly"), 422, "sends-nothing"),
        (SDP, offer.replace("a=sendonly", "a=inactive"), 422, "audio-inactive"),
        (SDP, offer.replace("m=audio", "m=text"), 422, "no-audio"),
        (SDP, offer.replace("opus/48000/2", "VP8/90000"), 422, "no-opus"),
        (SDP, offer.replace("a=rtcp-mux\r\n", ""), 422, "no-rtcp-mux"),
        (SDP, twice, 422, "several-tracks"),
        (SDP, pictures(&other), 422, "several-streams"),
        (SDP, loose, 422, "not-bundled"),
    ] {
        let answer = studio.asks("POST", "/v1/whip", &[("Content-Type", kind)], &body).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (status, problem), "{}\n{body}", answer.body);
        assert_eq!(studio.house.server.registry.count(), 0, "{problem}");
    }
    // The one line is free all the same; and the next is told when to come back.
    let answer = studio.posts(&offer).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let full = studio.posts(&offer).await;
    assert_eq!((full.status, full.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "all-lines-taken"));
    assert!(full.header(header::RETRY_AFTER).parse::<u32>().is_ok());
    studio.hangs_up(answer.header(header::LOCATION)).await;
    studio.empty().await;
    // Pictures of the same stream are refused as a section, and the sound is taken: an encoder that always sends both is heard.
    let answer = studio.posts(&pictures("a=msid:one picture\r\na=rtcp-mux\r\n")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert!(answer.body.contains("\r\nm=video 0 "), "{}", answer.body);
    studio.house.server.stop().await;
}

/// Sections 4.2 and 4.7.
#[tokio::test(flavor = "multi_thread")]
async fn methods_keys_and_pages_of_other_sites_are_minded() {
    let studio = Studio::open("").await;
    let (_caller, offer) = studio.offer().await;
    let answer = studio.posts(&offer).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let session = answer.header(header::LOCATION).to_owned();
    for (path, methods) in [
        ("/v1/whip", &["GET", "HEAD", "PUT", "PATCH", "DELETE"][..]),
        (session.as_str(), &["GET", "HEAD", "PUT", "POST"]),
    ] {
        for method in methods {
            let answer = studio.asks(method, path, &[], "").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allowed = answer.header(header::ALLOW);
            let wanted = if path == session { ["PATCH", "DELETE"].as_slice() } else { &["POST"] };
            assert!(wanted.iter().all(|method| allowed.contains(method)), "{method} {path}: {allowed:?}");
        }
    }
    // Every request but OPTIONS shows the key.
    for (key, status) in [("", 401), ("Bearer guess", 401), ("Basic YTpi", 401)] {
        for (method, path) in [("POST", "/v1/whip"), ("PATCH", session.as_str()), ("DELETE", session.as_str())] {
            let answer = studio.ask(method, path, &[("Authorization", key), ("Content-Type", SDP)], &offer).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header(header::WWW_AUTHENTICATE)),
                (status, "Bearer"),
                "{method}"
            );
        }
    }
    for path in ["/v1/whip", session.as_str()] {
        let asked = [
            ("Origin", PAGE),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "if-match"),
        ];
        let answer = studio.ask("OPTIONS", path, &asked, "").await;
        assert!(answer.status.is_success(), "{path}");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), PAGE);
        let methods = answer.header(header::ACCESS_CONTROL_ALLOW_METHODS);
        assert!(["POST", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
        let headers = answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS).to_lowercase();
        assert!(["authorization", "content-type", "if-match"].iter().all(|name| headers.contains(name)), "{headers}");
        assert_eq!(answer.headers.contains_key("accept-post"), path == "/v1/whip");
        assert!(!answer.headers.contains_key(header::LINK), "no relay's password for whoever asks");
        let elsewhere = studio.ask("OPTIONS", path, &[("Origin", "https://elsewhere.example")], "").await;
        assert!(!elsewhere.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
    let answer = studio.asks("POST", "/v1/whip", &[("Content-Type", SDP), ("Origin", PAGE)], &offer).await;
    let shown = answer.header(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    assert!(["Location", "ETag", "Link"].iter().all(|name| shown.contains(name)), "{shown}");
    studio.hangs_up(answer.header(header::LOCATION)).await;
    // The scheme's name is written as one likes.
    let lower = format!("bearer {KEY}");
    let answer = studio.ask("DELETE", &session, &[("Authorization", &lower)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    studio.house.server.stop().await;
}

/// Section 4.3.
#[tokio::test(flavor = "multi_thread")]
async fn candidates_come_for_the_session_whose_tag_is_shown_and_a_new_session_gets_a_new_one() {
    let studio = Studio::open("").await;
    let (caller, offer) = studio.offer().await;
    let answer = studio.posts(&offer).await;
    let (session, tag) = (answer.header(header::LOCATION).to_owned(), answer.header(header::ETAG).to_owned());
    let published = answer.body;
    let mut peer = caller.answered(&published).await.expect("usable");
    while !matches!(peer.events.recv().await, Some(PeerEvent::Connected) | None) {}
    let Credentials { ufrag, pwd } = Credentials::of(&offer).expect("credentials");
    let fragment = |candidates: &str| {
        format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{candidates}")
    };
    let host = fragment("a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n");
    let odd = fragment(
        "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
         a=candidate:3 1 udp 1 nobody-knows-me.local 9 typ host\r\na=candidate:4 1 sctp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n",
    );
    let (other, none) = ("\"another\"", "");
    for (kind, tag, body, status) in [
        (SDP, tag.as_str(), host.as_str(), 415),
        (none, &tag, &host, 415),
        (FRAGMENT, &tag, "hello", 400),
        (FRAGMENT, &tag, "a=ice-ufrag:EsAw\r\n", 400),
        (FRAGMENT, none, &host, 428),
        (FRAGMENT, other, &host, 412),
        (FRAGMENT, &tag, &host, 204),
        // What is not spoken here, or cannot be looked up, is let pass without a word.
        (FRAGMENT, &tag, &odd, 204),
    ] {
        let mut headers = vec![("Content-Type", kind)];
        headers.extend((!tag.is_empty()).then_some(("If-Match", tag)));
        let answer = studio.asks("PATCH", &session, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {tag} {body}: {}", answer.body);
        if status == 204 {
            assert!(answer.body.is_empty() && !answer.headers.contains_key(header::ETAG), "{body}");
        }
    }
    // A restart that cannot be: the session stays as it was.
    let restart = [("Content-Type", FRAGMENT), ("If-Match", "*")];
    let answer = studio.asks("PATCH", &session, &restart, "a=ice-ufrag:ysXw\r\na=ice-pwd:short\r\n").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        studio.asks("PATCH", &session, &[restart[0], ("If-Match", &tag)], &host).await.status,
        StatusCode::NO_CONTENT
    );
    // And one that can.
    let again = peer.line.restart().await.expect("a further offer");
    let answer = studio.asks("PATCH", &session, &restart, &fragment_of(&again)).await;
    assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (StatusCode::OK, FRAGMENT), "{}", answer.body);
    let new = answer.header(header::ETAG).to_owned();
    assert!(new.starts_with('"') && new != tag, "{new}");
    let fragment = whip::read(&answer.body).expect("a fragment");
    let credentials = fragment.credentials.expect("credentials");
    assert_ne!(Credentials::of(&published), Some(credentials.clone()));
    peer.line.restarted(restarted(&published, &credentials, &fragment.candidates)).await.expect("usable");
    for (tag, status) in [(&tag, StatusCode::PRECONDITION_FAILED), (&new, StatusCode::NO_CONTENT)] {
        let fragment = "a=end-of-candidates\r\n";
        let answer = studio.asks("PATCH", &session, &[restart[0], ("If-Match", tag)], fragment).await;
        assert_eq!(answer.status, status, "{tag}: {}", answer.body);
    }
    // To hang up no tag is needed, and a wrong one does not matter.
    let answer = studio.asks("DELETE", &session, &[("If-Match", other)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    while !matches!(peer.events.recv().await, Some(PeerEvent::Gone(_)) | None) {}
    studio.empty().await;
    for method in ["DELETE", "PATCH"] {
        let answer = studio.asks(method, &session, &restart, &host).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::GONE, "call-over"), "{method}");
        let answer = studio.asks(method, "/v1/whip/nobody", &restart, &host).await;
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::NOT_FOUND, "no-such-call"), "{method}");
    }
    let answer = studio.asks("POST", &session.replace("/whip/", "/whep/"), &[("Content-Type", SDP)], &offer).await;
    assert_eq!(answer.status, StatusCode::GONE);
    studio.house.server.stop().await;
}

/// What the draft of WHEP (draft-ietf-wish-whep) has in common with it.
#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_answered_one_way_as_well_and_has_a_session_of_his_own() {
    let studio = Studio::open("").await;
    let (_caller, offer) = studio.offer().await;
    let published = studio.posts(&offer).await;
    let session = published.header(header::LOCATION).to_owned();
    let links = published.headers.get_all(header::LINK).iter();
    let links: Vec<&str> = links.map(|link| link.to_str().expect("text")).collect();
    let listen = links
        .iter()
        .find_map(|link| link.strip_prefix('<')?.strip_suffix(">; rel=\"alternate\"; type=\"application/sdp\""));
    let listen = listen.unwrap_or_else(|| panic!("no place to listen: {links:?}")).to_owned();
    let wants = offer.replace("a=sendonly", "a=recvonly");
    let played = studio.asks("POST", &listen, &[("Content-Type", SDP)], &wants).await;
    assert_eq!((played.status, played.header(header::CONTENT_TYPE)), (StatusCode::CREATED, SDP), "{}", played.body);
    assert_eq!((count(&played.body, "a=sendonly"), count(&played.body, "a=recvonly")), (1, 0), "{}", played.body);
    let listener = played.header(header::LOCATION).to_owned();
    assert!(listener.starts_with(&format!("{listen}/")) && played.headers.contains_key(header::ETAG), "{listener}");
    for (method, path, body, kind, status) in [
        ("POST", listen.as_str(), "hello", SDP, 400),
        ("POST", &listen, &wants, "text/plain", 415),
        ("POST", "/v1/whep/nobody", &wants, SDP, 404),
        ("GET", &listen, "", "", 405),
        ("PUT", &listener, "", "", 405),
        ("PATCH", &listener, "a=end-of-candidates\r\n", FRAGMENT, 428),
        ("PATCH", &format!("{listen}/nobody"), "a=end-of-candidates\r\n", FRAGMENT, 404),
        ("DELETE", &listener, "", "", 200),
        ("DELETE", &listener, "", "", 404),
    ] {
        let answer = studio.asks(method, path, &[("Content-Type", kind)], body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
    }
    let answer = studio.ask("POST", &listen, &[("Content-Type", SDP)], &wants).await;
    assert_eq!((answer.status.as_u16(), answer.header(header::WWW_AUTHENTICATE)), (401, "Bearer"));
    studio.hangs_up(&session).await;
    studio.house.server.stop().await;
}
