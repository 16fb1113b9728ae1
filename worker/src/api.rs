//! Ollama's HTTP API over one engine.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::engine::{Event, Gauge, Job, ModelFacts, Refusal};
use crate::wire::{ChatBody, Outcome, done_line, now, piece_line};

/// A chat of 4,096 tokens is some 20 kB of text; this leaves room for a large schema.
const BODY_LIMIT_BYTES: usize = 1 << 20;

/// What the handlers know.
pub struct Served {
    pub name: String,
    pub facts: ModelFacts,
    /// The longest reply in tokens.
    pub ctx: usize,
    pub jobs: mpsc::Sender<Job>,
    pub gauge: watch::Receiver<Gauge>,
    pub started_at: String,
}

/// An error as Ollama writes it: `{"error": "..."}`.
struct ApiError(StatusCode, String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Bad(why) => Self(StatusCode::BAD_REQUEST, why),
            Refusal::Busy(why) => Self(StatusCode::SERVICE_UNAVAILABLE, why),
            Refusal::Broken(why) => Self(StatusCode::INTERNAL_SERVER_ERROR, why),
        }
    }
}

/// The routes.
pub fn router(served: Served) -> Router {
    Router::new()
        .route("/", get(async || "Ollama is running"))
        .route("/api/version", get(async || Json(json!({ "version": env!("CARGO_PKG_VERSION") }))))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(running))
        .route("/api/show", post(show))
        .route("/api/chat", post(chat))
        .fallback(async |uri: Uri| ApiError(StatusCode::NOT_FOUND, format!("{uri} is not served by this worker")))
        .method_not_allowed_fallback(async || ApiError(StatusCode::METHOD_NOT_ALLOWED, "method not allowed".into()))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(Arc::new(served))
}

impl Served {
    /// The handlers' view of a running engine.
    pub fn new(name: String, ctx: usize, engine: &crate::engine::Engine) -> Self {
        Self {
            name,
            facts: engine.facts.clone(),
            ctx,
            jobs: engine.jobs.clone(),
            gauge: engine.gauge.clone(),
            started_at: now(),
        }
    }

    fn details(&self) -> Value {
        json!({
            "format": "gguf", "family": self.facts.architecture, "families": [self.facts.architecture],
            "parameter_size": format!("{:.1}M", self.facts.parameters as f64 / 1e6),
        })
    }

    fn entry(&self) -> Value {
        json!({
            "name": self.name, "model": self.name, "modified_at": self.started_at, "size": self.facts.bytes,
            "digest": "", "details": self.details(),
        })
    }

    /// `name` and `name:latest` are the same model to Ollama.
    fn check_name(&self, asked: &str) -> Result<(), ApiError> {
        let bare = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
        if bare(asked) == bare(&self.name) {
            return Ok(());
        }
        Err(ApiError(StatusCode::NOT_FOUND, format!("model '{asked}' not found; this worker serves '{}'", self.name)))
    }
}

async fn tags(State(served): State<Arc<Served>>) -> Json<Value> {
    Json(json!({ "models": [served.entry()] }))
}

async fn running(State(served): State<Arc<Served>>) -> Json<Value> {
    let gauge = served.gauge.borrow().clone();
    Json(json!({ "models": [served.entry()], "engine": gauge }))
}

async fn show(State(served): State<Arc<Served>>, body: Result<Bytes, BytesRejection>) -> Result<Json<Value>, ApiError> {
    let asked: Value = parse(body)?;
    let name = asked.get("model").or_else(|| asked.get("name")).and_then(Value::as_str).unwrap_or_default();
    served.check_name(name)?;
    let family = &served.facts.architecture;
    let mut info = serde_json::Map::new();
    info.insert("general.architecture".into(), json!(family));
    info.insert("general.parameter_count".into(), json!(served.facts.parameters));
    info.insert(format!("{family}.context_length"), json!(served.facts.trained_ctx));
    Ok(Json(json!({
        "license": "", "modelfile": "", "parameters": format!("num_ctx {}", served.ctx),
        "template": served.facts.template, "details": served.details(), "model_info": info,
        "capabilities": ["completion"],
    })))
}

async fn chat(State(served): State<Arc<Served>>, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    let body: ChatBody = parse(body)?;
    served.check_name(&body.model)?;
    let streamed = body.stream;
    let ask = body.check().map_err(|fault| ApiError(StatusCode::BAD_REQUEST, fault))?;
    if ask.messages.is_empty() {
        return Ok(Json(done_line(&served.name, "", &Outcome::LOADED)).into_response());
    }
    let longest = ask.options.num_predict.map_or(served.ctx, |n| (n as usize).min(served.ctx));
    // room for every piece of the reply, its rest and its end: the engine never waits for a slow reader
    let (events, mut replies) = mpsc::channel(longest + 4);
    served.jobs.try_send(Job { ask, events }).map_err(|fault| match fault {
        mpsc::error::TrySendError::Full(_) => {
            ApiError(StatusCode::SERVICE_UNAVAILABLE, "server busy: too many requests wait already".into())
        }
        mpsc::error::TrySendError::Closed(_) => {
            ApiError(StatusCode::INTERNAL_SERVER_ERROR, "the model is shut down".into())
        }
    })?;
    // the status line can still say what is wrong as long as nothing has been sent
    let first = next(&mut replies).await;
    if let Event::Refused(refusal) = first {
        return Err(refusal.into());
    }
    if streamed { Ok(stream_reply(served, first, replies)) } else { whole_reply(&served, first, replies).await }
}

async fn next(replies: &mut mpsc::Receiver<Event>) -> Event {
    replies.recv().await.unwrap_or_else(|| Event::Refused(Refusal::Broken("the model is shut down".into())))
}

/// One HTTP chunk is one line: a client that reads chunk by chunk never sees half a character.
fn stream_reply(served: Arc<Served>, first: Event, replies: mpsc::Receiver<Event>) -> Response {
    let lines = stream::unfold(Some((Some(first), replies)), move |state| {
        let served = Arc::clone(&served);
        async move {
            let (first, mut replies) = state?;
            let event = match first {
                Some(event) => event,
                None => next(&mut replies).await,
            };
            let (line, over) = match event {
                Event::Text(text) => (piece_line(&served.name, &text), false),
                Event::Done(outcome) => (done_line(&served.name, "", &outcome), true),
                Event::Refused(refusal) => (json!({ "error": ApiError::from(refusal).1 }), true),
            };
            let state = (!over).then_some((None, replies));
            Some((Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))), state))
        }
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

async fn whole_reply(served: &Served, first: Event, mut replies: mpsc::Receiver<Event>) -> Result<Response, ApiError> {
    let mut text = String::new();
    let mut event = first;
    loop {
        match event {
            Event::Text(piece) => text.push_str(&piece),
            Event::Done(outcome) => {
                return Ok(Json(done_line(&served.name, &text, &outcome)).into_response());
            }
            Event::Refused(refusal) => return Err(refusal.into()),
        }
        event = next(&mut replies).await;
    }
}

fn parse<T: serde::de::DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, ApiError> {
    let bytes =
        body.map_err(|fault| ApiError(fault.status(), format!("the body was not read: {}", fault.body_text())))?;
    serde_json::from_slice(&bytes)
        .map_err(|fault| ApiError(StatusCode::BAD_REQUEST, format!("the body is not what this call takes: {fault}")))
}
