//! Scenarios: text files with a timeline in and a timeline out, played in virtual time.
//!
//! A file begins with what it shows, then what is set, then what happens when; below `---` stands what came of it, with `show
//! words` also how far the words of each agent turn came. After a
//! deliberate change, `DUOLOGUE_BLESS=1 make core` writes the outcomes anew: read the difference before committing it.

mod character;
mod sources;
mod stage;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duologue_core::backend::Role;
use duologue_core::dialogue::conversation::{Errand, Input};
use duologue_core::dialogue::judge::{Action, Moment};
use duologue_core::dialogue::persona::Persona;
use duologue_core::dialogue::stable::prefix;
use duologue_core::journal::{Entry, Speaker, WordFate, WordState};
use duologue_core::media::far_ear::PlayoutReport;
use duologue_core::memory::Party;
use duologue_core::memory::calendar::Day;
use duologue_core::memory::recollection::{Known, Open};
use duologue_signaling::event::Event;
use stage::{Line, Record, Script, Sound, Told, play, stretches};

#[test]
fn every_scenario_comes_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("tests/scenarios is there")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scenarios in {}", folder.display());
    let failures: Vec<String> = files.iter().filter_map(|file| differs(file)).collect();
    assert!(failures.is_empty(), "{} of {} scenarios differ:\n{}", failures.len(), files.len(), failures.join("\n"));
}

/// Every threshold of the floor and of the end of a turn moves a scenario: one without is not needed.
#[test]
fn every_setting_changes_a_scenario() {
    let settings = [
        ("01-question-and-answer", "endpoint_ms 400"),
        ("01-question-and-answer", "tail_ms 200"),
        ("01-question-and-answer", "ask_ms 500"),
        ("40-doubtful-voice", "ceiling_ms 700"),
        ("05-hesitation", "unfinished_ms 700"),
        ("38-end-probability-setting", "speak_permille 999"),
        ("02-cough", "duck_ms 100"),
        ("78-got-it", "sure_ms 200"),
        ("79-goes-on-as-the-agent-begins", "collide_ms 0"),
        ("36-let-me-think", "wait_ms 1200"),
        ("32-telephone-number", "dictation_ms 1200"),
        ("41-draft", "end_percent 95"),
        ("41-draft", "drafts 0"),
        ("52-draft-probability-setting", "draft_percent 20"),
        ("40-doubtful-voice", "draft_ahead_ms 0"),
        ("54-draft-from-too-little", "draft_lag_ms 0"),
        ("04-caller-goes-on", "resume_ms 400"),
        ("02-cough", "duck_db 0"),
        ("02-cough", "hold_ms 200"),
        ("03-barge-in", "words_ms 500"),
        ("27-slow-recogniser", "barge_in_ms 2000"),
        ("02-cough", "reject_ms 400"),
        ("22-cough-without-words", "decide_ms 300"),
        ("31-long-noise", "again_ms 400"),
        ("23-background-voice", "background_db 20"),
        ("25-echo", "echo_percent 95"),
        ("49-talks-without-end", "longest_turn_s 4"),
        ("49-talks-without-end", "insist_ms 2000"),
        ("11-model-hangs", "think_limit_ms 3000"),
        ("57-what-is-on-its-way", "far_ear_ms 20"),
        ("63-deflect-later", "delay_ms 1000"),
        ("70-judge-beside", "judge_beside 0"),
        ("111-knowledge-is-late", "source_wait_ms 500"),
        ("110-knowledge", "source_chars 60"),
        ("113-search", "search_budget_ms 300"),
        ("119-transition", "transition_ms 0"),
        ("122-follow-ups", "follow_ups_after_ms 5000"),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for (name, setting) in settings {
        let file = folder.join(name).with_extension("txt");
        let text = std::fs::read_to_string(&file).expect("a readable scenario");
        let head = text.split_once("\n---\n").map_or(text.as_str(), |(head, _)| head);
        let as_it_is = tell(&play(parse(head, &file)), true);
        let changed = tell(&play(parse(&format!("{head}\nset {setting}"), &file)), true);
        assert_ne!(as_it_is, changed, "{name} does not change with {setting}");
    }
}

fn differs(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).expect("a readable scenario");
    let (head, expected) = text.split_once("\n---\n").unwrap_or((text.trim_end(), ""));
    let show_words = head.lines().any(|line| line == "show words");
    let outcome = tell(&play(parse(head, file)), show_words);
    if outcome.trim() == expected.trim() {
        return None;
    }
    if std::env::var_os("DUOLOGUE_BLESS").is_some() {
        std::fs::write(file, format!("{}\n---\n{outcome}", head.trim_end())).expect("a writable scenario");
        return None;
    }
    Some(format!("== {}\n-- expected\n{}\n-- came out\n{outcome}", file.display(), expected.trim()))
}

