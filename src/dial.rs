//! Ring 3: `duologue dial`: has a running server call a telephone, and follows the call to its end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::config::Config;

/// How often the server is asked how the call stands.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const REQUEST: Duration = Duration::from_secs(30);

/// `duologue dial`.
#[derive(Clone, Debug, clap::Args)]
pub struct DialArguments {
    /// Whom to call, as sip:user@host; a line of sip.outbound must allow it
    #[arg(value_name = "ADDRESS")]
    pub to: String,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Who calls; the server's default otherwise
    #[arg(long)]
    pub persona: Option<String>,
    /// By which name memory knows who is called; the address otherwise
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
    /// Print the call's number, and do not wait for its end
    #[arg(long)]
    pub detach: bool,
}

/// Calls, and prints how it ended. Success is a call that was answered.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn run(config: &Config, arguments: DialArguments) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(REQUEST).build()?;
    let key = config.review.key()?;
    let asked = |request: reqwest::RequestBuilder| match &key {
        Some(key) => request.bearer_auth(key.reveal()),
        None => request,
    };
    let DialArguments { to, url, persona, caller, detach } = arguments;
    let url = url.trim_end_matches('/');
    let body = json!({ "to": to, "persona": persona, "caller": caller });
    let answer = asked(client.post(format!("{url}/v1/calls")).json(&body)).send().await;
    let answer = answer.with_context(|| format!("no server at {url}"))?;
    let taken = answer.status().is_success();
    let told: Value = answer.json().await.context("the server's answer is no JSON")?;
    let Some(call) = told["call"].as_str().filter(|_| taken) else {
        bail!("{} {}", told["detail"].as_str().unwrap_or("refused"), told["fix"].as_str().unwrap_or(""));
    };
    println!("call {call}");
    if detach {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let shown = asked(client.get(format!("{url}/v1/calls/{call}"))).send().await?.error_for_status()?;
        let shown: Value = shown.json().await?;
        if let Some(reason) = shown["end_reason"].as_str() {
            println!("{reason}: {}", shown["end_detail"].as_str().unwrap_or(""));
            let missed = ["busy", "declined", "no-answer", "unreachable", "never-connected"].contains(&reason);
            return Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
    }
}
