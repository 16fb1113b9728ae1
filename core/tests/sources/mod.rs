//! What scenarios say of files, the web, new topics and what may be asked next; and how it is told what came of it.

use std::fmt::Write as _;

use duologue_core::backend::ChatRequest;
use duologue_core::dialogue::persona::KnowledgeFolder;
use duologue_core::journal::Entry;
use duologue_core::knowledge::Passage;
use duologue_signaling::event::{Event, Origin};

use crate::stage::{Record, Script};

/// `knows kitchen | house.md | Meals > Dinner | The kitchen closes at ten.`: a file of the persona's;
/// `web eclipse | https://sky.example | Eclipses | The next one is in August.`: this persona may ask the web;
/// `search-fails the key was refused`; `proposes And on Sundays? | Is there parking?`
pub fn statement(script: &mut Script, word: &str, rest: &str) -> Option<()> {
    match word {
        "search-fails" => script.search_fails = Some(rest.into()),
        "proposes" => script.follow_ups = rest.split(" | ").map(Into::into).collect(),
        "knows" => {
            let (about, passage) = passage(rest)?;
            let line = Some(1 + script.knows.len() as u32);
            script.persona.knowledge = vec![KnowledgeFolder { path: "house".into(), line: 1 }];
            script.knows.push((about, Passage { line, ..passage }));
        }
        "web" => {
            let (about, passage) = passage(rest)?;
            script.persona.search = true;
            script.settings.search.provider = Some("script");
            script.web.push((about, Passage { origin: Origin::Web, ..passage }));
        }
        _ => return None,
    }
    Some(())
}

fn passage(rest: &str) -> Option<(String, Passage)> {
    let mut parts = rest.splitn(4, " | ").map(str::to_owned);
    let about = parts.next()?;
    let (source, heading, text) = (parts.next()?, parts.next()?, parts.next()?);
    Some((about, Passage { source, heading, text, ..Passage::default() }))
}

pub fn set(script: &mut Script, name: &str, value: u64) -> Option<()> {
    let ms = value as u32;
    match name {
        "consult_ms" => script.pace.consult_ms = value,
        "source_wait_ms" => script.settings.sources.wait_ms = ms,
        "source_chars" => script.settings.sources.chars = value as usize,
        "search_ms" => script.pace.search_ms = value,
        "search_budget_ms" => script.settings.search.budget_ms = ms,
        "transition_ms" => script.settings.transition_ms = ms,
        "follow_ups" => script.settings.follow_ups.most = ms,
        "follow_ups_after_ms" => script.settings.follow_ups.after_ms = ms,
        _ => return None,
    }
    Some(())
}

/// What stood in quotes right before the caller's words.
pub fn tell_quoted(at: u64, request: &ChatRequest) -> Option<String> {
    let [.., quoted, asked] = request.messages.as_slice() else { return None };
    if !quoted.content.starts_with("=== quoted") {
        return None;
    }
    let notes: Vec<&str> = quoted.content.lines().filter(|line| line.starts_with('(')).collect();
    Some(format!("  quoted {at} before {:?}: {}\n", asked.content, notes.join(" ")))
}

/// What the model knows of the caller, each time that it is told something else.
pub fn tell_known(record: &Record) -> String {
    let mut known = String::new();
    let mut out = String::new();
    for (at, request) in &record.requests {
        let system = request.messages.first().map_or("", |message| message.content.as_str());
        let now = system.split_once("What you know of this caller").map_or("", |(_, told)| told).lines().skip(1);
        let now = now.map(|line| line.trim_start_matches("- ")).collect::<Vec<_>>().join(" / ");
        if now != known {
            let _ = writeln!(out, "  the model knows {at}: {now}");
            known = now;
        }
    }
    out
}

/// After a new topic: what the model sees when it is to answer.
pub fn tell_seen(record: &Record) -> String {
    let topic = record.events.iter().find(|event| matches!(event.event, Event::Topic { .. })).map(|event| event.at_ms);
    let asked = |at: u64| record.opened.iter().any(|(when, _)| *when == at);
    let mut out = String::new();
    for (at, request) in record.requests.iter().filter(|(at, _)| topic.is_some_and(|topic| *at >= topic) && asked(*at))
    {
        let said: Vec<&str> = request.messages[1..].iter().map(|message| message.content.as_str()).collect();
        let _ = writeln!(out, "  the model sees {at}: {}", said.join(" / "));
    }
    out
}

pub fn tell_entry(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Retrieval(row) => {
            let cited = row.retrieved.iter().filter(|one| one.cited).count();
            format!("  retrieved {} for turn {} ({cited} cited): {}\n", row.retrieved.len(), row.turn, row.words)
        }
        Entry::Search(row) => {
            format!("  searched for turn {}: {} after {} ms {}\n", row.turn, row.outcome, row.took_ms, row.detail)
        }
        Entry::Topic { turn, asked_by, .. } => format!("  topic from {turn} on ({asked_by})\n"),
        _ => return None,
    })
}

pub fn tell_event(event: &Event) -> String {
    match event {
        Event::Citations { turn, caller_turn, citations } => {
            let places = citations.iter().map(|place| format!("{}, {}", place.source, place.heading));
            format!("turn {turn} for {caller_turn} cites {}", places.collect::<Vec<_>>().join("; "))
        }
        Event::Search { turn, query, state, results, took_ms } => {
            format!("search for turn {turn}: {} ({query}; {results} in {took_ms} ms)", state.as_str())
        }
        Event::Topic { turn, asked_by } => format!("new topic from turn {turn} on ({asked_by})"),
        Event::Transition { turn, text } => format!("turn {turn} begins with a phrase: {text}"),
        Event::FollowUps { turn, questions } => format!("follow-ups to {turn}: {}", questions.join(" ")),
        other => format!("{other:?}"),
    }
}
