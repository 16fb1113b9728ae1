//! Any endpoint that speaks OpenAI's chat completions: vLLM, llama-server, a cloud.
//!
//! async-openai is the client; its stream ends its request when it is dropped, and it cuts server-sent events at
//! character boundaries.

use std::path::PathBuf;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestUserMessage, ChatCompletionResponseStream, CreateChatCompletionRequest, ResponseFormat,
    ResponseFormatJsonSchema,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Instant, timeout_at};

use super::{Patience, http};
use crate::backend::{ChatRequest, Llm, LlmError, Role};

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as it is, without the blanks around it.
    pub fn new(key: &str) -> Self {
        Self(key.trim().to_owned())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ApiKey(..)")
    }
}

/// Where a key is kept: never in the configuration file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The name of an environment variable.
    Env(String),
    /// A file that holds nothing but the key.
    File(PathBuf),
}

/// A key that is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the environment variable {0} holds no key")]
    NotInEnv(String),
    #[error("the key file {} cannot be read: {fault}", .path.display())]
    Unreadable { path: PathBuf, fault: std::io::Error },
    #[error("the key file {} is empty", .0.display())]
    EmptyFile(PathBuf),
}

impl KeySource {
    /// Fetches the key.
    ///
    /// # Errors
    /// When there is none; the text names the place, never the key.
    pub fn read(&self) -> Result<ApiKey, KeyError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(key) if !key.trim().is_empty() => Ok(ApiKey::new(&key)),
                _ => Err(KeyError::NotInEnv(name.clone())),
            },
            Self::File(path) => {
                let key = std::fs::read_to_string(path)
                    .map_err(|fault| KeyError::Unreadable { path: path.clone(), fault })?;
                if key.trim().is_empty() { Err(KeyError::EmptyFile(path.clone())) } else { Ok(ApiKey::new(&key)) }
            }
        }
    }
}

/// A client for one model of one endpoint.
#[derive(Clone, Debug)]
pub struct OpenAiLlm {
    client: Client<OpenAIConfig>,
    url: String,
    model: String,
    patience: Patience,
    primes: bool,
}

impl OpenAiLlm {
    /// A client for `model` at `url`, the part before `/chat/completions`, such as `http://127.0.0.1:8000/v1`.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, model: &str, key: Option<&ApiKey>, patience: Patience) -> Result<Self, LlmError> {
        let url = url.trim_end_matches('/');
        let key = key.map_or("", |key| key.0.as_str());
        let config = OpenAIConfig::default().with_api_base(url).with_api_key(key);
        Ok(Self {
            client: Client::build(http::client(url)?, config),
            url: url.to_owned(),
            model: model.to_owned(),
            patience,
            primes: false,
        })
    }

    /// Lets [`Llm::prime`] ask for one token, so that the server has the prompt in its prefix cache (vLLM and
    /// llama-server keep one). Off by default: a cloud would charge for it.
    pub const fn priming(mut self, on: bool) -> Self {
        self.primes = on;
        self
    }

    async fn open(&self, request: &ChatRequest, by: Instant) -> Result<ChatCompletionResponseStream, LlmError> {
        let request = self.completion(request);
        let opened = timeout_at(by, self.client.chat().create_stream(request)).await;
        let opened = opened.map_err(|_| LlmError::TimedOut(self.patience.first_token))?;
        opened.map_err(|fault| self.fault(&fault))
    }

    /// `max_tokens` was replaced by `max_completion_tokens` at OpenAI, which refuses the old name for its newer models;
    /// most other servers know only the old one, and both together are an error at some.
    #[allow(deprecated)]
    fn completion(&self, request: &ChatRequest) -> CreateChatCompletionRequest {
        let most = Some(request.max_tokens);
        let renamed = self.url.contains("openai.com") || self.url.contains("openai.azure.com");
        CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: request.messages.iter().map(|said| message(said.role, &said.content)).collect(),
            temperature: Some(request.temperature),
            max_tokens: most.filter(|_| !renamed),
            max_completion_tokens: most.filter(|_| renamed),
            response_format: request.schema.as_ref().map(|schema| ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    name: "answer".into(),
                    schema: schema.clone(),
                    strict: Some(true),
                    description: None,
                },
            }),
            ..CreateChatCompletionRequest::default()
        }
    }

    fn fault(&self, fault: &OpenAIError) -> LlmError {
        let unreachable = |why: String| LlmError::Unreachable { url: self.url.clone(), why };
        match fault {
            OpenAIError::Reqwest(fault) => http::fault(&self.url, fault),
            OpenAIError::ApiError(answer) => {
                let said = answer.api_error.to_string();
                match answer.status_code.as_u16() {
                    401 | 403 => unreachable(format!("the key was refused: {}", http::excerpt(&said))),
                    404 if speaks_of_the_model(&said) => LlmError::NoSuchModel { model: self.model.clone() },
                    404 => unreachable(format!("it has no /chat/completions: {}", http::excerpt(&said))),
                    status => LlmError::BrokeOff(format!("HTTP {status}: {}", http::excerpt(&said))),
                }
            }
            // vLLM writes a number where OpenAI writes a string, so its errors come as text that was not understood
            OpenAIError::JSONDeserialize(_, text) if speaks_of_the_model(text) => {
                LlmError::NoSuchModel { model: self.model.clone() }
            }
            OpenAIError::JSONDeserialize(_, text) => {
                LlmError::BrokeOff(format!("an answer was not understood: {}", http::excerpt(text)))
            }
            other => LlmError::BrokeOff(other.to_string()),
        }
    }
}

