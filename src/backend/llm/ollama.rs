//! An Ollama server, or anything that speaks its `/api/chat`.
//!
//! Requests and answers are ollama-rs's types; the stream between them is framed here. ollama-rs 0.3.6 turns each
//! network chunk into a string by itself and silently drops one that ends inside a character, and it reports every
//! fault in the stream as `()`. A reply in any script but ASCII would lose words now and then, and nobody would know
//! why a call fell silent.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use ollama_rs::generation::chat::request::ChatMessageRequest;
use ollama_rs::generation::chat::{ChatMessage as OllamaMessage, ChatMessageResponse, MessageRole};
use ollama_rs::generation::parameters::{FormatType, KeepAlive};
use ollama_rs::models::ModelOptions;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::lines::Lines;
use super::{Patience, http};
use crate::backend::{ChatRequest, Llm, LlmError, Role};

/// A client for one model of one server.
#[derive(Clone, Debug)]
pub struct OllamaLlm {
    http: Client,
    url: String,
    model: String,
    patience: Patience,
    /// The server is our worker: it only fills its prefix cache when asked for no token at all, and keeps beginnings.
    of_a_worker: bool,
}

impl OllamaLlm {
    /// A client for `model` at `url`, such as `http://127.0.0.1:11434`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, model: &str, patience: Patience) -> Result<Self, LlmError> {
        Ok(Self::with_client(http::client(url)?, url, model, patience))
    }

    pub(super) fn with_client(http: Client, url: &str, model: &str, patience: Patience) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned(), model: model.to_owned(), patience, of_a_worker: false }
    }

    /// The server is our worker.
    pub(super) fn of_a_worker(mut self) -> Self {
        self.of_a_worker = true;
        self
    }

    /// Has our worker read the request and keep what it has read.
    pub(super) async fn keep(&self, request: &ChatRequest) -> Result<(), LlmError> {
        let mut body = body(&self.model, request, 0)?;
        body["keep"] = true.into();
        self.read_through(&body).await
    }

    /// Nothing but reading: the answer has no words that matter.
    async fn read_through(&self, body: &serde_json::Value) -> Result<(), LlmError> {
        let by = Instant::now() + self.patience.first_token;
        let response = self.open(body, by).await?;
        let mut reply = Reply::new(response, self.patience, by);
        while let Some(piece) = reply.next().await {
            piece?;
        }
        Ok(())
    }

    async fn open(&self, body: &serde_json::Value, by: Instant) -> Result<Response, LlmError> {
        let sent = self.http.post(format!("{}/api/chat", self.url)).json(body).send();
        let response = timeout_at(by, sent)
            .await
            .map_err(|_| LlmError::TimedOut(self.patience.first_token))?
            .map_err(|fault| http::fault(&self.url, &fault))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = timeout_at(by, response.text()).await.map_or_else(|_| String::new(), Result::unwrap_or_default);
        Err(self.refusal(status, &text))
    }

    fn refusal(&self, status: StatusCode, text: &str) -> LlmError {
        let said = serde_json::from_str::<ErrorLine>(text).ok().map(|line| line.error);
        match (status, said) {
            (StatusCode::NOT_FOUND, Some(_)) => LlmError::NoSuchModel { model: self.model.clone() },
            (StatusCode::NOT_FOUND, None) => LlmError::Unreachable {
                url: self.url.clone(),
                why: "it answers, but has no /api/chat: is this an Ollama server?".into(),
            },
            (_, Some(said)) => LlmError::BrokeOff(format!("HTTP {}: {}", status.as_u16(), http::excerpt(&said))),
            (_, None) => LlmError::BrokeOff(format!("HTTP {}: {}", status.as_u16(), http::excerpt(text))),
        }
    }
}

#[async_trait]
impl Llm for OllamaLlm {
    async fn chat(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let by = Instant::now() + self.patience.first_token;
        let body = body(&self.model, &request, i32::try_from(request.max_tokens).unwrap_or(i32::MAX))?;
        let response = self.open(&body, by).await?;
        let reply = Reply::new(response, self.patience, by);
        Ok(stream::unfold(reply, |mut reply| async { reply.next().await.map(|piece| (piece, reply)) }).boxed())
    }

    async fn prime(&self, request: ChatRequest) -> Result<(), LlmError> {
        // Ollama reads num_predict 0 as "no limit": one token is the least that can be asked for.
        let least = i32::from(!self.of_a_worker);
        self.read_through(&body(&self.model, &request, least)?).await
    }

    fn name(&self) -> String {
        format!("ollama {} at {}", self.model, self.url)
    }
}

