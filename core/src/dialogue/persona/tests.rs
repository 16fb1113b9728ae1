use super::*;

const PORTER: &str = "---\nname: porter\nopening: Good evening.\nladder:\n  - after_ms: 9000\n    say: Still there?\n---\n\nYou are a porter.\n";

/// What is wrong with a head of these lines; the first of them is line 2.
fn faults(lines: &[&str]) -> Vec<String> {
    let file = format!("---\n{}\n---\nYou are a porter.\n", lines.join("\n"));
    Persona::parse(&file).map(|_| Vec::new()).unwrap_or_else(|faults| faults.iter().map(ToString::to_string).collect())
}

/// The one fault of a head with this line in it, which is line 3.
fn fault(line: &str) -> String {
    let found = faults(&["name: porter", line, "title: Arthur"]);
    assert_eq!(found.len(), 1, "{line}: {found:?}");
    found.into_iter().next().unwrap_or_default()
}

#[test]
fn a_persona_is_its_head_and_its_prompt() {
    let persona = Persona::parse(PORTER).unwrap();
    assert_eq!(persona.name, "porter");
    assert_eq!(persona.opening, "Good evening.");
    assert_eq!(persona.ladder[0].after_ms, 9_000);
    assert_eq!(persona.prompt, "You are a porter.");
}

#[test]
fn what_a_file_leaves_out_is_what_a_blank_persona_has() {
    let persona = Persona::parse("---\nname: porter\n---\nYou are a porter.").unwrap();
    assert_eq!(persona, Persona { prompt: "You are a porter.".into(), ..Persona::blank("porter") });
}

#[test]
fn every_field_can_be_set() {
    let file = "---
name: maud
title: Maud
description: Keeps the desk.
role: Maud keeps the desk of a clinic.
stance: Gives no medical advice.
priors: {refuse: 0.7, interrupt: 0.4}
budgets: {interrupts: 2, per_turns: 5, initiatives: 1, silences: 0, blocks: 0, listen_ms: 1500}
never: [interrupt-distress]
quiet_hours: \"20:30-08:00\"
utc_offset_min: 60
silence_ttl_ms: 5000
block_ttl_s: 120
opening: Clinic.
trouble: Once more, please.
long_turn: Briefly, please.
lead_ins: [One moment.]
greetings: [Hello.]
farewells: [Bye.]
warnings: [Mind your words.]
refusals: [No.]
deflections: [Perhaps.]
backchannels: [Yes.]
ladder:
  - {after_ms: 5000, say: Hello?, hang_up: true}
patience: {after_question: 2, after_hold_on: 6.5}
temperature: 0.1
max_tokens: 40
hotwords: [Maud]
---
You are Maud.";
    let persona = Persona::parse(file).unwrap();
    let blank = Persona::blank("maud");
    assert_eq!(persona.role, "Maud keeps the desk of a clinic.");
    assert_eq!(persona.stance, "Gives no medical advice.");
    assert_eq!(persona.priors, BTreeMap::from([(Action::Refuse, 0.7), (Action::Interrupt, 0.4)]));
    let Budgets { interrupts_most, interrupts_per_turns, initiatives_most, silences_in_a_row, blocks_most, listen_ms } =
        persona.budgets;
    assert_eq!((interrupts_most, interrupts_per_turns, initiatives_most), (2, 5, 1));
    assert_eq!((silences_in_a_row, blocks_most, listen_ms), (0, 0, 1_500));
    assert!(persona.never(NeverRule::InterruptDistress) && !persona.never(NeverRule::SilenceSafety));
    assert_eq!(persona.quiet_hours.unwrap().to_string(), "20:30-08:00");
    assert_eq!(persona.quiet_hours.unwrap().utc_offset_min, 60);
    assert_eq!((persona.silence_ttl_ms, persona.block_ttl_s), (5_000, 120));
    assert_eq!(persona.patience, Patience { after_question: 2.0, after_hold_on: 6.5 });
    assert!(persona.ladder[0].hang_up);
    for (own, usual) in [
        (&persona.lead_ins, &blank.lead_ins),
        (&persona.greetings, &blank.greetings),
        (&persona.farewells, &blank.farewells),
        (&persona.warnings, &blank.warnings),
        (&persona.refusals, &blank.refusals),
        (&persona.deflections, &blank.deflections),
        (&persona.backchannels, &blank.backchannels),
    ] {
        assert_eq!(own.len(), 1);
        assert_ne!(own, usual);
    }
}

#[test]
fn the_role_is_the_description_where_none_is_given() {
    let persona = Persona::parse("---\nname: a\ndescription: Keeps the desk.\n---\nprompt").unwrap();
    assert_eq!(persona.role, "Keeps the desk.");
}

