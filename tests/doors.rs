//! Each door with a client that speaks its protocol already: OpenAI's SDK, aiortc; and, where there is no such program to be had
//! (Twilio's cloud; Asterisk, which Debian 12 has not), a small client written from the protocol's own description.

mod house;

use std::path::{Path, PathBuf};
use std::time::Duration;

use duologue_signaling::audio_socket::{HANG_UP, Message, Reader, sound};
use duologue_signaling::whip::{Credentials, fragment_of, restarted};
use house::House;
use reqwest::{Client, StatusCode, header};
use serde_json::Value;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "a-key-for-the-doors";

/// A server with every door open, for those with the key.
async fn open_house() -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, KEY).expect("written");
    let doors = format!(
        "[doors]\ntwilio = true\naudio_socket = \"127.0.0.1:0\"\nkey_file = {:?}\n\
         [turn_servers]\nurls = [\"turn:192.0.2.1:3478\"]\nsecret_file = {:?}\n",
        file.display().to_string(),
        file.display().to_string()
    );
    (House::scripted_with(&doors).await, folder)
}

/// Where `make test` puts what the clients need.
fn clients() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
    let folder = cache.join("duologue/python-clients");
    if folder.join("openai").exists() && folder.join("aiortc").exists() {
        return Some(folder);
    }
    let hint = "the doors' clients are missing: `make clients` installs them";
    assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "{hint}");
    println!("not tried: {hint}");
    None
}

