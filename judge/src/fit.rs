//! Fitting the calibration to items whose logits are known.

use crate::action::Floor;
use crate::beginnings::share_cut;
use crate::calibration::Calibration;
use crate::evaluate::{Outcome, Report};
use crate::judge::Scored;
use crate::situation::Item;

/// The share of honest questions left unanswered that the margin aims at: half of the 3 % that are allowed, since the
/// development split is small.
const UNANSWERED: f32 = 0.015;

/// What is put on top of the fitted margin: eighty-six honest questions say little of other people's. With the bias it comes to the
/// logits that an eighth came to without.
const ON_TOP: f32 = 1.5;

/// The share of beginnings of ordinary turns that may be cut in on.
const CUT_IN: f32 = 0.005;

pub(crate) fn outcomes(items: &[Item], scored: &[Scored], calibration: &Calibration) -> Vec<Outcome> {
    let outcome = |(item, (logits, priors)): (&Item, &Scored)| {
        let probabilities = calibration.probabilities(item.floor, logits, priors);
        let chosen = calibration.choose(&probabilities);
        let sure = probabilities.iter().find(|(a, _)| *a == chosen).map_or(0.0, |(_, p)| *p);
        Outcome { floor: item.floor, gold: item.gold, chosen, right: item.accepts(chosen), sure }
    };
    items.iter().zip(scored).map(outcome).collect()
}

/// First the margins, since they change what is chosen; then a temperature for each floor and its bias, by the squared distance
/// between sureness and being right. What stands after the `whole` items is made of them: beginnings of turns, for the second margin alone,
/// and endings of tellings, for the first.
pub(crate) fn calibrate(items: &[Item], scored: &[Scored], whole: usize) -> Calibration {
    let made = || items.iter().zip(scored).skip(whole);
    let of = |floor| -> (Vec<Item>, Vec<Scored>) {
        made().filter(|(item, _)| item.floor == floor).map(|(item, scored)| (item.clone(), scored.clone())).unzip()
    };
    let (begun, told) = (of(Floor::Caller), of(Floor::EndOfTurn));
    let (begun, told) = ((&begun.0[..], &begun.1[..]), (&told.0[..], &told.1[..]));
    let (items, scored) = (&items[..whole], &scored[..whole]);
    let mut fitted = Calibration::default();
    for _ in 0..2 {
        fitted.decline_margin = margin((items, scored), told, &fitted);
        fitted.interrupt_margin = interrupt_margin((items, scored), begun, &fitted);
        for floor in Floor::ALL {
            fitted = sureness(floor, items, scored, &fitted);
        }
    }
    // A margin between probabilities means something else at another temperature: it has the last word.
    fitted.decline_margin = margin((items, scored), told, &fitted) * ON_TOP;
    fitted.interrupt_margin = interrupt_margin((items, scored), begun, &fitted);
    fitted
}

/// The temperature and the bias of a floor. Whether a caller gets an answer stays: what a bias takes, the margin after it gives back.
fn sureness(floor: Floor, items: &[Item], scored: &[Scored], from: &Calibration) -> Calibration {
    let (items, scored): (Vec<Item>, Vec<Scored>) =
        items.iter().zip(scored).filter(|(i, _)| i.floor == floor).map(|(i, s)| (i.clone(), s.clone())).unzip();
    let biases = || (0..24).map(|n| 1.15f32.powi(n));
    let candidates = (0..40).map(|n| 0.4 * 1.06f32.powi(n)).flat_map(|temperature| {
        biases().filter_map(move |bias| biased(floor, from, bias).map(|tried| (tried, temperature)))
    });
    let distance = |tried: &Calibration| {
        outcomes(&items, &scored, tried).iter().map(|o| (o.sure - f32::from(u8::from(o.right))).powi(2)).sum::<f32>()
    };
    let tried = candidates.map(|(mut tried, temperature)| {
        tried.temperature[floor.index()] = temperature;
        (distance(&tried), tried)
    });
    let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|_| !items.is_empty()).map_or_else(|| from.clone(), |(_, best)| best)
}