fn speaks_of_the_model(said: &str) -> bool {
    let said = said.to_lowercase();
    said.contains("model_not_found")
        || said.contains("model") && (said.contains("does not exist") || said.contains("not found"))
}

fn message(role: Role, content: &str) -> ChatCompletionRequestMessage {
    match role {
        Role::System => ChatCompletionRequestSystemMessage::from(content).into(),
        Role::User => ChatCompletionRequestUserMessage::from(content).into(),
        Role::Assistant => ChatCompletionRequestAssistantMessage::from(content).into(),
    }
}

#[async_trait]
impl Llm for OpenAiLlm {
    async fn chat(&self, request: ChatRequest) -> Result<BoxStream<'static, Result<String, LlmError>>, LlmError> {
        let by = Instant::now() + self.patience.first_token;
        let chunks = self.open(&request, by).await?;
        let reply =
            Reply { chunks, server: self.clone(), by, waits_for: self.patience.first_token, ended: false, over: false };
        Ok(stream::unfold(reply, |mut reply| async { reply.next().await.map(|piece| (piece, reply)) }).boxed())
    }

    async fn prime(&self, request: ChatRequest) -> Result<(), LlmError> {
        if !self.primes {
            return Ok(());
        }
        let mut pieces = self.chat(ChatRequest { max_tokens: 1, schema: None, ..request }).await?;
        while let Some(piece) = pieces.next().await {
            piece?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("openai {} at {}", self.model, self.url)
    }
}

/// An answer on its way.
struct Reply {
    chunks: ChatCompletionResponseStream,
    server: OpenAiLlm,
    /// When the next piece of text must be here.
    by: Instant,
    waits_for: std::time::Duration,
    /// The server has said why the reply ends.
    ended: bool,
    over: bool,
}

impl Reply {
    /// The next piece of text; `None` after the last, and after an error.
    async fn next(&mut self) -> Option<Result<String, LlmError>> {
        while !self.over {
            match timeout_at(self.by, self.chunks.next()).await {
                Ok(Some(Ok(chunk))) => {
                    let Some(choice) = chunk.choices.into_iter().next() else {
                        continue;
                    };
                    self.ended |= choice.finish_reason.is_some();
                    if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                        self.waits_for = self.server.patience.next_token;
                        self.by = Instant::now() + self.waits_for;
                        return Some(Ok(text));
                    }
                }
                Ok(None) => {
                    self.over = true;
                    if !self.ended {
                        return Some(Err(LlmError::BrokeOff("the stream ended before the reply did".into())));
                    }
                }
                Ok(Some(Err(fault))) => {
                    self.over = true;
                    return Some(Err(self.server.fault(&fault)));
                }
                Err(_) => {
                    self.over = true;
                    return Some(Err(LlmError::TimedOut(self.waits_for)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", ApiKey::new(" sk-secret\n")), "ApiKey(..)");
    }

    #[test]
    fn a_key_that_is_not_there_is_named_by_its_place() {
        let env = KeySource::Env("DUOLOGUE_NO_SUCH_KEY".into()).read().expect_err("not set");
        assert_eq!(env.to_string(), "the environment variable DUOLOGUE_NO_SUCH_KEY holds no key");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let empty = KeySource::File(file.path().into()).read().expect_err("empty");
        assert!(empty.to_string().ends_with("is empty"), "{empty}");
        std::fs::write(file.path(), "sk-1\n").expect("written");
        assert_eq!(KeySource::File(file.path().into()).read().expect("there"), ApiKey::new("sk-1"));
    }
}
