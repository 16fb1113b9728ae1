//! The data format: what is read is what was written, and what is wrong is refused by file and line.

use duologue_judge::build::compiled;
use duologue_judge::scenario::{Split, compile, read_folder};
use duologue_judge::situation::{parse_items, read_items, write_items};
use duologue_judge::{Action, Floor};
use std::collections::HashMap;
use std::path::Path;

const GOOD: &str = r#"{"id":"a","lang":"en","floor":"end_of_turn","persona":{"name":"Ruth","role":"Books.","stance":"No prices.","priors":{"refuse":0.2}},"memory":["likes tea"],"relation":"friend","history":[{"who":"agent","text":"We have one on Monday","heard":7}],"text":"Is it cheap?","speaking_s":1.5,"silence_s":0.6,"gold":"respond","also":["deflect"],"why":"A question."}"#;

fn refused(lines: &str) -> String {
    parse_items(Path::new("calls.jsonl"), lines).expect_err("must be refused").to_string()
}

#[test]
fn an_item_survives_writing_and_reading() {
    let items = parse_items(Path::new("calls.jsonl"), GOOD).unwrap();
    let path = std::env::temp_dir().join(format!("duologue-judge-{}.jsonl", std::process::id()));
    write_items(&path, &items).unwrap();
    assert_eq!(read_items(&path).unwrap(), items);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(items[0].history[0].heard_text(), "We have");
}

#[test]
fn a_cut_turn_of_many_byte_letters_is_cut_between_letters() {
    let line = GOOD.replace("We have one on Monday", "我们周一有一个位置");
    let items = parse_items(Path::new("calls.jsonl"), &line).unwrap();
    assert_eq!(items[0].history[0].heard_text(), "我们周一有一个");
}

#[test]
fn unknown_fields_are_refused_by_name_and_line() {
    let bad = GOOD.replace("\"id\":\"a\"", "\"id\":\"b\",\"mood\":1");
    let said = refused(&format!("{GOOD}\n{bad}"));
    assert!(said.contains("calls.jsonl:2") && said.contains("mood"), "{said}");
    let said = refused(&GOOD.replace("\"name\":\"Ruth\"", "\"name\":\"Ruth\",\"hat\":1"));
    assert!(said.contains("calls.jsonl:1") && said.contains("hat"), "{said}");
}

#[test]
fn an_action_that_is_not_legal_on_this_floor_is_refused() {
    let said = refused(&GOOD.replace("\"gold\":\"respond\"", "\"gold\":\"interrupt\""));
    assert!(said.contains("calls.jsonl:1") && said.contains("interrupt") && said.contains("end_of_turn"), "{said}");
    assert!(refused(&GOOD.replace("[\"deflect\"]", "[\"backchannel\"]")).contains("backchannel"));
    assert!(refused(&GOOD.replace("\"respond\"", "\"sing\"")).contains("sing"));
}

#[test]
fn an_id_that_is_there_twice_is_refused() {
    assert!(refused(&format!("{GOOD}\n\n{GOOD}")).contains("calls.jsonl:3"));
}

#[test]
fn every_legal_set_is_what_the_format_says() {
    let words = |floor: Floor| floor.legal().iter().map(|a| a.word()).collect::<Vec<_>>().join(" ");
    assert_eq!(words(Floor::Caller), "listen backchannel interrupt");
    assert_eq!(words(Floor::EndOfTurn), "respond refuse deflect silence listen block");
    assert_eq!(words(Floor::Idle), "initiate silence");
    assert!(Action::ALL.iter().enumerate().all(|(at, action)| action.index() == at));
}

const SCENARIO: &str = "\
- id: tea-01
  split: train
  lang: en
  persona: {name: Ada, role: Sells tea., stance: ''}
  items:
    - {at: end, say: 'Is it fresh?', gold: respond}
    - {at: caller, say: 'so I', gold: listen, memory: [likes tea]}
";

#[test]
fn a_scenario_becomes_items_and_an_item_overrides_it() {
    let items = compile(Path::new("tea.yaml"), SCENARIO, &mut HashMap::new()).unwrap();
    assert_eq!(items.len(), 2);
    assert!(items[0].1.memory.is_empty());
    assert_eq!((items[1].1.id.as_str(), items[1].1.memory[0].as_str()), ("tea-01.02", "likes tea"));
}

#[test]
fn a_faulty_scenario_is_refused_by_file_and_line() {
    let said = |text: &str| compile(Path::new("tea.yaml"), text, &mut HashMap::new()).expect_err("refused").to_string();
    let illegal = said(&SCENARIO.replace("gold: listen", "gold: refuse"));
    assert!(illegal.contains("tea.yaml:7") && illegal.contains("refuse"), "{illegal}");
    let unknown = said(&SCENARIO.replace("lang: en", "lang: en\n  mood: bad"));
    assert!(unknown.contains("tea.yaml:4") && unknown.contains("mood"), "{unknown}");
    let twice = said(&format!("{SCENARIO}{SCENARIO}"));
    assert!(twice.contains("tea.yaml:8") && twice.contains("tea-01"), "{twice}");
}

#[test]
fn the_shipped_scenarios_compile_the_same_every_time_and_only_training_items_vary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/scenarios");
    let (once, again) = (read_folder(&folder).unwrap(), read_folder(&folder).unwrap());
    for split in Split::ALL {
        let items = compiled(&once, split);
        assert!(!items.is_empty());
        assert_eq!(items, compiled(&again, split));
        assert_eq!(items.iter().any(|i| i.id.contains('~')), split == Split::Train);
        assert!(items.iter().all(|i| i.floor.allows(i.gold)));
    }
}

#[test]
fn the_shipped_splits_are_what_the_scenarios_give() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let items = read_folder(&data.join("scenarios")).unwrap();
    for split in Split::ALL {
        let path = data.join(split.file());
        assert!(compiled(&items, split) == read_items(&path).unwrap(), "{}: run `judge build`", path.display());
    }
}

#[test]
fn no_persona_of_the_held_out_splits_is_in_the_training_split() {
    let items = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/scenarios")).unwrap();
    let of = |wanted: Split| {
        items.iter().filter(move |(s, _)| *s == wanted).map(|(_, i)| (&i.persona.name, &i.persona.role))
    };
    let training: std::collections::HashSet<_> = of(Split::Train).collect();
    for split in [Split::Dev, Split::Test] {
        let again = of(split).find(|persona| training.contains(persona));
        assert!(again.is_none(), "{again:?} is in {split:?} and in train");
    }
}