#[test]
fn faults_are_named_all_at_once_and_with_their_lines() {
    let file = "---\nname: The Porter\nmax_tokens: 2\nvoise: joe\nladder:\n  - after_ms: 5\n    say: hm\ntemperature: warm\n---\n";
    let faults = Persona::parse(file).unwrap_err();
    let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text.len(), 6, "{text:#?}");
    for (found, expected) in text.iter().zip([
        "line 2: name: 'The Porter'",
        "line 3: max_tokens: 2 is outside 8 to 512 tokens",
        "line 4: 'voise' is not known here",
        "line 6: ladder[0].after_ms: 5 is outside",
        "line 8: ",
        "line 9: the body is empty",
    ]) {
        assert!(found.starts_with(expected), "{expected} in {text:#?}");
    }
}

#[test]
fn every_number_has_a_range_and_a_line() {
    for (line, expected) in [
        ("temperature: 2.5", "temperature: 2.5 is outside 0.0 to 2.0"),
        ("temperature: .nan", "temperature: NaN is outside 0.0 to 2.0"),
        ("max_tokens: 513", "max_tokens: 513 is outside 8 to 512 tokens"),
        ("silence_ttl_ms: 999", "silence_ttl_ms: 999 is outside 1,000 to 600,000 ms"),
        ("block_ttl_s: 59", "block_ttl_s: 59 is outside 60 to 2,592,000 s"),
        ("utc_offset_min: 900", "utc_offset_min: 900 is outside -720 to 840 minutes"),
        ("priors: {refuse: 1.5}", "priors.refuse: 1.5 is outside 0.0 to 1.0"),
        ("budgets: {interrupts: 11}", "budgets.interrupts: 11 is outside 0 to 10 interruptions"),
        ("budgets: {per_turns: 0}", "budgets.per_turns: 0 is outside 1 to 100 turns of the caller"),
        ("budgets: {initiatives: 101}", "budgets.initiatives: 101 is outside 0 to 100 a call"),
        ("budgets: {silences: 11}", "budgets.silences: 11 is outside 0 to 10 in a row"),
        ("budgets: {blocks: 2}", "budgets.blocks: 2 is outside 0 (never) or 1"),
        ("patience: {after_question: 0.5}", "patience.after_question: 0.5 is outside 1.0 to 10.0 times the wait"),
        ("patience: {after_hold_on: 31}", "patience.after_hold_on: 31 is outside 1.0 to 30.0 times the wait"),
        ("ladder: [{after_ms: 700000, say: hm}]", "ladder[0].after_ms: 700000 is outside 1,000 to 600,000 ms"),
    ] {
        assert_eq!(fault(line), format!("line 3: {expected}"));
    }
}

#[test]
fn what_is_not_known_is_named_with_what_was_perhaps_meant() {
    for (line, field, meant) in [
        ("voise: joe", "voise", "name"),
        ("openning: Hello.", "openning", "opening"),
        ("budgets: {interupts: 1}", "interupts", "interrupts"),
        ("patience: {after_questions: 2}", "after_questions", "after_question"),
        ("priors: {refus: 0.5}", "priors.refus", "refuse"),
        ("never: [interrupt-distres]", "interrupt-distres", "interrupt-distress"),
        ("ladder: [{after_ms: 9000, says: hm}]", "says", "say"),
    ] {
        let found = fault(line);
        assert!(found.starts_with(&format!("line 3: '{field}' is not known here")), "{line}: {found}");
        // The nearest of some thirty words may be a chance one; it must be one.
        assert!(field == "voise" || found.contains(&format!("'{meant}'?")), "{line}: {found}");
    }
}

#[test]
fn what_has_the_wrong_kind_is_named_with_its_line() {
    for line in [
        "temperature: warm",
        "max_tokens: 8.5",
        "max_tokens: -8",
        "echo: perhaps",
        "hotwords: 7",
        "budgets: many",
        "priors: [refuse]",
        "ladder: [{after_ms: 9000}]",
        "opening: [a, b]",
        "name: porter",
    ] {
        assert!(fault(line).starts_with("line 3: "), "{line}: {}", fault(line));
    }
}

#[test]
fn a_head_that_is_no_yaml_says_where() {
    for lines in [vec!["name: porter", "opening: a: b"], vec!["name: porter", "title: \"Arthur"]] {
        let found = faults(&lines);
        assert!(!found.is_empty() && found.iter().all(|fault| fault.starts_with("line ")), "{found:?}");
    }
}