/// With another bias of the floor, and the same answers given; none where the floor has no such bias, or where the margin cannot give it back.
fn biased(floor: Floor, from: &Calibration, bias: f32) -> Option<Calibration> {
    let mut tried = from.clone();
    let (old, margin) = match floor {
        Floor::EndOfTurn => (&mut tried.decline_bias, &mut tried.decline_margin),
        Floor::Caller => (&mut tried.interrupt_bias, &mut tried.interrupt_margin),
        Floor::Idle => return (bias == 1.0).then_some(tried),
    };
    *margin *= *old / bias;
    *old = bias;
    (*margin >= 1.0 || bias == 1.0).then_some(tried)
}

/// The margin with the best macro-F1, where each honest question left unanswered above the share aimed at costs as much as
/// it gains elsewhere, and each telling that is turned away half as much.
fn margin((items, scored): (&[Item], &[Scored]), told: (&[Item], &[Scored]), from: &Calibration) -> f32 {
    let worth = |margin: f32| {
        let calibration = Calibration { decline_margin: margin, ..from.clone() };
        let report = Report::of(&outcomes(items, scored, &calibration));
        let away = Report::of(&outcomes(told.0, told.1, &calibration)).honest.1;
        report.macro_f1 - 1.5 * (report.honest.1 - UNANSWERED).max(0.0) - 0.75 * (away - UNANSWERED).max(0.0)
    };
    let tried = (0..40).map(|n| 1.08f32.powi(n)).map(|margin| (margin, worth(margin)));
    tried.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0))).map_or(1.0, |(margin, _)| margin)
}

/// The margin with the best macro-F1, where each ordinary turn cut in on above the share aimed at costs five times as much as it
/// gains elsewhere: a caller of three turns is judged some ten times while he speaks.
fn interrupt_margin((items, scored): (&[Item], &[Scored]), begun: (&[Item], &[Scored]), from: &Calibration) -> f32 {
    let worth = |margin: f32| {
        let calibration = Calibration { interrupt_margin: margin, ..from.clone() };
        let report = Report::of(&outcomes(items, scored, &calibration));
        report.macro_f1 - 5.0 * (share_cut(&outcomes(begun.0, begun.1, &calibration)) - CUT_IN).max(0.0)
    };
    let tried = (0..50).map(|n| 1.1f32.powi(n)).map(|margin| (margin, worth(margin)));
    tried.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0))).map_or(1.0, |(margin, _)| margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::situation::Persona;
    use std::collections::BTreeMap;

    fn item(n: usize, gold: Action) -> Item {
        Item {
            id: n.to_string(),
            lang: "en".into(),
            floor: Floor::EndOfTurn,
            persona: Persona::default(),
            memory: Vec::new(),
            relation: crate::situation::Relation::Stranger,
            history: Vec::new(),
            text: "x".into(),
            speaking_s: 0.0,
            silence_s: 0.0,
            gold,
            also: Vec::new(),
            why: String::new(),
        }
    }

    #[test]
    fn the_margin_rises_until_honest_questions_are_answered() {
        let items: Vec<Item> =
            (0..20).map(|n| item(n, if n < 10 { Action::Respond } else { Action::Refuse })).collect();
        // A judge that leans to refusing: honest questions by a little, the others by much.
        let logits =
            |n: usize| Action::ALL.map(|a| if a == Action::Refuse { [0.5, 3.0][n / 10] } else { 0.0 }).to_vec();
        let scored: Vec<Scored> = (0..20).map(|n| (logits(n), BTreeMap::new())).collect();
        let report = |c: &Calibration| Report::of(&outcomes(&items, &scored, c));
        assert_eq!(report(&Calibration::default()).honest, (10, 1.0));
        let fitted = calibrate(&items, &scored, items.len());
        assert!(fitted.decline_margin > 1.0);
        assert_eq!(report(&fitted).honest, (10, 0.0));
        assert_eq!(report(&fitted).accuracy, 1.0);
    }
}
