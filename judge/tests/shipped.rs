//! The shipped head keeps what its card says. Needs the base encoder: `duologue models fetch minilm`, or the folder in
//! DUOLOGUE_JUDGE_BASE.

use duologue_judge::evaluate::evaluate;
use duologue_judge::situation::read_items;
use duologue_judge::{Floor, Judge, Without};
use std::path::{Path, PathBuf};

fn base() -> Option<PathBuf> {
    let found = duologue_judge::base_folder();
    if found.is_none() {
        eprintln!("the base encoder is not here: the shipped head was not tested (`duologue models fetch minilm`)");
        assert!(std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_none(), "the base encoder is required and not here");
    }
    found
}

/// The macro-F1 that the card gives for a split, from its line `| dev | all | N | 0.812 | ...`.
fn published(split: &str) -> f32 {
    let card = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CARD.md")).unwrap();
    let start = format!("| {split} | all |");
    let line = card.lines().find(|l| l.starts_with(&start)).expect("the card has a line for the split");
    line.split('|').nth(4).and_then(|cell| cell.trim().parse().ok()).expect("the card gives a macro-F1")
}

#[test]
fn the_shipped_head_keeps_its_published_figures() {
    let Some(base) = base() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let judge = Judge::shipped(&base, 1).unwrap();
    for split in ["dev", "test", "contrast"] {
        let items = read_items(&root.join(format!("data/{split}.jsonl"))).unwrap();
        let report = evaluate(&judge, &items, Without::default(), |_, outcome| {
            assert!(outcome.floor.allows(outcome.chosen));
        })
        .unwrap();
        println!("{split}: {report}");
        let said = published(split);
        assert!(
            (report.macro_f1 - said).abs() <= 0.02,
            "{split}: macro-F1 {} where the card says {said}",
            report.macro_f1
        );
    }
}

#[test]
fn a_line_is_more_like_its_paraphrase_than_like_another_matter() {
    let Some(base) = base() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let judge = Judge::load(&base, &root.join("model"), 1).unwrap();
    let likeness = |a: &str, b: &str| -> f32 {
        let (a, b) = (judge.embed(a).unwrap(), judge.embed(b).unwrap());
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    };
    for (line, asked, other) in [
        ("allergic to nuts", "Can I eat the peanut cake?", "What time does the train leave?"),
        ("went to the lighthouse with their sister", "Where was I with my family at the coast?", "Is my room paid?"),
        ("afraid of dogs", "Is there a puppy in the house?", "How much is breakfast?"),
        ("afraid of dogs", "Would it matter if there was a puppy here?", "Would it matter if I came at nine?"),
        ("lives in Leeds", "How far is it to my house?", "Do you serve eggs?"),
        ("works as a nurse", "I have a night shift at the hospital.", "Is there a piano?"),
        ("birthday 2026-06-03", "What shall I do when I turn forty?", "My knee hurts."),
        ("likes Darjeeling (tea)", "What could I drink?", "When does the train leave?"),
    ] {
        let (near, far) = (likeness(line, asked), likeness(line, other));
        println!("{line} | {asked} {near:.2} | {other} {far:.2}");
        assert!(near > far + 0.05, "{line}: {near} to its own, {far} to another matter");
    }
    assert!((likeness("allergic to nuts", "allergic to nuts") - 1.0).abs() < 1e-4);
}

#[test]
fn a_decision_is_the_same_whether_or_not_the_context_was_read_before() {
    let Some(base) = base() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let judge = Judge::load(&base, &root.join("model"), 1).unwrap();
    let items = read_items(&root.join("data/dev.jsonl")).unwrap();
    for item in items.iter().filter(|i| i.floor == Floor::EndOfTurn && !i.memory.is_empty()).take(4) {
        let situation = item.situation();
        judge.forget();
        let cold = judge.decide(&situation).unwrap();
        judge.prepare(&situation).unwrap();
        let warm = judge.decide(&situation).unwrap();
        assert_eq!((cold.action, cold.reason, cold.memory_row), (warm.action, warm.reason, warm.memory_row));
        for (a, b) in cold.probabilities.iter().zip(&warm.probabilities) {
            assert!((a.1 - b.1).abs() < 1e-4, "{a:?} {b:?}");
        }
        assert_eq!(cold.reason.action(), cold.action);
        assert!(cold.memory_row.is_none_or(|row| row < item.memory.len()));
    }
}