/// One line a statement; `#` begins a comment. The first line is the title.
fn parse(head: &str, file: &Path) -> Script {
    let mut persona = Persona::blank("porter");
    persona.prompt = "You are a porter.".into();
    let mut script = Script::new(persona);
    for (n, line) in head.lines().enumerate().skip(1) {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() || line == "show words" {
            continue;
        }
        statement(&mut script, line).unwrap_or_else(|| panic!("{}:{}: cannot read '{line}'", file.display(), n + 1));
    }
    script
}

fn statement(script: &mut Script, line: &str) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let rest = rest.trim();
    match word {
        word if character::STATEMENTS.contains(&word) => return character::statement(&mut script.persona, word, rest),
        "judge" => return verdict(script, rest),
        "knows" | "web" | "search-fails" | "proposes" => return sources::statement(script, word, rest),
        "reply" => script.replies.push_back(Line::Says(rest.into())),
        "reply-fails" => script.replies.push_back(Line::Fails(rest.into())),
        "reply-breaks-off" => script.replies.push_back(Line::BreaksOff(rest.into(), "connection reset".into())),
        "voice-fails-after" => script.mute_voice_from = Some(rest.parse().ok()?),
        "set" => return set(script, rest),
        // What the clock on the wall says as the call begins, UTC.
        "clock" => {
            let (hour, minute) = rest.split_once(':')?;
            script.began_unix_s = Some(hour.parse::<u64>().ok()? * 3_600 + minute.parse::<u64>().ok()? * 60);
        }
        "end" => script.end_ms = rest.parse().ok()?,
        _ => return happening(script, word.parse().ok()?, rest),
    }
    Some(())
}

/// `judge end_of_turn refuse refuse.against_fact give me the key | The caller has no room here.`
fn verdict(script: &mut Script, rest: &str) -> Option<()> {
    let (moment, rest) = rest.split_once(' ')?;
    let (action, rest) = rest.split_once(' ')?;
    let (reason, rest) = rest.split_once(' ')?;
    let (words, fact) = rest.split_once(" | ").map_or((rest, None), |(words, fact)| (words, Some(fact)));
    let moment = *[Moment::Caller, Moment::EndOfTurn, Moment::Idle].iter().find(|known| known.as_str() == moment)?;
    let action = *Action::ALL.iter().find(|known| known.as_str() == action)?;
    // A scenario lives as long as the test.
    let reason = Box::leak(reason.to_owned().into_boxed_str());
    script.verdicts.push(Told { moment, words: words.into(), action, reason, rests_on: fact.map(Into::into) });
    Some(())
}

