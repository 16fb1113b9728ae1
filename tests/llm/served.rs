//! A server on loopback that says exactly the bytes it is given, and tells when its client goes away.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// What one request is answered.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    /// Sent as one HTTP chunk each.
    pub chunks: Vec<Bytes>,
    pub then: Then,
}

/// What follows the last chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The body ends as HTTP says.
    End,
    /// Nothing more comes, and the connection stays.
    Hang,
    /// The connection is cut as soon as [`Served::cut`] says so.
    Cut,
}

impl Answer {
    pub fn ok(chunks: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self { status: StatusCode::OK, chunks: chunks.into_iter().map(Into::into).collect(), then: Then::End }
    }

    pub fn status(status: u16, body: &'static str) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, chunks: vec![Bytes::from_static(body.as_bytes())], then: Then::End }
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// What the server saw.
#[derive(Debug, PartialEq)]
pub enum Seen {
    Asked(Value),
    /// The client dropped the answer before its end.
    ClientGone,
}

/// A server with one answer.
pub struct Served {
    pub url: String,
    pub seen: mpsc::Receiver<Seen>,
    pub cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says that the answer was dropped, unless it was complete.
struct Watch(Option<mpsc::Sender<Seen>>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(seen) = self.0.take() {
            let _ = seen.try_send(Seen::ClientGone);
        }
    }
}

/// Serves `answer` to every POST on `path`.
pub async fn serve(path: &str, answer: Answer) -> Served {
    let (tell, seen) = mpsc::channel(16);
    let cut = Arc::new(Notify::new());
    let app = Router::new().route(path, post(respond)).with_state((answer, tell, Arc::clone(&cut)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let task = tokio::spawn(async move {
        axum::serve(listener, app).await.expect("serves");
    });
    Served { url, seen, cut, task }
}

type Shared = (Answer, mpsc::Sender<Seen>, Arc<Notify>);

async fn respond(State((answer, tell, cut)): State<Shared>, body: Bytes) -> Response {
    let asked = serde_json::from_slice(&body).expect("the client sends JSON");
    tell.try_send(Seen::Asked(asked)).expect("room for what was asked");
    let mut watch = Watch(Some(tell));
    let chunks = stream::iter(answer.chunks.into_iter().map(Ok));
    let body = match answer.then {
        Then::End => chunks.chain(stream::iter([Ok(Bytes::new())]).inspect(move |_| drop(watch.0.take()))).boxed(),
        Then::Cut => {
            let cut = async move {
                cut.notified().await;
                Err(std::io::Error::other("cut"))
            };
            chunks.chain(stream::once(cut)).boxed()
        }
        Then::Hang => chunks.chain(stream::pending().inspect(move |_: &Result<Bytes, _>| drop(watch.0.take()))).boxed(),
    };
    Response::builder().status(answer.status).body(Body::from_stream(body)).expect("a response")
}

/// A port that was free a moment ago: nobody listens there.
pub async fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

/// Short, for servers that are meant to hang; nothing else here takes as long.
pub const IMPATIENT: duologue::backend::llm::Patience = duologue::backend::llm::Patience {
    first_token: Duration::from_millis(300),
    next_token: Duration::from_millis(200),
};

/// Cuts `text` so that one chunk ends inside its first character of several bytes.
pub fn cut_inside_a_character(text: &str) -> Vec<Bytes> {
    let at = text.char_indices().find(|(_, c)| c.len_utf8() > 1).expect("a character of several bytes").0 + 1;
    let (head, tail) = text.as_bytes().split_at(at);
    vec![Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail)]
}
