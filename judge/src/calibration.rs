//! From logits to a decision: mask, temperature, and the rule that keeps honest questions from being refused.

use crate::action::{Action, Floor};
use crate::fault::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Fitted on the development split alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by it, for each floor in the order of `Floor::ALL`.
    pub temperature: [f32; 3],
    /// How many times less likely than the logits say the actions that leave a question unanswered are: training weighs the rare
    /// actions up, so that its odds are not those of calls. At least 1.
    #[serde(default = "even")]
    pub decline_bias: f32,
    /// The same of cutting in. At least 1.
    #[serde(default = "even")]
    pub interrupt_bias: f32,
    /// How many times likelier than `respond` the actions that leave a question unanswered must be together. At least 1.
    pub decline_margin: f32,
    /// How many times likelier than anything else cutting in must be. At least 1.
    #[serde(default = "even")]
    pub interrupt_margin: f32,
}

const fn even() -> f32 {
    1.0
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            temperature: [1.0; 3],
            decline_bias: even(),
            interrupt_bias: even(),
            decline_margin: even(),
            interrupt_margin: even(),
        }
    }
}

/// Probabilities of the legal actions, in the order of `Floor::legal`.
pub type Probabilities = Vec<(Action, f32)>;

/// The end-of-turn actions that leave the caller without an answer.
#[must_use]
pub fn leaves_unanswered(action: Action) -> bool {
    matches!(action, Action::Refuse | Action::Deflect | Action::Silence | Action::Block)
}

impl Calibration {
    /// `logits` has `Action::COUNT` values; those of illegal actions are not looked at. A prior of 1 makes an action e
    /// times likelier.
    #[must_use]
    pub fn probabilities(&self, floor: Floor, logits: &[f32], priors: &BTreeMap<Action, f32>) -> Probabilities {
        let temperature = self.temperature[floor.index()];
        let logit = |a: Action| {
            logits[a.index()] / temperature + priors.get(&a).copied().unwrap_or(0.0) - self.bias(floor, a).ln()
        };
        let scaled: Vec<f32> = floor.legal().iter().map(|a| logit(*a)).collect();
        let top = scaled.iter().fold(f32::MIN, |a, b| a.max(*b));
        let powers: Vec<f32> = scaled.iter().map(|l| (l - top).exp()).collect();
        let total: f32 = powers.iter().sum();
        floor.legal().iter().zip(powers).map(|(a, p)| (*a, p / total)).collect()
    }

    /// Silence is the rule while nobody speaks: only at the end of a turn does it leave something unanswered.
    fn bias(&self, floor: Floor, action: Action) -> f32 {
        match (floor, action) {
            (Floor::EndOfTurn, action) if leaves_unanswered(action) => self.decline_bias,
            (_, Action::Interrupt) => self.interrupt_bias,
            _ => even(),
        }
    }

    /// The likeliest action; one that leaves a question unanswered only where such actions together are likely enough beside
    /// `respond`: whether a caller is to get an answer is asked first, and then how to give none. A speaking caller is cut in on
    /// where that is likely enough beside everything else.
    #[must_use]
    pub fn choose(&self, probabilities: &[(Action, f32)]) -> Action {
        let of = |wanted: Action| probabilities.iter().find(|(a, _)| *a == wanted).map_or(0.0, |(_, p)| *p);
        let respond = of(Action::Respond);
        let declined: f32 = probabilities.iter().filter(|(a, _)| leaves_unanswered(*a)).map(|(_, p)| p).sum();
        let declines = declined >= respond * self.decline_margin;
        let calm = of(Action::Listen).max(of(Action::Backchannel));
        let cuts_in = of(Action::Interrupt) >= calm * self.interrupt_margin;
        probabilities
            .iter()
            .filter(|(action, _)| *action != Action::Respond || !declines || declined == 0.0)
            .filter(|(action, _)| !leaves_unanswered(*action) || declines)
            .filter(|(action, _)| *action != Action::Interrupt || cuts_in)
            // Between equals, the first.
            .max_by(|a, b| a.1.total_cmp(&b.1).then((a.0 == Action::Respond).cmp(&(b.0 == Action::Respond))))
            .map_or(Action::Listen, |(action, _)| *action)
    }

    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Fault::file(path))?;
        let read: Self = serde_json::from_str(&text).map_err(|e| Fault::line(path, e.line(), e.to_string()))?;
        let ratios = [read.decline_bias, read.interrupt_bias, read.decline_margin, read.interrupt_margin];
        // Not `r < 1.0`: what is no number is refused, too.
        if read.temperature.iter().any(|t| !(0.05..=20.0).contains(t)) || !ratios.iter().all(|r| *r >= 1.0) {
            return Err(Fault::content(path, "temperatures must be within 0.05..20, biases and margins at least 1"));
        }
        Ok(read)
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Fault::content(path, e.to_string()))?;
        std::fs::write(path, text + "\n").map_err(Fault::file(path))
    }
}
