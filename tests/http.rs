//! The HTTP side of a server: what is refused, how, and that calls go on meanwhile.

mod house;

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue::serve::{ServeError, Server};
use house::{House, config};
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;

/// Posts an offer.
async fn offer(house: &House, kind: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = Client::new().post(format!("{}/v1/calls", house.url)).header(header::CONTENT_TYPE, kind).body(body);
    request.send().await.expect("an answer")
}

async fn problem(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let kind = response.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
    assert_eq!(kind, "application/problem+json");
    (status, response.json().await.expect("a problem document"))
}

/// A refusal with everything that a person needs.
async fn refused(response: Response, status: u16, says: &str) {
    let (got, problem) = problem(response).await;
    let text = problem.to_string();
    assert_eq!(got.as_u16(), status, "{text}");
    assert!(text.contains(says), "{says:?} is not in {text}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
    assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{text}");
}

async fn call(house: &House, persona: &str) -> (String, Peer, Port) {
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let response = Client::new()
        .post(format!("{}/v1/calls?persona={persona}", house.url))
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(caller.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/sdp");
    let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
    let mut peer = caller.answered(&response.text().await.expect("an answer")).await.expect("usable");
    while !matches!(peer.events.recv().await, Some(PeerEvent::Connected) | None) {}
    (location, peer, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_offer_is_refused_by_its_fault_and_calls_go_on() {
    let house = House::scripted().await;
    let (location, mut peer, _port) = call(&house, "echo").await;
    refused(offer(&house, "text/plain", "v=0").await, 415, "application/sdp").await;
    refused(offer(&house, "application/sdp", "hello").await, 400, "SDP").await;
    refused(offer(&house, "application/sdp", vec![0xff, 0xfe, 0x00]).await, 400, "UTF-8").await;
    refused(offer(&house, "application/sdp", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n").await, 422, "audio")
        .await;
    refused(offer(&house, "application/sdp", "v=0\r\n".repeat(20_000)).await, 413, "bytes").await;
    let pcmu_only = with_codec_only(&real_offer().await);
    refused(offer(&house, "application/sdp", pcmu_only).await, 422, "Opus").await;
    let packet = loop {
        match peer.events.recv().await.expect("the call lives") {
            PeerEvent::Rtp { packet, .. } => break packet,
            PeerEvent::Gone(why) => panic!("{why}"),
            _ => {}
        }
    };
    assert!(!packet.payload.is_empty());
    assert_eq!(Client::new().delete(house.url.clone() + &location).send().await.expect("an answer").status(), 204);
    house.server.stop().await;
}

async fn real_offer() -> String {
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    Caller::new(&port).await.expect("an offer").offer().to_owned()
}

/// The same offer without Opus.
fn with_codec_only(offer: &str) -> String {
    let lines = offer.lines().filter(|line| !line.to_lowercase().contains("opus"));
    lines.map(|line| format!("{line}\r\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_ended_calls_are_told_apart() {
    let house = House::scripted().await;
    let client = Client::new();
    let at = |path: &str| format!("{}{path}", house.url);
    refused(client.get(at("/v1/calls/none")).send().await.expect("an answer"), 404, "none").await;
    refused(client.delete(at("/v1/calls/none")).send().await.expect("an answer"), 404, "none").await;
    refused(
        client
            .post(at("/v1/calls?persona=nobody"))
            .header(header::CONTENT_TYPE, "application/sdp")
            .body("v=0")
            .send()
            .await
            .expect("an answer"),
        404,
        "porter",
    )
    .await;
    refused(client.put(at("/v1/calls")).send().await.expect("an answer"), 405, "PUT").await;
    refused(client.get(at("/v1/nothing")).send().await.expect("an answer"), 404, "/v1/nothing").await;

    let (location, mut peer, _port) = call(&house, "porter").await;
    let shown: Value = client.get(at(&location)).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(shown["persona"], "porter");
    assert_eq!(client.delete(at(&location)).send().await.expect("an answer").status(), 204);
    while peer.events.recv().await.is_some() {}
    while house.server.registry.count() > 0 {
        tokio::task::yield_now().await;
    }
    refused(client.delete(at(&location)).send().await.expect("an answer"), 409, "over").await;
    let shown: Value = client.get(at(&location)).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(shown["end_reason"], "caller-hangup", "{shown}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_kept_out_unless_listed() {
    let house = House::scripted().await;
    let client = Client::new();
    let ask = |origin: &str| {
        client.get(format!("{}/v1/personas", house.url)).header(header::ORIGIN, origin.to_owned()).send()
    };
    refused(ask("https://elsewhere.example").await.expect("an answer"), 403, "elsewhere.example").await;
    let own = ask(&house.url).await.expect("an answer");
    assert_eq!(own.status(), 200);
    assert!(own.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    let personas: Value = own.json().await.expect("JSON");
    assert_eq!(personas[0]["name"], "porter", "the default comes first");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_names_what_the_first_one_has() {
    let house = House::scripted().await;
    let scripted = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n";
    let folder = tempfile::tempdir().expect("a folder");
    let mut second = config(folder.path(), scripted);
    second.http.listen = house.server.http;
    let Err(error) = Server::start(&second).await else { panic!("the port is taken") };
    assert!(matches!(error, ServeError::HttpInUse(_)) && error.to_string().contains("http.listen"), "{error}");

    let mut second = config(folder.path(), scripted);
    second.media.udp_port = house.server.media.port();
    let Err(error) = Server::start(&second).await else { panic!("the port is taken") };
    assert!(error.to_string().contains("UDP port"), "{error}");

    let second = config(house.folder.path(), scripted);
    let Err(error) = Server::start(&second).await else { panic!("the database is taken") };
    assert!(error.to_string().contains("calls.db"), "{error}");

    let mut second = config(folder.path(), scripted);
    second.personas.default = "nobody".into();
    let Err(error) = Server::start(&second).await else { panic!("there is no such persona") };
    assert!(error.to_string().contains("nobody"), "{error}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_model_is_named_with_the_command_that_fetches_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("models");
    let more = format!("[llm]\nbackend = \"scripted\"\n[models]\ndir = {:?}\n", empty.display().to_string());
    let Err(error) = Server::start(&config(folder.path(), &more)).await else { panic!("there are no models") };
    assert!(error.to_string().contains("duologue models fetch whisper-tiny.en"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_model_that_cannot_be_reached_costs_a_reply_and_not_the_call() {
    let more = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"ollama\"\nurl = \"http://127.0.0.1:9\"\nmodel = \"llama\"\n[tts]\nbackend = \"scripted\"\n";
    let house = House::open(more).await;
    let (location, mut peer, _port) = call(&house, "porter").await;
    peer.line.send_message(r#"{"type":"text","text":"Are you there?"}"#.into());
    let mut codes = Vec::new();
    let apology = loop {
        match peer.events.recv().await.expect("the call lives") {
            PeerEvent::Message(json) => {
                let event: Value = serde_json::from_str(&json).expect("an event");
                match event["type"].as_str() {
                    Some("trouble") => codes.push(event["code"].as_str().unwrap_or("").to_owned()),
                    Some("words") if !codes.is_empty() => break event["heard"].as_str().unwrap_or("").to_owned(),
                    _ => {}
                }
            }
            PeerEvent::Gone(why) => panic!("{why}"),
            _ => {}
        }
    };
    assert_eq!(codes, ["llm-retry", "llm-failed"]);
    assert!(apology.starts_with("Sorry"), "{apology}");
    let status = Client::new().delete(house.url.clone() + &location).send().await.expect("an answer").status();
    assert_eq!(status, 204);
    house.server.stop().await;
}

/// A change of network in the middle of a call: a further offer restarts ICE. To a call that is over it is a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_further_offer_keeps_a_call_and_revives_none() {
    let house = House::scripted().await;
    let (location, peer, _port) = call(&house, "echo").await;
    let url = format!("{}{location}", house.url);
    let reoffer = async |offer: String| {
        let request = Client::new().post(&url).header(header::CONTENT_TYPE, "application/sdp").body(offer);
        request.send().await.expect("an answer")
    };
    let offer = peer.line.restart().await.expect("a further offer");
    let fragment = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).map(str::to_owned);
    let answered = reoffer(offer.clone()).await;
    assert_eq!(answered.status(), StatusCode::OK);
    let answer = answered.text().await.expect("an answer");
    assert!(fragment(&answer).is_some() && fragment(&answer) != fragment(&offer));
    peer.line.restarted(answer).await.expect("a usable answer");
    refused(reoffer("hello".into()).await, 400, "SDP").await;
    let shown: Value = Client::new().get(&url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(shown["end_reason"], Value::Null, "{shown}");

    peer.close().await;
    let mut refusal = reoffer(offer.clone()).await;
    // The goodbye needs a moment; until it is there, offers are answered.
    for _ in 0..100 {
        if refusal.status() != StatusCode::OK {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        refusal = reoffer(offer.clone()).await;
    }
    refused(refusal, 409, "POST /v1/calls").await;
    let unknown = Client::new().post(format!("{}/v1/calls/nobody", house.url));
    let unknown = unknown.header(header::CONTENT_TYPE, "application/sdp").body(offer).send().await.expect("an answer");
    refused(unknown, 404, "nobody").await;
    house.server.stop().await;
}
