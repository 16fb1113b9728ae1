//! Ring 3: `duologue phones`: asks a running server which telephones are registered with it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::config::Config;

/// The longest that the server may take.
const REQUEST: Duration = Duration::from_secs(30);

/// `duologue phones`.
#[derive(Clone, Debug, clap::Args)]
pub struct PhonesArguments {
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
}

/// Prints a line for each contact of each telephone.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn run(config: &Config, arguments: PhonesArguments) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(REQUEST).build()?;
    let url = arguments.url.trim_end_matches('/');
    let mut request = client.get(format!("{url}/v1/phones"));
    if let Some(key) = config.review.key()? {
        request = request.bearer_auth(key.reveal());
    }
    let answer = request.send().await.with_context(|| format!("no server at {url}"))?;
    let taken = answer.status().is_success();
    let told: Value = answer.json().await.context("the server's answer is no JSON")?;
    let Some(phones) = told.as_array().filter(|_| taken) else {
        bail!("{} {}", told["detail"].as_str().unwrap_or("refused"), told["fix"].as_str().unwrap_or(""));
    };
    if phones.is_empty() {
        println!("no telephone may register: sip.phones names none");
    }
    for phone in phones {
        let (name, contacts) = (phone["name"].as_str().unwrap_or(""), phone["contacts"].as_array());
        let Some(contacts) = contacts.filter(|contacts| !contacts.is_empty()) else {
            println!("{name} is not registered");
            continue;
        };
        for contact in contacts {
            let text = |key: &str| contact[key].as_str().unwrap_or("").to_owned();
            let left = contact["expires_s"].as_u64().unwrap_or(0);
            println!(
                "{name} {} from {} ({}), for {left} s more, {}",
                text("uri"),
                text("from"),
                text("transport"),
                text("user_agent")
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
