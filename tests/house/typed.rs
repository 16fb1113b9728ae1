//! A caller who types: a real call, peer and all, without models for the ear.

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue::serve::Server;
use duologue_signaling::event::{Event, Stamped};
use reqwest::{Client, StatusCode, header};

/// Nothing is typed for an empty text: what the agent says next of its own accord is waited for.
///
/// One call in which each of `texts` is typed after the answer to the one before; gives the answers. `query` is that of
/// `POST /v1/calls`. A turn that is met with silence, and the end of the call, give an empty answer.
pub async fn typed_call(server: &Server, query: &str, texts: &[&str]) -> Vec<String> {
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let offer = Caller::new(&port).await.expect("an offer");
    let response = Client::new()
        .post(format!("http://{}/v1/calls{query}", server.http))
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(offer.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::CREATED);
    let mut peer = offer.answered(&response.text().await.expect("an answer")).await.expect("usable");
    // The greeting first, so that the words find a call that has begun.
    answer(&mut peer).await;
    let mut answers = Vec::new();
    for text in texts {
        if !text.is_empty() {
            peer.line.send_message(serde_json::json!({"type": "text", "text": text}).to_string());
        }
        answers.push(answer(&mut peer).await);
    }
    peer.close().await;
    while server.registry.count() > 0 {
        tokio::task::yield_now().await;
    }
    answers
}

async fn answer(peer: &mut Peer) -> String {
    loop {
        match peer.events.recv().await {
            Some(PeerEvent::Message(json)) => {
                let stamped: Stamped = serde_json::from_str(&json).expect("an event");
                match stamped.event {
                    Event::TurnEnded { generated, .. } => return generated,
                    Event::Judgement { action, .. } if action == "silence" => return String::new(),
                    _ => {}
                }
            }
            Some(PeerEvent::Gone(_)) | None => return String::new(),
            Some(_) => {}
        }
    }
}
