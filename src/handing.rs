//! Ring 3: `duologue handover`, `duologue transfer` and `duologue dtmf`: asks something of a call with a running server.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::config::Config;

/// The longest that the server may take.
const REQUEST: Duration = Duration::from_secs(30);

/// `duologue transfer`.
#[derive(Clone, Debug, clap::Args)]
pub struct TransferArguments {
    /// The call's number
    pub call: String,
    /// Whom its telephone is to call in our place, as sip:user@host; a line of sip.outbound must allow it
    #[arg(value_name = "ADDRESS")]
    pub to: String,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
}

/// `duologue handover`.
#[derive(Clone, Debug, clap::Args)]
pub struct HandoverArguments {
    /// The call's number
    pub call: String,
    /// Who is called to take the caller over, as sip:user@host (a line of sip.outbound must allow it) or phone:NAME
    #[arg(value_name = "ADDRESS")]
    pub to: String,
    /// Connect them at once: he is told nothing of the caller before
    #[arg(long)]
    pub silent: bool,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
}

/// `duologue dtmf`.
#[derive(Clone, Debug, clap::Args)]
pub struct DtmfArguments {
    /// The call's number
    pub call: String,
    /// 0 to 9, *, #, A to D; a comma is a second's pause
    pub digits: String,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
}

/// Has a call handed on.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn transfer(config: &Config, arguments: TransferArguments) -> anyhow::Result<ExitCode> {
    let TransferArguments { call, to, url } = arguments;
    ask(config, &url, &format!("/v1/calls/{call}/transfer"), json!({ "to": to })).await.map(|_| ExitCode::SUCCESS)
}

/// Has a call handed over, and prints the number of the call to whom it is.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn handover(config: &Config, arguments: HandoverArguments) -> anyhow::Result<ExitCode> {
    let HandoverArguments { call, to, silent, url } = arguments;
    let body = json!({ "to": to, "announce": !silent });
    let told = ask(config, &url, &format!("/v1/calls/{call}/handover"), body).await?;
    println!("call {}", told["call"].as_str().unwrap_or("unknown"));
    Ok(ExitCode::SUCCESS)
}

/// Has keys pressed.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn dtmf(config: &Config, arguments: DtmfArguments) -> anyhow::Result<ExitCode> {
    let DtmfArguments { call, digits, url } = arguments;
    ask(config, &url, &format!("/v1/calls/{call}/dtmf"), json!({ "digits": digits })).await.map(|_| ExitCode::SUCCESS)
}

/// What the server answers; nothing where that says nothing.
async fn ask(config: &Config, url: &str, path: &str, body: Value) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().timeout(REQUEST).build()?;
    let url = url.trim_end_matches('/');
    let mut request = client.post(format!("{url}{path}")).json(&body);
    if let Some(key) = config.review.key()? {
        request = request.bearer_auth(key.reveal());
    }
    let answer = request.send().await.with_context(|| format!("no server at {url}"))?;
    if answer.status().is_success() {
        return Ok(answer.json().await.unwrap_or_default());
    }
    let told: Value = answer.json().await.context("the server's answer is no JSON")?;
    bail!("{} {}", told["detail"].as_str().unwrap_or("refused"), told["fix"].as_str().unwrap_or(""));
}
