//! A caller who types: a real call, peer and all, without models for the ear.

use duologue::peer::client::Caller;
use duologue::peer::{Peer, PeerEvent, Port, PortConfig};
use duologue::serve::Server;
use duologue_signaling::event::{Event, Stamped};
use reqwest::{Client, StatusCode, header};

/// An open call.
pub struct TypedCall {
    peer: Peer,
    _port: Port,
}

impl TypedCall {
    /// Opens one; the greeting has been said. `query` is that of `POST /v1/calls`.
    pub async fn open(server: &Server, query: &str) -> Self {
        Self::open_at(server.http, query).await
    }

    /// The same at a server's address.
    pub async fn open_at(http: std::net::SocketAddr, query: &str) -> Self {
        let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
        let offer = Caller::new(&port).await.expect("an offer");
        let response = Client::new()
            .post(format!("http://{http}/v1/calls{query}"))
            .header(header::CONTENT_TYPE, "application/sdp")
            .body(offer.offer().to_owned())
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::CREATED);
        let peer = offer.answered(&response.text().await.expect("an answer")).await.expect("usable");
        let mut call = Self { peer, _port: port };
        // The greeting first, so that the words find a call that has begun.
        call.answer().await;
        call
    }

    /// Sends a message of the client's.
    pub fn send(&self, message: &serde_json::Value) {
        self.peer.line.send_message(message.to_string());
    }

    pub fn types(&self, text: &str) {
        self.send(&serde_json::json!({"type": "text", "text": text}));
    }

    /// The events up to the first that is wanted, or up to the end of the call.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Stamped> {
        let mut events = Vec::new();
        loop {
            match self.peer.events.recv().await {
                Some(PeerEvent::Message(json)) => {
                    let stamped: Stamped = serde_json::from_str(&json).expect("an event");
                    let last = wanted(&stamped.event);
                    events.push(stamped);
                    if last {
                        return events;
                    }
                }
                Some(PeerEvent::Gone(_)) | None => return events,
                Some(_) => {}
            }
        }
    }

    /// What the agent says next; nothing where it says nothing, or the call is over.
    pub async fn answer(&mut self) -> String {
        let ends = |event: &Event| {
            matches!(event, Event::TurnEnded { .. })
                || matches!(event, Event::Judgement { action, .. } if action == "silence")
        };
        match self.until(ends).await.pop().map(|stamped| stamped.event) {
            Some(Event::TurnEnded { generated, .. }) => generated,
            _ => String::new(),
        }
    }

    /// Hangs up, and waits until the server has no call any more.
    pub async fn close(self, server: &Server) {
        self.peer.close().await;
        while server.registry.count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// One call in which each of `texts` is typed after the answer to the one before; gives the answers. `query` is that of
/// `POST /v1/calls`. A turn that is met with silence, and the end of the call, give an empty answer.
pub async fn typed_call(server: &Server, query: &str, texts: &[&str]) -> Vec<String> {
    let mut call = TypedCall::open(server, query).await;
    let mut answers = Vec::new();
    for text in texts {
        // Nothing is typed for an empty text: what the agent says next of its own accord is waited for.
        if !text.is_empty() {
            call.types(text);
        }
        answers.push(call.answer().await);
    }
    call.close(server).await;
    answers
}