fn set(script: &mut Script, rest: &str) -> Option<()> {
    let (name, value) = rest.split_once(' ')?;
    let value: u64 = value.trim().parse().ok()?;
    let ms = value as u32;
    match name {
        "endpoint_ms" => script.settings.endpoint.endpoint_ms = ms,
        "wait_ms" => script.settings.endpoint.wait_ms = ms,
        "dictation_ms" => script.settings.endpoint.dictation_ms = ms,
        "end_percent" => script.settings.endpoint.end_probability = value as f32 / 100.0,
        "longest_turn_s" => script.settings.pace.longest_turn_s = ms,
        "insist_ms" => script.settings.floor.insist_ms = ms,
        "drafts" => script.settings.draft.most = ms,
        "draft_percent" => script.settings.draft.probability = value as f32 / 100.0,
        "draft_ahead_ms" => script.settings.draft.ahead_ms = ms,
        "draft_lag_ms" => script.settings.draft.lag_ms = ms,
        "ask_ms" => script.settings.endpoint.ask_ms = ms,
        "unfinished_ms" => script.settings.endpoint.unfinished_ms = ms,
        "speak_permille" => script.settings.endpoint.speak_probability = value as f32 / 1_000.0,
        "duck_ms" => script.settings.floor.duck_ms = ms,
        "sure_ms" => script.settings.floor.sure_ms = ms,
        "collide_ms" => script.settings.floor.collide_ms = ms,
        "hold_ms" => script.settings.floor.hold_ms = ms,
        "words_ms" => script.settings.floor.words_ms = ms,
        "decide_ms" => script.settings.floor.decide_ms = ms,
        "again_ms" => script.settings.floor.again_ms = ms,
        "background_db" => script.settings.floor.background_db = value as f32,
        "duck_db" => script.settings.floor.duck_db = -(value as f32),
        "others_ms" => script.settings.floor.others_ms = ms,
        "echo_percent" => script.settings.floor.echo_likelihood = value as f32 / 100.0,
        "ceiling_ms" => script.settings.endpoint.ceiling_ms = ms,
        "tail_ms" => script.settings.endpoint.tail_ms = ms,
        "barge_in_ms" => script.settings.floor.barge_in_ms = ms,
        "reject_ms" => script.settings.floor.reject_ms = ms,
        "resume_ms" => script.settings.floor.resume_ms = ms,
        "think_limit_ms" => script.settings.pace.think_limit_ms = ms,
        "partial_every_ms" => script.settings.pace.partial_every_ms = ms,
        "speech_ahead_ms" => script.settings.pace.speech_ahead_ms = ms,
        "far_ear_ms" => script.settings.far_ear.buffer_ms = ms,
        "judge_beside" => script.settings.judging.beside = value > 0,
        "delay_ms" => script.settings.judging.delay_ms = ms,
        "judge_ms" => script.pace.judge_ms = value,
        "initiatives" => script.persona.budgets.initiatives_most = ms,
        "after_question_percent" => script.persona.patience.after_question = value as f32 / 100.0,
        "after_hold_on_percent" => script.persona.patience.after_hold_on = value as f32 / 100.0,
        "asr_ms" => script.pace.asr_ms = value,
        "first_token_ms" => script.pace.first_token_ms = value,
        "token_ms" => script.pace.token_ms = value,
        "voice_ms" => script.pace.voice_ms = value,
        _ => return sources::set(script, name, value),
    }
    Some(())
}

