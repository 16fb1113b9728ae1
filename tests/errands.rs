//! What a live call is asked from outside: to say something, to know of something, to have somebody else answer.

mod house;

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue_signaling::event::{Event, Stamped};
use house::House;
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};

/// A call that has been greeted, and the port that it needs to live.
async fn call(house: &House) -> (String, Peer, Port) {
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let offer = Caller::new(&port).await.expect("an offer");
    let response = Client::new()
        .post(format!("{}/v1/calls", house.url))
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(offer.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    let location = response.headers()[header::LOCATION].to_str().expect("a path").to_owned();
    let mut peer = offer.answered(&response.text().await.expect("an answer")).await.expect("usable");
    until(&mut peer, |event| matches!(event, Event::TurnEnded { .. })).await;
    (format!("{}{location}", house.url), peer, port)
}

async fn until(peer: &mut Peer, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        if let PeerEvent::Message(text) = peer.events.recv().await.expect("the call lives") {
            let stamped: Stamped = serde_json::from_str(&text).expect("an event");
            if wanted(&stamped.event) {
                return stamped.event;
            }
        }
    }
}

async fn ask(url: &str, what: &str, body: Value) -> (StatusCode, String) {
    let answer = Client::new().post(format!("{url}/{what}")).json(&body).send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_it_say_know_and_hand_over() {
    let house = House::scripted().await;
    let (url, mut peer, _port) = call(&house).await;
    let (status, _) = ask(&url, "say", json!({"text": "Your taxi is here."})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let said = until(&mut peer, |event| matches!(event, Event::TurnEnded { .. })).await;
    assert!(matches!(&said, Event::TurnEnded { generated, .. } if generated == "Your taxi is here."), "{said:?}");

    let news = json!({"name": "taxi", "text": "It waits at the back door.", "speak": true});
    assert_eq!(ask(&url, "event", news).await.0, StatusCode::ACCEPTED);
    let budget = until(&mut peer, |event| matches!(event, Event::Budget { .. })).await;
    assert!(matches!(&budget, Event::Budget { allowed: true, .. }), "{budget:?}");
    until(&mut peer, |event| matches!(event, Event::TurnEnded { .. })).await;

    assert_eq!(ask(&url, "persona", json!({"name": "clinic"})).await.0, StatusCode::ACCEPTED);
    let other = until(&mut peer, |event| matches!(event, Event::Persona { .. })).await;
    assert_eq!(other, Event::Persona { name: "clinic".into(), title: "Ruth".into() });
    peer.line.send_message(json!({"type": "persona", "name": "tutor"}).to_string());
    let other = until(&mut peer, |event| matches!(event, Event::Persona { .. })).await;
    assert_eq!(other, Event::Persona { name: "tutor".into(), title: "Tomas".into() });
    peer.line.send_message(json!({"type": "persona", "name": "nobody"}).to_string());
    let trouble = until(&mut peer, |event| matches!(event, Event::Trouble { .. })).await;
    assert!(
        matches!(&trouble, Event::Trouble { code, detail } if code == "no-such-persona" && detail.contains("clinic"))
    );

    let goodbye = json!({"text": "The line closes now.", "hang_up": true});
    assert_eq!(ask(&url, "say", goodbye).await.0, StatusCode::ACCEPTED);
    // The last message may go down with the line; the row does not.
    while peer.events.recv().await.is_some() {}
    let over: Value = Client::new().get(&url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(over["end_reason"], "agent-hangup", "{over}");
    peer.close().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_by_name() {
    let house = House::scripted().await;
    let (url, peer, _port) = call(&house).await;
    let refused = [
        ("say", json!({"text": "  "}), StatusCode::BAD_REQUEST, "bad-text"),
        ("say", json!({"text": "x".repeat(1_001)}), StatusCode::BAD_REQUEST, "bad-text"),
        ("say", json!({"text": "Hello.", "after_ms": 99_999_999}), StatusCode::BAD_REQUEST, "bad-delay"),
        ("say", json!({"txt": "Hello."}), StatusCode::UNPROCESSABLE_ENTITY, "bad-request"),
        ("event", json!({"name": "", "text": "It rains."}), StatusCode::BAD_REQUEST, "bad-text"),
        ("persona", json!({"name": "echo"}), StatusCode::NOT_FOUND, "no-such-persona"),
        ("persona", json!({"name": "nobody"}), StatusCode::NOT_FOUND, "no-such-persona"),
    ];
    for (what, body, status, code) in refused {
        let (got, text) = ask(&url, what, body.clone()).await;
        assert_eq!(got, status, "{what} {body}: {text}");
        assert!(text.contains(code), "{what} {body}: {text}");
    }
    let (status, text) = ask(&format!("{}/v1/calls/nothing", house.url), "say", json!({"text": "Hello."})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{text}");
    peer.close().await;
    house.server.stop().await;
}