#[test]
fn sentences_are_short_and_have_words() {
    let long = format!("refusals: [{}]", "no ".repeat(50));
    for (line, expected) in [
        ("refusals: []", "refusals: 0 is outside 1 to 12 sentences"),
        ("lead_ins: [\"\"]", "lead_ins[0]: 0 is outside 1 to 120 characters"),
        ("deflections: [Well., \"...\"]", "deflections[1]: '...' has no word in it"),
        (&long, "refusals[0]: 149 is outside 1 to 120 characters"),
        ("backchannels: [a, a, a, a, a, a, a, a, a, a, a, a, a]", "backchannels: 13 is outside 1 to 12 sentences"),
        ("ladder: [{after_ms: 9000, say: \"?!\"}]", "ladder[0].say: '?!' has no word in it"),
    ] {
        let found = fault(line);
        assert!(found.starts_with(&format!("line 3: {expected}")), "{line}: {found}");
    }
}

#[test]
fn quiet_hours_are_two_times_of_the_day() {
    let found = fault("quiet_hours: at night");
    assert!(found.starts_with("line 3: quiet_hours: 'at night' should be"), "{found}");
}

#[test]
fn lines_are_those_of_the_file_however_it_was_saved() {
    for file in [
        "---\nname: a\nmax_tokens: 1\n---\nprompt",
        "---\r\nname: a\r\nmax_tokens: 1\r\n---\r\nprompt",
        "\u{feff}---\nname: a\nmax_tokens: 1\n---\nprompt",
    ] {
        let found = Persona::parse(file).unwrap_err();
        assert_eq!((found.len(), found[0].line), (1, 3), "{file:?}: {found:?}");
    }
}

#[test]
fn a_persona_that_is_a_machine_needs_no_prompt() {
    let plays = Persona::parse("---\nname: notice\nplays: notice.wav\n---\n").unwrap();
    assert_eq!((plays.plays.as_deref(), plays.recording), (Some("notice.wav"), None), "the file is not read here");
    let both = Persona::parse("---\nname: a\necho: true\nplays: a.wav\n---\n");
    assert_eq!(both, Err(vec![PersonaFault { line: 4, what: fault::What::TwoMachines }]));
}

#[test]
fn a_file_without_a_head_says_so() {
    assert_eq!(Persona::parse("You are a porter."), Err(vec![PersonaFault { line: 1, what: fault::What::NoHead }]));
    assert_eq!(faults(&["# nothing"]), ["line 1: name: '' should be 1 to 40 lower case letters, digits and '-'"]);
}

#[test]
fn examples_are_exchanges_of_both_sides() {
    let file = "---\nname: a\nexamples:\n  - caller: Is it far?\n    agent: Ten minutes on foot.\n---\nprompt";
    let persona = Persona::parse(file).unwrap();
    let turns = persona.examples.iter().flat_map(Exchange::turns).map(|turn| turn.content);
    assert_eq!(turns.collect::<Vec<_>>(), ["Is it far?", "Ten minutes on foot."]);
    for (line, expected) in [
        ("examples: []", "line 3: examples: 0 is outside 1 to 12 exchanges"),
        ("examples: [{caller: Hello?, agent: \"...\"}]", "line 3: examples[0].agent: '...' has no word in it"),
        ("examples: [{caller: Hello?}]", "line 3: "),
        ("examples: [{caller: Hello?, agnt: Yes.}]", "line 3: "),
    ] {
        let found = fault(line);
        assert!(found.starts_with(expected), "{line}: {found}");
    }
}

#[test]
fn what_a_persona_may_look_up_is_in_its_head() {
    let file =
        "---\nname: a\nsearch: true\nlooking_up: [Let me see.]\nknowledge:\n  - files\n  - more/files\n---\nprompt";
    let persona = Persona::parse(file).unwrap();
    let folders: Vec<(&str, usize)> =
        persona.knowledge.iter().map(|folder| (folder.path.as_str(), folder.line)).collect();
    assert_eq!(folders, [("files", 6), ("more/files", 7)]);
    assert_eq!((persona.search, persona.looking_up.as_slice()), (true, ["Let me see.".to_owned()].as_slice()));
    assert!(!persona.transitions.is_empty(), "those of every persona");
    for (line, expected) in [
        ("knowledge: [\"\"]", "knowledge: there is no folder ''"),
        ("transitions: [\"...\"]", "transitions[0]: '...' has no word in it"),
        ("search: perhaps", ""),
    ] {
        let found = fault(line);
        assert!(found.starts_with(&format!("line 3: {expected}")), "{line}: {found}");
    }
}