/// `1000 caller 1500 complete=0.9 level=-24 echo=0.1 what time do you close`, `1000 types hello`, `1000 mutes`, `2000 unmutes`
fn happening(script: &mut Script, at: u64, rest: &str) -> Option<()> {
    let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match verb {
        "caller" => {
            let (length, mut words) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut sound = Sound::new(at, at + length.parse::<u64>().ok()?, "", None);
            while let Some((name, value)) = words.split(' ').next().and_then(|word| word.split_once('=')) {
                match name {
                    "complete" => sound.complete = Some(value.parse().ok()?),
                    "level" => sound.level_dbfs = value.parse().ok()?,
                    "flicker" => sound.flicker = Some(value.parse().ok()?),
                    "echo" => sound.echo_likelihood = value.parse().ok()?,
                    _ => return None,
                }
                words = words.split_once(' ').map_or("", |(_, more)| more);
            }
            sound.words = words.into();
            script.sounds.push(sound);
        }
        "types" => script.inputs.push((at, Input::Typed(rest.into()))),
        // `3000 hears 2600 2850`: the client plays at its moment 2850 what left when the line had run for 2600 ms.
        "hears" => {
            let (line_ms, at_ms) = rest.split_once(' ')?;
            let line = line_ms.parse::<u32>().ok()?.wrapping_mul(48);
            script.inputs.push((at, Input::Playout(PlayoutReport { line, at_ms: at_ms.parse().ok()? })));
        }
        "say" | "say-over" | "say-and-hang-up" => {
            let (interrupt, hang_up) = (verb == "say-over", verb == "say-and-hang-up");
            errand(script, at, 0, Errand::Say { words: rest.into(), interrupt, hang_up });
        }
        "remind-in" => {
            let (after, words) = rest.split_once(' ')?;
            errand(script, at, after.parse().ok()?, Errand::Remind { words: words.into() });
        }
        // `1000 promised agent ask the cook`, on the day before
        "promised" => {
            let (who, what) = rest.split_once(' ')?;
            let who = if who == "agent" { Party::Agent } else { Party::Caller };
            let today = Day::of(2026, 11, 25)?;
            let open = Open { who, what: what.into(), due: Some(today), made: today.plus(-1), persona: None };
            errand(script, at, 0, Errand::promise(open, today));
        }
        "news" | "news-quietly" => {
            let (name, text) = rest.split_once(": ")?;
            let speak = verb == "news";
            errand(script, at, 0, Errand::News { name: name.into(), text: text.into(), speak });
        }
        "persona" => {
            let persona = Persona { prompt: format!("You are {rest}."), ..Persona::blank(rest) };
            script.inputs.push((at, Input::Persona(persona.into())));
        }
        "asks-for-a-new-topic" => script.inputs.push((at, Input::NewTopic)),
        "stops-the-agent" => script.inputs.push((at, Input::Stop)),
        // `2000 has-played 2 600`: of turn 2 the client has played 600 ms, and plays no more.
        "has-played" => {
            let (turn, ms) = rest.split_once(' ')?;
            let played = Duration::from_millis(ms.parse().ok()?);
            script.inputs.push((at, Input::Truncated { turn: turn.parse().ok()?, played }));
        }
        // `0 remembers 2026-11-24: went to the lighthouse`: on the 25th, all in one moment
        "remembers" => {
            if !matches!(script.inputs.last(), Some((_, Input::Remembered(_)))) {
                script.inputs.push((at, Input::Remembered(Box::default())));
            }
            let Some((_, Input::Remembered(mind))) = script.inputs.last_mut() else { return None };
            mind.facts.push(Known { id: 1, line: rest.into(), identity: !rest.starts_with("20") });
        }
        "mutes" => script.inputs.push((at, Input::Muted(true))),
        "unmutes" => script.inputs.push((at, Input::Muted(false))),
        _ => return None,
    }
    Some(())
}

fn errand(script: &mut Script, at: u64, after_ms: u64, errand: Errand) {
    script.inputs.push((at, Input::Errand { errand, after: Duration::from_millis(after_ms) }));
}

/// The outcome as text: events, then what was kept.
fn tell(record: &Record, show_words: bool) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for event in &record.events {
        if let Some(told) = tell_event(&event.event) {
            lines.push((event.at_ms, told));
        }
    }
    for (from, to) in stretches(&record.ducked_ticks) {
        lines.push((from, format!("agent is ducked for {} ms", to - from)));
    }
    for (from, to) in stretches(&record.sound_ticks) {
        lines.push((from, format!("agent sounds for {} ms", to - from)));
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut out = String::new();
    for (at, line) in lines {
        let _ = writeln!(out, "{at:>6} {line}");
    }
    for (at, request) in &record.requests {
        if let Some(last) =
            request.messages.last().filter(|last| last.role == Role::System && request.messages.len() > 1)
        {
            let _ = writeln!(out, "  told {at}: {}", last.content);
        }
        out.extend(sources::tell_quoted(*at, request));
    }
    out.push_str(&sources::tell_known(record));
    out.push_str(&sources::tell_seen(record));
    for entry in &record.entries {
        if let Entry::Turn(row) = entry {
            let who = if row.speaker == Speaker::Caller { "caller" } else { "agent" };
            let outcome = row.outcome.map_or(String::new(), |outcome| format!(" {outcome:?}").to_lowercase());
            let heard = row.heard.as_ref().map_or(String::new(), |heard| format!(" | heard: {heard}"));
            let _ = writeln!(
                out,
                "  kept {} {who}{outcome} {}-{}: {}{heard}",
                row.turn, row.started_ms, row.ended_ms, row.text
            );
        }
        out.extend(sources::tell_entry(entry));
        if let Entry::Blocked { ttl_s, reason, .. } = entry {
            let _ = writeln!(out, "  blocked for {ttl_s} s ({reason})");
        }
        if let Entry::Playout { reports, way_ms, .. } = entry {
            let _ = writeln!(out, "  playout {reports:?}, {way_ms} ms away");
        }
        if let Entry::Words { turn, words, .. } = entry
            && show_words
        {
            let _ = writeln!(out, "  words {turn}: {}", tell_words(words));
        }
    }
    out
}