#[derive(Deserialize)]
struct ErrorLine {
    error: String,
}

fn body(model: &str, request: &ChatRequest, num_predict: i32) -> Result<serde_json::Value, LlmError> {
    let unsendable = |fault: serde_json::Error| LlmError::BrokeOff(format!("the request cannot be written: {fault}"));
    let messages = request
        .messages
        .iter()
        .map(|message| {
            let role = match message.role {
                Role::System => MessageRole::System,
                Role::User => MessageRole::User,
                Role::Assistant => MessageRole::Assistant,
            };
            OllamaMessage::new(role, message.content.clone())
        })
        .collect();
    let options = ModelOptions::default().num_predict(num_predict).temperature(request.temperature);
    // A model that thinks first keeps the caller waiting; one that does not ignores the wish.
    let mut ask = ChatMessageRequest::new(model.to_owned(), messages)
        .options(options)
        .keep_alive(KeepAlive::Indefinitely)
        .think(false);
    if let Some(schema) = &request.schema {
        ask = ask.format(serde_json::from_value::<FormatType>(schema.clone()).map_err(unsendable)?);
    }
    let mut body = serde_json::to_value(&ask).map_err(unsendable)?;
    // ollama-rs sets this field only in the methods that send the request themselves
    body["stream"] = true.into();
    Ok(body)
}

/// An answer on its way.
struct Reply {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    lines: Lines,
    patience: Patience,
    /// When the next piece of text must be here.
    by: Instant,
    waits_for: Duration,
    over: bool,
}

impl Reply {
    fn new(response: Response, patience: Patience, by: Instant) -> Self {
        Self {
            chunks: response.bytes_stream().boxed(),
            lines: Lines::default(),
            patience,
            by,
            waits_for: patience.first_token,
            over: false,
        }
    }

    /// The next piece of text; `None` after the last, and after an error.
    async fn next(&mut self) -> Option<Result<String, LlmError>> {
        while !self.over {
            match self.next_line().await {
                Ok(line) => {
                    self.over = line.done;
                    if !line.message.content.is_empty() {
                        self.waits_for = self.patience.next_token;
                        self.by = Instant::now() + self.waits_for;
                        return Some(Ok(line.message.content));
                    }
                }
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault));
                }
            }
        }
        None
    }

    async fn next_line(&mut self) -> Result<ChatMessageResponse, LlmError> {
        loop {
            if let Some(line) = self.lines.next() {
                return understand(&line);
            }
            let chunk =
                timeout_at(self.by, self.chunks.next()).await.map_err(|_| LlmError::TimedOut(self.waits_for))?;
            match chunk {
                Some(Ok(chunk)) => self
                    .lines
                    .push(&chunk)
                    .map_err(|_| LlmError::BrokeOff("a line of more than 1 MiB: this is no Ollama server".into()))?,
                Some(Err(fault)) => {
                    return Err(LlmError::BrokeOff(format!(
                        "the connection was lost in the middle of a reply: {fault}"
                    )));
                }
                None => {
                    let Some(rest) = self.lines.rest() else {
                        return Err(LlmError::BrokeOff("the stream ended before the reply did".into()));
                    };
                    return understand(&rest);
                }
            }
        }
    }
}

fn understand(line: &[u8]) -> Result<ChatMessageResponse, LlmError> {
    if let Ok(answer) = serde_json::from_slice(line) {
        return Ok(answer);
    }
    Err(LlmError::BrokeOff(match serde_json::from_slice::<ErrorLine>(line) {
        Ok(line) => http::excerpt(&line.error),
        Err(fault) => format!("a line was not understood ({fault}): {}", http::excerpt(&String::from_utf8_lossy(line))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ChatMessage;
    use serde_json::json;

    #[test]
    fn the_body_is_what_ollama_documents() {
        let request = ChatRequest {
            messages: vec![ChatMessage { role: Role::User, content: "Hi".into() }],
            max_tokens: 60,
            temperature: 0.5,
            schema: Some(json!({ "type": "object" })),
        };
        let body = body("llama3.2", &request, 60).expect("serialisable");
        assert_eq!(body["model"], "llama3.2");
        assert_eq!(body["stream"], true);
        assert_eq!(body["messages"][0], json!({ "role": "user", "content": "Hi", "tool_calls": [], "thinking": null }));
        assert_eq!(body["options"]["num_predict"], 60);
        assert_eq!(body["format"], json!({ "type": "object" }));
        assert_eq!(body["keep_alive"], -1);
        assert_eq!(body["think"], false);
    }
}
