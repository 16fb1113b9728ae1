//! An agent turn's work: everything that runs for it is owned here. Dropping a [`Turn`] cancels the language model's stream,
//! the voice and whatever waits to deliver; the conversation has dropped the playout in the same tick.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::wire;
use crate::backend::{ChatRequest, Clause, Llm, LlmError, Tts};
use crate::dialogue::conversation::Input;
use crate::search::SearchHouse;

/// The tasks of one agent turn.
pub struct Turn {
    id: u32,
    inbox: mpsc::Sender<Input>,
    /// Aborts its tasks when it is dropped.
    work: JoinSet<()>,
}

impl Turn {
    /// A turn with nothing to do yet.
    pub fn new(id: u32, inbox: mpsc::Sender<Input>) -> Self {
        Self { id, inbox, work: JoinSet::new() }
    }

    /// Which turn of the conversation this is.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Asks the language model and delivers its text as it comes.
    pub fn generate(&mut self, llm: Arc<dyn Llm>, request: ChatRequest) {
        let (turn, inbox) = (self.id, self.inbox.clone());
        self.work.spawn(async move {
            let result = stream_reply(llm, request, turn, &inbox).await;
            deliver(&inbox, Input::Generated { turn, result }).await;
        });
    }

    /// Asks the web and delivers what it has.
    pub fn search(&mut self, web: SearchHouse, query: String) {
        let (turn, inbox) = (self.id, self.inbox.clone());
        self.work.spawn(async move {
            let result = web.provider.search(&query, web.results).await.map_err(|fault| fault.to_string());
            deliver(&inbox, Input::Searched { turn, result }).await;
        });
    }

    /// Has a clause spoken and delivers its sound as it is made.
    pub fn speak(&mut self, tts: Arc<dyn Tts>, clause: u32, what: Clause) {
        let (turn, inbox) = (self.id, self.inbox.clone());
        self.work.spawn(async move {
            let (out, mut sound) = wire::speech();
            let forward = async {
                while let Some(speech) = sound.recv().await {
                    deliver(&inbox, Input::Speech { turn, clause, speech }).await;
                }
            };
            let (result, ()) = tokio::join!(tts.speak(what, out), forward);
            deliver(&inbox, Input::Spoken { turn, clause, result: result.map_err(|fault| fault.to_string()) }).await;
        });
    }
}

async fn stream_reply(
    llm: Arc<dyn Llm>,
    request: ChatRequest,
    turn: u32,
    inbox: &mpsc::Sender<Input>,
) -> Result<(), String> {
    let mut pieces = llm.chat(request).await.map_err(|fault| fault.to_string())?;
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(text) => deliver(inbox, Input::Token { turn, text }).await,
            Err(told @ LlmError::StartedAgain(_)) => {
                deliver(inbox, Input::Trouble { code: "llm-restarted", detail: told.to_string() }).await;
            }
            Err(fault) => return Err(fault.to_string()),
        }
    }
    Ok(())
}

/// A closed inbox means that the call is over: there is nobody left to tell.
async fn deliver(inbox: &mpsc::Sender<Input>, input: Input) {
    let _ = inbox.send(input).await;
}
