//! Beginnings of chats that a worker keeps read: a persona's words, before anybody calls. The small model reads some 80 tokens a second on one
//! processor, so that a caller whose persona nobody has talked to yet would wait for six seconds.

use std::sync::Arc;

use reqwest::Client;
use tokio::sync::watch;

use super::worker::Share;
use super::{OllamaLlm, Patience, WorkerState};
use crate::backend::{ChatRequest, LlmError};

/// How a worker is talked to.
pub(super) struct Way {
    pub http: Client,
    pub name: String,
    pub patience: Patience,
}

/// Has each worker that is started read the beginnings, until there are no more workers.
pub(super) async fn keep(
    way: Way,
    share: Option<Arc<Share>>,
    mut state: watch::Receiver<WorkerState>,
    beginnings: Vec<ChatRequest>,
) {
    loop {
        let url = match &*state.borrow_and_update() {
            WorkerState::Ready { url } => Some(url.clone()),
            WorkerState::Starting { .. } | WorkerState::Down { .. } => None,
        };
        if let Some(url) = url {
            let client = OllamaLlm::with_client(way.http.clone(), &url, &way.name, way.patience).of_a_worker();
            tokio::select! {
                () = read_all(&client, share.as_deref(), &beginnings) => {}
                changed = state.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

async fn read_all(client: &OllamaLlm, share: Option<&Share>, beginnings: &[ChatRequest]) {
    for beginning in beginnings {
        if let Err(fault) = read(client, share, beginning).await {
            tracing::debug!(%fault, "the beginning of a persona's chats is not kept read");
        }
    }
}

/// Stands back for whoever waits, and goes on where it was.
async fn read(client: &OllamaLlm, share: Option<&Share>, beginning: &ChatRequest) -> Result<(), LlmError> {
    let Some(share) = share else { return client.keep(beginning).await };
    loop {
        let permit = share.for_reading_ahead().await;
        tokio::select! {
            () = permit.recalled() => {}
            read = client.keep(beginning) => match read {
                // Chats go first, and what has been read of it stays.
                Err(LlmError::TimedOut(_)) => {}
                read => return read,
            },
        }
    }
}
