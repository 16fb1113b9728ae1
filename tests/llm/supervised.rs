//! What happens when the worker dies, and when its model does not load.

use std::path::PathBuf;

use duologue::backend::llm::{LlmWorker, WorkerSettings, WorkerState};
use duologue::backend::{ChatRequest, Llm, LlmError};
use futures_util::StreamExt;
use serde_json::json;

use super::hello;
use super::worker::{PATIENT, SMALL, models_folder, url, worker};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_that_dies_breaks_off_the_reply_and_is_started_again() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let before = url(&worker);
    let schema = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 400 });
    let request = ChatRequest { max_tokens: 512, schema: Some(schema), ..hello() };
    let mut reply = worker.chat(request).await.expect("opens");
    assert!(matches!(reply.next().await, Some(Ok(_))));
    let mut state = worker.state();
    kill_the_listener_of(&before);
    let rest: Vec<_> = reply.collect().await;
    assert!(matches!(rest.last(), Some(Err(LlmError::BrokeOff(_)))), "{rest:?}");
    state.wait_for(|state| matches!(state, WorkerState::Ready { url } if *url != before)).await.expect("kept");
    let again: Vec<_> = worker.chat(hello()).await.expect("opens").collect().await;
    assert!(matches!(again.first(), Some(Ok(_))), "{again:?}");
}

/// Kills the child of this process whose command line and socket belong to `url`: the worker under test, no other.
#[cfg(target_os = "linux")]
pub fn kill_the_listener_of(url: &str) {
    let port: u16 = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("readable");
    let local = format!("0100007F:{port:04X}");
    let row = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let inode = row.into_iter().find(|row| row.get(1) == Some(&local.as_str()) && row.get(3) == Some(&"0A"));
    let socket = format!("socket:[{}]", inode.expect("somebody listens")[9]);
    for process in std::fs::read_dir("/proc").expect("readable").flatten() {
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        if files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
        {
            let id = process.file_name();
            let killed = std::process::Command::new("kill").arg("-KILL").arg(&id).status().expect("kill runs");
            assert!(killed.success(), "process {id:?} was not killed");
            return;
        }
    }
    panic!("nobody holds {socket}");
}

#[tokio::test]
async fn a_truncated_model_is_named_and_nobody_waits_for_it() {
    let whole = models_folder().join(SMALL);
    if !whole.is_file() {
        println!("skipped: {} is absent; `duologue models fetch` brings it", whole.display());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.gguf");
    std::fs::write(&cut, &std::fs::read(&whole).expect("readable")[..1 << 20]).expect("written");
    let mut settings = WorkerSettings::new(&cut, "cut");
    settings.executable = std::env::var_os("DUOLOGUE_LLM").map(PathBuf::from);
    let Ok(worker) = LlmWorker::start(settings, PATIENT) else {
        println!("skipped: the worker's executable is absent; `cargo build --release -p duologue-llm` makes it");
        return;
    };
    let fault = worker.ready().await.expect_err("it cannot become ready");
    let text = fault.to_string();
    assert!(text.contains("cut.gguf") && text.contains("not a complete GGUF"), "{text}");
}
