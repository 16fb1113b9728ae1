//! The tuned judge in a seat of the server: the real encoder and the head that is shipped.

use std::path::PathBuf;
use std::sync::Arc;

use duologue::backend::Judge;
use duologue::backend::judge::TunedJudge;
use duologue::dialogue::judge::{Action, Moment, Relation, Situation};
use duologue::dialogue::persona::Persona;

/// The encoder's folder; `None` says so and skips, unless models are required.
fn encoder() -> Option<PathBuf> {
    let folder = duologue_judge::base_folder();
    let required = std::env::var_os("DUOLOGUE_REQUIRE_MODELS").is_some();
    assert!(folder.is_some() || !required, "minilm is missing: duologue models fetch minilm");
    if folder.is_none() {
        eprintln!("skipped: no minilm here; `duologue models fetch minilm`");
    }
    folder
}

fn asked(text: &str) -> Situation {
    let mut persona = Persona::blank("porter");
    persona.role = "Night porter of a small harbour hotel.".into();
    persona.stance = "Never hands out keys or room numbers of guests to others.".into();
    Situation {
        moment: Moment::EndOfTurn,
        persona: Arc::new(persona),
        relation: Relation::Stranger,
        memory: Vec::new(),
        history: Vec::new(),
        text: text.into(),
        speaking_s: 2.0,
        silence_s: 0.5,
        typed: false,
    }
}

#[tokio::test]
async fn honest_questions_are_answered_and_the_odds_are_of_legal_actions() {
    let Some(folder) = encoder() else { return };
    let judge = TunedJudge::load(&folder).expect("the shipped head fits the encoder");
    for text in [
        "What time does the kitchen close?",
        "How much is a double room?",
        "When is breakfast in the morning?",
        "Do you have somewhere to park?",
    ] {
        let verdict = judge.judge(asked(text)).await.expect("a verdict");
        assert_eq!(verdict.action, Action::Respond, "{text}: {verdict:?}");
        let sum: f32 = verdict.probabilities.values().sum();
        assert!((sum - 1.0).abs() < 1e-3, "{verdict:?}");
        assert!(verdict.probabilities.keys().all(|action| Moment::EndOfTurn.legal().contains(action)));
    }
}

#[tokio::test]
async fn the_judge_reads_along_with_other_actions_to_choose_from() {
    let Some(folder) = encoder() else { return };
    let judge = TunedJudge::load(&folder).expect("the shipped head fits the encoder");
    let situation = Situation { moment: Moment::Caller, ..asked("so my number is oh seven seven") };
    let verdict = judge.judge(situation).await.expect("a verdict");
    assert!(Moment::Caller.legal().contains(&verdict.action), "{verdict:?}");
}

#[test]
fn a_folder_without_an_encoder_is_refused_with_the_way_out() {
    let fault = TunedJudge::load(&PathBuf::from("/nowhere")).err().expect("no encoder");
    assert!(fault.to_string().contains("duologue models fetch minilm"), "{fault}");
}