/// Runs a client against the house; what it saw.
async fn run(script: &str, house: &House) -> Option<Value> {
    let packages = clients()?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let out = tokio::process::Command::new("python3")
        .arg(scripts.join(script))
        .args([house.url.as_str(), KEY])
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 starts");
    let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{script}: {why}");
    println!("{said}");
    Some(serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{script}: {fault}: {said} {why}")))
}

async fn rows(house: &House) -> SqliteConnection {
    while house.server.registry.count() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.server.registry.settle().await;
    SqliteConnectOptions::new().filename(house.database()).read_only(true).connect().await.expect("the database")
}

/// Transport, end and caller of each call, in their order.
async fn calls(rows: &mut SqliteConnection) -> Vec<(String, String, Option<String>)> {
    let sql = "SELECT transport, end_reason, callers.name FROM calls LEFT JOIN callers ON callers.id = caller_id ORDER BY started_utc_ms";
    sqlx::query_as(sql).fetch_all(rows).await.expect("calls")
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_s_own_sdk_holds_a_conversation() {
    let (house, _key) = open_house().await;
    let Some(seen) = run("realtime.py", &house).await else { return house.server.stop().await };
    assert_eq!(seen["created"], serde_json::json!(["session.created", 24_000]));
    assert_eq!(seen["instructions"], "Be brief.");

    let greeting = &seen["greeting"];
    assert_eq!(greeting["status"], "completed");
    assert!(
        greeting["transcript"].as_str().is_some_and(|text| text.starts_with("Good evening, Harbour House")),
        "{greeting}"
    );
    assert_eq!(greeting["deltas"], greeting["transcript"], "its pieces are the whole");
    assert!(greeting["seconds"].as_f64().is_some_and(|s| s > 1.0), "{greeting}");
    assert!(greeting["loudness"].as_f64().is_some_and(|loud| loud > 0.01), "{greeting}");

    let question = &seen["question"];
    assert_eq!(question["heard"], "What time does the kitchen close?");
    assert!(
        question["answer"].as_str().is_some_and(|text| text.starts_with("The kitchen closes at ten")),
        "{question}"
    );
    let order: Vec<&str> = question["order"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let place =
        |kind: &str| order.iter().position(|one| *one == kind).unwrap_or_else(|| panic!("no {kind} in {order:?}"));
    let expected = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_audio.done",
        "response.done",
    ];
    assert!(expected.map(place).is_sorted(), "{order:?}");
    // He spoke for 1.2 s from the beginning of his own sound on.
    let ms = |name: &str| question[name].as_u64().expect("milliseconds");
    assert!(ms("started_ms") < 400 && (1_000..2_600).contains(&ms("stopped_ms")), "{question}");

    let barge_in = &seen["barge_in"];
    assert_eq!(
        (&barge_in["status"], &barge_in["reason"]),
        (&"cancelled".into(), &"turn_detected".into()),
        "{barge_in}"
    );
    assert_eq!(barge_in["speech_started"], true);
    assert_eq!(seen["beyond"], "audio_end_after_sent");
    assert_eq!(seen["truncated"], serde_json::json!([true, 400]));
    assert_eq!(seen["cancelled"], serde_json::json!(["cancelled", "client_cancelled"]));
    assert_eq!(seen["refused"], serde_json::json!(["unsupported", "conversation.item.delete"]));
    assert_eq!(seen["no_tools"], serde_json::json!(["unsupported", "session.tools"]));

    let mut rows = rows(&house).await;
    assert_eq!(calls(&mut rows).await, [("realtime".to_owned(), "caller-hangup".to_owned(), None)]);
    let heard: (String,) = sqlx::query_as(
        "SELECT heard FROM turns WHERE speaker = 'agent' AND outcome = 'completed' ORDER BY turn LIMIT 1",
    )
    .fetch_one(&mut rows)
    .await
    .expect("a turn");
    assert_eq!(greeting["transcript"], heard.0, "what the client was told is what the rows have");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aiortc_speaks_through_whip_and_hears_through_whep() {
    let (house, _key) = open_house().await;
    let Some(seen) = run("whip.py", &house).await else { return house.server.stop().await };
    assert_eq!(seen["without_key"], serde_json::json!([401, "Bearer"]));
    assert_eq!(seen["options"], serde_json::json!([204, "application/sdp"]));
    assert_eq!(seen["get"], 405);
    assert_eq!(seen["published"], serde_json::json!([201, true, true]));
    assert_eq!(seen["published_direction"], serde_json::json!(["recvonly"]), "WHIP is one-way");
    assert_eq!(seen["played"], serde_json::json!([201, true, ["sendonly"]]));
    assert!(seen["greeting"].as_f64().is_some_and(|loud| loud > 0.05), "the greeting waited for its listener: {seen}");
    assert!(seen["answer"].as_f64().is_some_and(|loud| loud > 0.05), "{seen}");
    assert_eq!(seen["trickle"], serde_json::json!([428, 412, 204, 415]));
    assert_eq!(seen["deleted"], serde_json::json!([200, 404, 200]));
    let mut rows = rows(&house).await;
    assert_eq!(calls(&mut rows).await, [("whip".to_owned(), "caller-hangup".to_owned(), None)]);
    house.server.stop().await;
}

/// With a peer of ours, since aiortc cannot restart ICE.
#[tokio::test(flavor = "multi_thread")]
async fn a_whip_session_restarts_ice_by_a_fragment() {
    use duologue::peer::client::Caller;
    use duologue::peer::{PeerEvent, Port, PortConfig};
    let (house, _key) = open_house().await;
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let web = Client::new();
    let published = web
        .post(format!("{}/v1/whip?persona=echo", house.url))
        .bearer_auth(KEY)
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(caller.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    assert_eq!(published.status(), StatusCode::CREATED);
    let links: Vec<_> =
        published.headers().get_all(header::LINK).iter().filter_map(|link| link.to_str().ok()).collect();
    assert!(
        links.iter().any(|link| link.starts_with("<turn:192.0.2.1:3478>; rel=\"ice-server\"; username=\"")),
        "{links:?}"
    );
    let at = |name| published.headers()[name].to_str().expect("text").to_owned();
    let (session, tag) = (format!("{}{}", house.url, at(header::LOCATION)), at(header::ETAG));
    let answer = published.text().await.expect("an answer");
    let mut peer = caller.answered(&answer).await.expect("usable");
    while !matches!(peer.events.recv().await, Some(PeerEvent::Connected) | None) {}

    let offer = peer.line.restart().await.expect("a further offer");
    let patched = web
        .patch(&session)
        .bearer_auth(KEY)
        .header(header::CONTENT_TYPE, "application/trickle-ice-sdpfrag")
        .header(header::IF_MATCH, "*")
        .body(fragment_of(&offer))
        .send()
        .await
        .expect("an answer");
    assert_eq!(patched.status(), StatusCode::OK);
    assert_ne!(patched.headers()[header::ETAG], tag, "another ICE session has another tag");
    assert_eq!(patched.headers()[header::CONTENT_TYPE], "application/trickle-ice-sdpfrag");
    let fragment = duologue_signaling::whip::read(&patched.text().await.expect("text")).expect("a fragment");
    let credentials = fragment.credentials.expect("new credentials");
    assert_ne!(Credentials::of(&answer), Some(credentials.clone()));
    peer.line.restarted(restarted(&answer, &credentials, &fragment.candidates)).await.expect("a usable answer");

    assert_eq!(web.get(&session).bearer_auth(KEY).send().await.expect("an answer").status(), 405);
    assert_eq!(web.delete(&session).bearer_auth(KEY).send().await.expect("an answer").status(), 200);
    while peer.events.recv().await.is_some() {}
    house.server.stop().await;
}

/// Realtime over WebRTC: sound on the tracks, messages on the data channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_channel_speaks_realtime_beside_its_tracks() {
    use duologue::peer::client::Caller;
    use duologue::peer::{PeerEvent, Port, PortConfig};
    let (house, _key) = open_house().await;
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let response = Client::new()
        .post(format!("{}/v1/realtime/calls?model=gpt-realtime", house.url))
        .bearer_auth(KEY)
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(caller.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
    assert!(location.starts_with("/v1/realtime/calls/"));
    let mut peer = caller.answered(&response.text().await.expect("an answer")).await.expect("usable");
    let (mut kinds, mut packets) = (Vec::new(), 0);
    loop {
        match peer.events.recv().await.expect("the call lives") {
            PeerEvent::Message(json) => {
                let event: Value = serde_json::from_str(&json).expect("an event");
                let kind = event["type"].as_str().expect("a type").to_owned();
                if kind == "session.created" {
                    peer.line.send_message(r#"{"type":"input_audio_buffer.append","audio":""}"#.into());
                }
                kinds.push(kind);
                if kinds.iter().any(|kind| kind == "response.done") && kinds.iter().any(|kind| kind == "error") {
                    break;
                }
            }
            PeerEvent::Rtp { .. } => packets += 1,
            PeerEvent::Gone(why) => panic!("{why}"),
            _ => {}
        }
    }
    assert!(kinds.iter().any(|kind| kind == "output_audio_buffer.started"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind == "response.output_audio.delta"), "the sound is the track's: {kinds:?}");
    assert!(packets > 50, "{packets} packets");
    let hangup = format!("{}{location}/hangup", house.url);
    assert_eq!(Client::new().post(hangup).bearer_auth(KEY).send().await.expect("an answer").status(), 204);
    while peer.events.recv().await.is_some() {}
    let mut rows = rows(&house).await;
    assert_eq!(calls(&mut rows).await[0].0, "realtime");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_stream_is_answered_marked_and_cleared() {
    let (house, _key) = open_house().await;
    let Some(seen) = run("twilio.py", &house).await else { return house.server.stop().await };
    assert_eq!(seen["refused"], true, "without the key there is no call");
    let greeting = |n: usize| seen["greeting"][n].as_u64().expect("a number");
    assert!(greeting(0) > 50 && greeting(1) > 5, "sound and marks of the greeting: {seen}");
    assert!(seen["answer"].as_u64() > Some(greeting(0) + 30), "{seen}");
    assert_eq!(seen["clears"], 1, "the interruption empties the buffer: {seen}");
    let mut rows = rows(&house).await;
    assert_eq!(calls(&mut rows).await, [("twilio".to_owned(), "caller-hangup".to_owned(), Some("ada".to_owned()))]);
    let (reports,): (i64,) =
        sqlx::query_as("SELECT taken FROM playout_reports").fetch_one(&mut rows).await.expect("a row");
    assert!(reports > 5, "marks are playout reports: {reports}");
    house.server.stop().await;
}

/// Asterisk as its documentation has it: a name, then 20 ms of sound at a time, at 8 kHz and in the codes of both generations at
/// 16 kHz.
#[tokio::test(flavor = "multi_thread")]
async fn asterisk_s_audio_socket_is_a_call_at_each_rate() {
    let (house, _key) = open_house().await;
    let door = house.server.audio_socket.expect("the door is open");
    for (code, samples) in [(0x10, 160), (0x11, 320), (0x12, 320)] {
        let mut asterisk = TcpStream::connect(door).await.expect("a connection");
        let mut name = vec![0x01, 0, 16];
        name.extend([7; 16]);
        asterisk.write_all(&name).await.expect("sent");
        let mut reader = Reader::default();
        let mut loud = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let mut buffer = [0; 4_096];
        // The greeting's first second.
        while loud < 50 {
            tokio::select! {
                _ = tick.tick() => asterisk.write_all(&sound(code, &vec![0; samples])).await.expect("sent"),
                read = asterisk.read(&mut buffer) => {
                    let length = read.expect("read");
                    assert!(length > 0, "the call goes on");
                    reader.push(&buffer[..length]);
                    while let Some(message) = reader.next() {
                        let Message::Sound { code: back, samples: heard, .. } = message else { panic!("{message:?}") };
                        assert_eq!((back, heard.len()), (code, samples), "the same rate comes back, 20 ms at a time");
                        loud += u32::from(heard.iter().any(|sample| sample.unsigned_abs() > 1_000));
                    }
                }
            }
        }
        asterisk.write_all(&[0x03, 0, 1, b'5']).await.expect("sent");
        asterisk.write_all(&HANG_UP).await.expect("sent");
        while asterisk.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    }
    // A rate that nobody resamples, and something that is no AudioSocket.
    for bytes in [sound(0x15, &[0; 882]), b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stranger = TcpStream::connect(door).await.expect("a connection");
        stranger.write_all(&bytes).await.expect("sent");
        stranger.shutdown().await.expect("closed");
        let mut back = Vec::new();
        let _ = stranger.read_to_end(&mut back).await;
        assert!(back.is_empty() || back == HANG_UP, "{back:?}");
    }
    let mut rows = rows(&house).await;
    let calls = calls(&mut rows).await;
    assert_eq!(calls, vec![("audiosocket".to_owned(), "caller-hangup".to_owned(), None); 3]);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_is_shut_is_not_there() {
    let house = House::scripted_with("[doors]\nrealtime = false\nwhip = false\n").await;
    let web = Client::new();
    for path in ["/v1/realtime", "/v1/whip", "/v1/twilio"] {
        let status = web.get(format!("{}{path}", house.url)).send().await.expect("an answer").status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(house.server.audio_socket, None);
    let ice: Value =
        web.get(format!("{}/v1/ice", house.url)).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(ice["iceServers"], serde_json::json!([]));
    house.server.stop().await;
}
