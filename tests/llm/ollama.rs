//! The Ollama client against the answers that Ollama's API page documents.

use duologue::backend::llm::{OllamaLlm, Patience};
use duologue::backend::{Llm, LlmError};
use futures_util::StreamExt;
use serde_json::json;

use super::hello;
use super::served::{Answer, IMPATIENT, Seen, Then, cut_inside_a_character, dead_url, serve};

const PATH: &str = "/api/chat";
const DONE: &str = concat!(
    r#"{"model":"llama3.2","created_at":"2023-12-12T14:13:43.416799Z","message":{"role":"assistant","content":""},"#,
    r#""done":true,"done_reason":"stop","total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"#,
    r#""prompt_eval_duration":342546000,"eval_count":282,"eval_duration":4535599000}"#,
    "\n"
);

fn piece(text: &str) -> String {
    let line = json!({
        "model": "llama3.2", "created_at": "2023-08-04T08:52:19.385406455-07:00",
        "message": { "role": "assistant", "content": text, "images": null }, "done": false,
    });
    format!("{line}\n")
}

async fn reply(url: &str, patience: Patience) -> Result<Vec<Result<String, LlmError>>, LlmError> {
    let llm = OllamaLlm::new(url, "llama3.2", patience)?;
    Ok(llm.chat(hello()).await?.collect().await)
}

