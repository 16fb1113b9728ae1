//! `GET /v1/calls/{id}/events`: the call's events as they happen, and client messages the other way, over a WebSocket.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::refusal::Refusal;
use super::{Web, calls};
use crate::call::registry::Registry;
use crate::call::wire::Control;

/// Longest message from a listener, bytes: a typed turn of 2,000 characters in any script, escaped.
const MESSAGE_LIMIT_BYTES: usize = 16 * 1024;

/// Listens to a live call.
pub async fn listen(
    State(web): State<Web>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    match web.registry.listen(&id) {
        Some(events) => {
            let registry = web.registry.clone();
            Ok(upgrade
                .max_message_size(MESSAGE_LIMIT_BYTES)
                .on_upgrade(move |socket| pass_on(socket, events, registry, id)))
        }
        None => Err(calls::gone_or_unknown(&web, &id).await),
    }
}

/// Until the call ends or the listener goes.
async fn pass_on(
    mut socket: WebSocket,
    mut events: broadcast::Receiver<Arc<str>>,
    registry: Arc<Registry>,
    id: String,
) {
    loop {
        tokio::select! {
            event = events.recv() => {
                let text = match event {
                    Ok(json) => json.to_string(),
                    Err(RecvError::Lagged(missed)) => {
                        format!(r#"{{"at_ms":0,"type":"trouble","code":"events-missed","detail":"{missed} events were missed: read faster."}}"#)
                    }
                    Err(RecvError::Closed) => break,
                };
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    registry.tell(&id, Control::Message(text.to_string()));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
    // The peer may be gone already; then there is nobody to say goodbye to.
    let _ = socket.send(Message::Close(None)).await;
}
