//! The event socket: a listener beside the caller sees the call as it happens, and may type into it.

mod house;

use duologue::peer::client::Caller;
use duologue::peer::{PeerEvent, Port, PortConfig};
use house::House;
use reqwest::{Client, header};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// As much of a WebSocket client (RFC 6455) as the test needs: text frames of the server, one short text frame of ours.
struct Socket(TcpStream);

impl Socket {
    async fn open(house: &House, path: &str) -> Self {
        let mut stream = TcpStream::connect(house.server.http).await.expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            house.server.http
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(stream)
    }

    /// The next event; `None` when the server closes.
    async fn event(&mut self) -> Option<Value> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => usize::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()? as usize,
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        (first & 0x0f == 1).then(|| serde_json::from_slice(&payload).expect("JSON"))
    }

    /// Client frames are masked (section 5.3); a mask of zeros is a mask.
    async fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).expect("short");
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.expect("sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_sees_the_call_types_into_it_and_is_told_its_end() {
    let house = House::scripted().await;
    let port = Port::bind(PortConfig::local("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let caller = Caller::new(&port).await.expect("an offer");
    let response = Client::new()
        .post(format!("{}/v1/calls", house.url))
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(caller.offer().to_owned())
        .send()
        .await
        .expect("an answer");
    let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
    let mut socket = Socket::open(&house, &format!("{location}/events")).await;
    let mut peer = caller.answered(&response.text().await.expect("an answer")).await.expect("usable");
    while !matches!(peer.events.recv().await, Some(PeerEvent::Connected) | None) {}

    assert_eq!(socket.event().await.expect("an event")["type"], "call-started");
    socket.say(r#"{"type":"text","text":"Are dogs welcome?"}"#).await;
    let mut answer = String::new();
    while answer.is_empty() {
        let event = socket.event().await.expect("the call lives");
        if event["type"] == "turn-ended" && event["heard"].as_str().is_some_and(|heard| heard.contains("Dogs")) {
            answer = event["heard"].as_str().unwrap_or("").to_owned();
        }
    }
    assert_eq!(answer, "Dogs are welcome, and they stay for free.");

    peer.close().await;
    let mut last = Value::Null;
    while let Some(event) = socket.event().await {
        last = event;
    }
    assert_eq!(last["type"], "call-ended");
    house.server.stop().await;
}