/// How many words got how far, and when the last of them was heard.
fn tell_words(words: &[WordFate]) -> String {
    let states = [WordState::Generated, WordState::Synthesised, WordState::Sent, WordState::Heard];
    let counted = states.map(|state| {
        let count = words.iter().filter(|word| word.state() >= state).count();
        format!("{count} {}", state.as_str())
    });
    let last = words
        .iter()
        .filter_map(|word| word.heard)
        .last()
        .map_or(String::new(), |(at, _)| format!(", the last at {}", at.ms()));
    format!("{}{last}", counted.join(", "))
}

fn tell_event(event: &Event) -> Option<String> {
    Some(match event {
        Event::CallStarted { .. } | Event::Words { .. } | Event::Line { .. } | Event::Quality { .. } => return None,
        Event::Floor { state } => format!("floor {}", format!("{state:?}").to_lowercase()),
        Event::Partial { turn, text, .. } => format!("partial {turn}: {text}"),
        Event::Transcript { turn, text, typed } => {
            format!("transcript {turn}{}: {text}", if *typed { " (typed)" } else { "" })
        }
        Event::Judgement { turn, moment, action, reason, proposed, overruled_by, .. } => {
            let running = if moment == "caller" { " running" } else { "" };
            let rule = proposed.iter().zip(overruled_by).map(|(was, rule)| format!(", not {was}: {rule}"));
            format!("judgement {turn}{running}: {action} ({reason}{})", rule.collect::<String>())
        }
        Event::Attention { turn, text } => format!("attention over {turn}: {text}"),
        Event::Backchannel { turn, text } => format!("backchannel over {turn}: {text}"),
        Event::Draft { turn, caller_turn, adopted, tokens, .. } => {
            let fate = if *adopted { "adopted" } else { "thrown away" };
            format!("draft {turn} for {caller_turn} {fate} after {tokens} tokens")
        }
        Event::Citations { .. }
        | Event::Search { .. }
        | Event::Topic { .. }
        | Event::Transition { .. }
        | Event::FollowUps { .. } => sources::tell_event(event),
        Event::Persona { name, .. } => format!("persona {name}"),
        Event::Recording { on } => format!("recorded: {on}"),
        Event::Key { key, .. } => format!("key: {key}"),
        Event::Hold { on } => format!("on hold: {on}"),
        Event::Transfer { to, state, .. } => format!("transfer to {to}: {state:?}"),
        Event::Bridge { .. } | Event::TakenOver { .. } | Event::KeysSent { .. } => format!("{event:?}"),
        Event::Express { turn, emoji } => format!("turn {turn} shows {emoji}"),
        Event::Budget { action, allowed, why, spent, most } => {
            format!("budget {action}: {} ({why}, {spent} of {most})", if *allowed { "allowed" } else { "refused" })
        }
        Event::TurnStarted { turn, .. } => format!("turn {turn} starts"),
        Event::TurnEnded { turn, outcome, .. } => format!("turn {turn} {}", format!("{outcome:?}").to_lowercase()),
        Event::Trouble { code, detail } => format!("trouble {code}: {detail}"),
        Event::CallEnded { reason, .. } => format!("call ended: {reason}"),
    })
}

#[test]
fn words_become_stable_while_the_caller_speaks_and_stay_as_they_were() {
    let words = "could I have a table for two on Friday evening at about eight";
    let sound = Sound::new(500, 4_500, words, Some(0.9));
    let record = play(Script { sounds: vec![sound], end_ms: 7_000, ..Script::new(Persona::blank("nobody")) });
    let partials: Vec<(&str, u32)> = record
        .events
        .iter()
        .filter_map(|event| match &event.event {
            Event::Partial { text, stable, .. } => Some((text.as_str(), *stable)),
            _ => None,
        })
        .collect();
    assert!(partials.len() > 4, "{partials:?}");
    assert_eq!(partials[0].1, 0, "nothing agrees with the first");
    for pair in partials.windows(2) {
        assert_eq!(pair[1].1 as usize, pair[0].0.split_whitespace().count(), "this recogniser never changes its mind");
        assert!(pair[1].0.starts_with(prefix(pair[0].0, pair[0].1)));
    }
}