#[tokio::test]
async fn the_documented_stream_becomes_text() {
    let mut served = serve(PATH, Answer::ok([piece("The"), piece(" sky."), DONE.into()])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert_eq!(pieces, [Ok("The".into()), Ok(" sky.".into())]);
    let Some(Seen::Asked(body)) = served.seen.recv().await else { panic!("the server was asked") };
    assert_eq!((&body["model"], &body["stream"]), (&json!("llama3.2"), &json!(true)));
    assert_eq!(body["options"], json!({ "num_predict": 40, "temperature": 0.2f32 }));
}

#[tokio::test]
async fn a_chunk_may_end_inside_a_character_and_hold_half_a_line() {
    let text = "caf\u{e9}, \u{4f60}\u{597d} \u{1f642}";
    let mut chunks = cut_inside_a_character(&(piece(text) + &piece("!")));
    chunks.push(DONE.into());
    let served = serve(PATH, Answer::ok(chunks)).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert_eq!(pieces, [Ok(text.into()), Ok("!".into())]);
}

#[tokio::test]
async fn every_cut_of_the_stream_gives_the_same_text() {
    let text = "\u{fc}\u{1f642}";
    let bytes = (piece(text) + DONE).into_bytes();
    for at in 1..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        let served = serve(PATH, Answer::ok([head.to_vec(), tail.to_vec()])).await;
        let pieces = reply(&served.url, Patience::default()).await.expect("opens");
        assert_eq!(pieces, [Ok(text.to_owned())], "cut at byte {at}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_is_named() {
    let served = serve(PATH, Answer::status(404, r#"{"error":"model 'llama3.2' not found"}"#)).await;
    let fault = reply(&served.url, Patience::default()).await.expect_err("refused");
    assert_eq!(fault, LlmError::NoSuchModel { model: "llama3.2".into() });
}

#[tokio::test]
async fn a_server_that_is_no_ollama_is_told_from_a_missing_model() {
    let served = serve("/elsewhere", Answer::status(200, "")).await;
    let fault = reply(&served.url, Patience::default()).await.expect_err("refused");
    assert!(
        matches!(&fault, LlmError::Unreachable { url, why } if *url == served.url && why.contains("/api/chat")),
        "{fault}"
    );
}

#[tokio::test]
async fn a_refused_connection_is_named_with_its_url() {
    let url = dead_url().await;
    let fault = reply(&url, Patience::default()).await.expect_err("refused");
    assert!(matches!(&fault, LlmError::Unreachable { url: named, .. } if *named == url), "{fault}");
}

#[tokio::test]
async fn what_is_no_url_is_refused_at_once() {
    for url in ["", "localhost:11434", "ftp://host", "http://"] {
        assert!(matches!(OllamaLlm::new(url, "m", IMPATIENT), Err(LlmError::Unreachable { .. })), "{url:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_server_is_passed_on() {
    let served = serve(PATH, Answer::status(500, r#"{"error":"out of memory"}"#)).await;
    let fault = reply(&served.url, Patience::default()).await.expect_err("refused");
    assert_eq!(fault, LlmError::BrokeOff("HTTP 500: out of memory".into()));
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_passed_on() {
    let served = serve(PATH, Answer::ok([piece("The"), "{\"error\":\"the runner crashed\"}\n".into()])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert_eq!(pieces, [Ok("The".into()), Err(LlmError::BrokeOff("the runner crashed".into()))]);
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_reply_is_broken_off() {
    let served = serve(PATH, Answer::ok([piece("The")]).then(Then::Cut)).await;
    let llm = OllamaLlm::new(&served.url, "llama3.2", Patience::default()).expect("a URL");
    let mut reply = llm.chat(hello()).await.expect("opens");
    assert_eq!(reply.next().await, Some(Ok("The".into())));
    served.cut.notify_one();
    assert!(matches!(reply.next().await, Some(Err(LlmError::BrokeOff(_)))));
    assert_eq!(reply.next().await, None);
}

#[tokio::test]
async fn a_stream_that_ends_without_its_last_line_is_broken_off() {
    let served = serve(PATH, Answer::ok([piece("The")])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert!(matches!(&pieces[..], [Ok(_), Err(LlmError::BrokeOff(_))]), "{pieces:?}");
}

#[tokio::test]
async fn nonsense_is_broken_off_with_its_words() {
    let served = serve(PATH, Answer::ok(["<html>Bad gateway</html>\n"])).await;
    let pieces = reply(&served.url, Patience::default()).await.expect("opens");
    assert!(matches!(&pieces[..], [Err(LlmError::BrokeOff(why))] if why.contains("Bad gateway")), "{pieces:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out_at_the_first_token() {
    let served = serve(PATH, Answer::ok(Vec::<String>::new()).then(Then::Hang)).await;
    let pieces = reply(&served.url, IMPATIENT).await.expect("the head of the answer comes");
    assert_eq!(pieces, [Err(LlmError::TimedOut(IMPATIENT.first_token))]);
}

#[tokio::test]
async fn a_server_that_falls_silent_times_out_between_tokens() {
    let served = serve(PATH, Answer::ok([piece("The")]).then(Then::Hang)).await;
    let pieces = reply(&served.url, IMPATIENT).await.expect("opens");
    assert_eq!(pieces, [Ok("The".into()), Err(LlmError::TimedOut(IMPATIENT.next_token))]);
}

#[tokio::test]
async fn a_dropped_reply_is_cancelled_at_the_server() {
    let mut served = serve(PATH, Answer::ok([piece("The")]).then(Then::Hang)).await;
    let llm = OllamaLlm::new(&served.url, "llama3.2", Patience::default()).expect("a URL");
    let mut reply = llm.chat(hello()).await.expect("opens");
    assert_eq!(reply.next().await, Some(Ok("The".into())));
    drop(reply);
    assert!(matches!(served.seen.recv().await, Some(Seen::Asked(_))));
    assert_eq!(served.seen.recv().await, Some(Seen::ClientGone));
}

#[tokio::test]
async fn priming_asks_for_the_least_that_ollama_can_be_asked() {
    let mut served = serve(PATH, Answer::ok([DONE])).await;
    let llm = OllamaLlm::new(&served.url, "llama3.2", Patience::default()).expect("a URL");
    llm.prime(hello()).await.expect("primes");
    let Some(Seen::Asked(body)) = served.seen.recv().await else { panic!("the server was asked") };
    assert_eq!(body["options"]["num_predict"], 1);
}
