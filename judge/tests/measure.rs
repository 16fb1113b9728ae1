//! The arithmetic of the figures, on cases small enough to do by hand.

use duologue_judge::calibration::Calibration;
use duologue_judge::evaluate::{Outcome, Report, calibration_error, quantile};
use duologue_judge::{Action, Floor};
use std::collections::BTreeMap;

fn outcome(gold: Action, chosen: Action, right: bool, sure: f32) -> Outcome {
    Outcome { floor: Floor::EndOfTurn, gold, chosen, right, sure }
}

fn near(a: f32, b: f32) {
    assert!((a - b).abs() < 1e-5, "{a} is not {b}");
}

#[test]
fn calibration_error_is_the_weighed_gap_of_each_bin() {
    let right = |right, sure| outcome(Action::Respond, Action::Respond, right, sure);
    // Bin 0.9-1.0: sure 0.95 twice, right once: gap 0.45 * 2. Bin 0.6-0.7: sure 0.65 twice, right twice: gap 0.35 * 2.
    let (error, bins) =
        calibration_error(&[right(true, 0.95), right(false, 0.95), right(true, 0.65), right(true, 0.65)]);
    near(error, (0.45 * 2.0 + 0.35 * 2.0) / 4.0);
    near(bins[9].right, 0.5);
    assert_eq!((bins[6].count, bins[0].count), (2, 0));
    // A certainty of exactly one belongs to the last bin.
    near(calibration_error(&[right(true, 1.0)]).0, 0.0);
    near(calibration_error(&[]).0, 0.0);
}

#[test]
fn macro_f1_counts_an_acceptable_action_as_the_gold_one() {
    use Action::{Deflect, Refuse, Respond};
    let report = Report::of(&[
        outcome(Respond, Respond, true, 0.9),
        outcome(Respond, Refuse, false, 0.9),
        outcome(Refuse, Refuse, true, 0.9),
        outcome(Refuse, Deflect, true, 0.9), // accepted: counts as refuse, claims nothing for deflect
    ]);
    // respond: precision 1, recall 1/2. refuse: precision 2/3, recall 1.
    near(report.per_class[0].1, 2.0 / 3.0);
    near(report.per_class[1].1, 0.8);
    near(report.macro_f1, (2.0 / 3.0 + 0.8) / 2.0);
    near(report.accuracy, 0.75);
    assert_eq!(report.confusion[Refuse.index()][Deflect.index()], 0);
}

#[test]
fn an_honest_question_is_refused_when_it_is_left_unanswered() {
    use Action::{Listen, Refuse, Respond, Silence};
    let report = Report::of(&[
        outcome(Respond, Respond, true, 0.9),
        outcome(Respond, Silence, false, 0.9),
        outcome(Respond, Listen, false, 0.9), // a short wait: wrong, yet no refusal
        outcome(Respond, Refuse, true, 0.9),  // accepted
        outcome(Refuse, Refuse, true, 0.9),   // not an honest question
    ]);
    assert_eq!(report.honest.0, 4);
    near(report.honest.1, 0.25);
}

#[test]
fn only_legal_actions_have_a_probability_whatever_the_logits_say() {
    let calibration = Calibration::default();
    for floor in Floor::ALL {
        for loud in Action::ALL {
            let logits = Action::ALL.map(|a| if a == loud { 50.0 } else { 0.0 });
            let probabilities = calibration.probabilities(floor, &logits, &BTreeMap::new());
            near(probabilities.iter().map(|(_, p)| p).sum(), 1.0);
            assert!(floor.allows(calibration.choose(&probabilities)));
            assert!(probabilities.iter().all(|(a, _)| floor.allows(*a)));
        }
    }
}

#[test]
fn what_a_bias_takes_a_margin_gives_back() {
    let logits = Action::ALL.map(|a| if a == Action::Refuse { 2.0 } else { 0.0 });
    let of = |decline_bias, decline_margin| {
        let calibration = Calibration { decline_bias, decline_margin, ..Calibration::default() };
        let probabilities = calibration.probabilities(Floor::EndOfTurn, &logits, &BTreeMap::new());
        let refuse = probabilities.iter().find(|(a, _)| *a == Action::Refuse).map_or(0.0, |(_, p)| *p);
        (calibration.choose(&probabilities), refuse)
    };
    // Refuse is e^2 = 7.4 times likelier than each of the others by its logit; the declining ones together are 10.4 times.
    let (chosen, plain) = of(1.0, 8.0);
    let (again, biased) = of(4.0, 2.0);
    assert_eq!((chosen, again), (Action::Refuse, Action::Refuse));
    assert!(biased < plain, "{biased} {plain}");
    assert_eq!((of(1.0, 12.0).0, of(4.0, 3.0).0), (Action::Respond, Action::Respond));
}

#[test]
fn a_margin_answers_a_question_that_is_only_a_little_likelier_to_be_refused() {
    let logits = Action::ALL.map(|a| if a == Action::Refuse { 0.5 } else { 0.0 });
    let chosen = |decline_margin| {
        let calibration = Calibration { decline_margin, ..Calibration::default() };
        calibration.choose(&calibration.probabilities(Floor::EndOfTurn, &logits, &BTreeMap::new()))
    };
    // All ways of not answering count together: some four times as likely as an answer here.
    assert_eq!((chosen(1.0), chosen(3.0), chosen(6.0)), (Action::Refuse, Action::Refuse, Action::Respond));
}

#[test]
fn a_prior_makes_an_action_likelier() {
    let calibration = Calibration::default();
    let share = |prior| {
        let priors = BTreeMap::from([(Action::Refuse, prior)]);
        calibration.probabilities(Floor::EndOfTurn, &[0.0; Action::COUNT], &priors)[1].1
    };
    near(share(0.0), 1.0 / 6.0);
    near(share(1.0), std::f32::consts::E / (5.0 + std::f32::consts::E));
}

#[test]
fn quantiles_are_values_that_occur() {
    let sorted: Vec<f32> = (1..=20).map(|n| n as f32).collect();
    near(quantile(&sorted, 0.5), 10.0);
    near(quantile(&sorted, 0.95), 19.0);
    near(quantile(&[], 0.5), 0.0);
}
