//! The worker's prefix cache: what is read once, what is shared, and what does not fit.

use std::pin::pin;

use duologue::backend::llm::WorkerState;
use duologue::backend::{ChatMessage, ChatRequest, Llm, Role};
use futures_util::future::{Either, join_all, select};
use serde_json::{Value, json};

use super::hello;
#[cfg(target_os = "linux")]
use super::supervised::kill_the_listener_of;
use super::worker::{SMALL, ask, gauge, url, worker, worker_with};

#[tokio::test]
async fn a_history_is_read_once() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let mut messages = vec![json!({ "role": "system", "content": "You are a telephone assistant. ".repeat(8) })];
    let prime = json!({ "model": "embedded", "messages": messages, "stream": false, "options": { "num_predict": 0 } });
    let (_, primed) = ask(&url, "/api/chat", &prime).await;
    assert_eq!((&primed["eval_count"], &primed["done"]), (&json!(0), &json!(true)));
    for question in ["Hello?", "Who are you?", "Thank you."] {
        let before = primed["prompt_eval_count"].as_u64().expect("a count");
        messages.push(json!({ "role": "user", "content": question }));
        let body =
            json!({ "model": "embedded", "messages": messages, "stream": false, "options": { "num_predict": 12 } });
        let (_, answer) = ask(&url, "/api/chat", &body).await;
        let (all, cached) = (answer["prompt_eval_count"].as_u64(), answer["prompt_eval_cached"].as_u64());
        let (all, cached) = (all.expect("a count"), cached.expect("a count"));
        assert!(cached >= before && all - cached < 40, "{cached} of {all} tokens were cached");
        messages.push(answer["message"].clone());
    }
}

#[tokio::test]
async fn a_second_call_shares_the_system_prompt_and_leaves_the_first_its_history() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let system = json!({ "role": "system", "content": "You are a telephone assistant. ".repeat(8) });
    let chat = |history: Vec<Value>| {
        let messages: Vec<Value> = std::iter::once(system.clone()).chain(history).collect();
        json!({ "model": "embedded", "messages": messages, "stream": false, "options": { "num_predict": 4 } })
    };
    let said = |text: &str| json!({ "role": "user", "content": text });
    let (_, first) = ask(&url, "/api/chat", &chat(vec![said("I am the first caller.")])).await;
    let (_, second) = ask(&url, "/api/chat", &chat(vec![said("And I am another one.")])).await;
    assert!(second["prompt_eval_cached"].as_u64() > Some(30), "{second}");
    let history = vec![said("I am the first caller."), first["message"].clone(), said("Are you there?")];
    let (_, again) = ask(&url, "/api/chat", &chat(history)).await;
    assert!(again["prompt_eval_cached"].as_u64() >= first["prompt_eval_count"].as_u64(), "{first} then {again}");
}

/// What is kept is read before anybody calls, outlives more chats than there is room for, and is read again by the next worker.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_beginnings_of_personas_stay_read() {
    let Some(worker) = worker_with(SMALL, |settings| (settings.slots, settings.keeps) = (Some(1), 2)).await else {
        return;
    };
    let system = |name: &str| ChatMessage { role: Role::System, content: format!("You are {name}. ").repeat(16) };
    let beginning = |name: &str| ChatRequest { messages: vec![system(name)], ..hello() };
    let worker = worker.keeping(vec![beginning("Arthur"), beginning("Ruth")]);
    let chat = |name: &str, caller: usize| {
        let said = json!({ "role": "user", "content": format!("I am caller {caller}.") });
        let messages = json!([{ "role": "system", "content": system(name).content }, said]);
        json!({ "model": "embedded", "messages": messages, "stream": false, "options": { "num_predict": 2 } })
    };
    let before = url(&worker);
    let mut now = before.clone();
    for round in 0..2 {
        both_are_read(&now).await;
        for (caller, name) in ["Arthur", "Ruth", "Arthur", "Ruth"].into_iter().enumerate() {
            let (_, answer) = ask(&now, "/api/chat", &chat(name, caller)).await;
            let (all, cached) = (answer["prompt_eval_count"].as_u64(), answer["prompt_eval_cached"].as_u64());
            assert!(all.zip(cached).is_some_and(|(all, cached)| cached > 50 && all - cached < 30), "{answer}");
        }
        if round == 0 {
            let mut state = worker.state();
            kill_the_listener_of(&before);
            let ready = |state: &WorkerState| matches!(state, WorkerState::Ready { url } if *url != before);
            state.wait_for(ready).await.expect("started again");
            now = url(&worker);
        }
    }
    let refused = json!({ "model": "embedded", "messages": [], "keep": true, "options": { "num_predict": 4 } });
    let (status, why) = ask(&now, "/api/chat", &refused).await;
    assert_eq!(status, 400);
    assert!(why["error"].as_str().is_some_and(|why| why.contains("num_predict 0")), "{why}");
}

/// The one slot of chats comes first.
#[cfg(target_os = "linux")]
async fn both_are_read(url: &str) {
    loop {
        let gauge = gauge(url).await;
        let kept = gauge["slots"].as_array().into_iter().flatten().skip(1).filter_map(Value::as_u64);
        if gauge["running"] == 0 && kept.filter(|tokens| *tokens > 50).count() == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn chats_that_do_not_fit_the_cache_together_wait_for_each_other() {
    let Some(worker) = worker_with(SMALL, |settings| settings.ctx = Some(256)).await else {
        return;
    };
    let url = url(&worker);
    // two such chats fill the 512 tokens that the cache has for chats of at most 256
    let bodies: Vec<Value> = (0..3)
        .map(|caller| {
            let said = format!("{caller} ").repeat(100);
            let messages = json!([{ "role": "user", "content": said }]);
            let format = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 400 });
            json!({ "model": "embedded", "messages": messages, "stream": false, "format": format })
        })
        .collect();
    for (status, answer) in join_all(bodies.iter().map(|body| ask(&url, "/api/chat", body))).await {
        assert_eq!((status, &answer["done_reason"]), (200, &json!("length")), "{answer}");
        let all = answer["prompt_eval_count"].as_u64().zip(answer["eval_count"].as_u64());
        assert_eq!(all.map(|(prompt, reply)| prompt + reply), Some(256), "{answer}");
    }
}

#[tokio::test]
async fn a_long_prompt_is_not_read_to_its_end_when_its_client_goes_away() {
    let Some(worker) = worker(SMALL).await else {
        return;
    };
    let url = url(&worker);
    let request = ChatRequest {
        messages: vec![ChatMessage { role: Role::System, content: "and then ".repeat(1_800) }],
        ..hello()
    };
    let held = |gauge: &Value| gauge["slots"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum::<u64>();
    {
        let prime = worker.prime(request);
        let reading = async { while held(&gauge(&url).await) == 0 {} };
        match select(pin!(prime), pin!(reading)).await {
            Either::Left((primed, _)) => {
                panic!("3,600 tokens were read before the first look: {primed:?}")
            }
            Either::Right(((), prime)) => drop(prime),
        }
    }
    let after = loop {
        let gauge = gauge(&url).await;
        if gauge["running"] == 0 {
            break gauge;
        }
    };
    assert_eq!(after["cancelled"], 1, "{after}");
    assert!(held(&after) < 3_600, "{after}");
}
