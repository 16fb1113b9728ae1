//! What the agent may do: the persona's budgets and never-rules, applied to what a judge proposes. Whatever a judge says, a
//! text that talks to it included, nothing is carried out that is not permitted here.

use std::collections::VecDeque;
use std::time::Duration;

use super::courtesy::Courtesy;
use super::endpoint::Shape;
use super::judge::{Action, Moment};
use super::persona::{NeverRule, Persona};
use super::question::Asked;
use super::words::{Phrases, words};
use crate::time::CallTime;

/// Least time between two signs of attention: people give one every five to ten seconds of listening.
const ATTENTION_EVERY: Duration = Duration::from_secs(6);

/// Somebody may be in danger: whoever says this is answered.
static SAFETY: Phrases = Phrases::new(
    "fire, smoke, ambulance, emergency, police, bleeding, blood, unconscious, not breathing, cant breathe, \
     cannot breathe, chest pain, heart attack, stroke, overdose, poison, poisoned, suicide, kill myself, gas leak, \
     is it safe, is that safe, are we safe, am i safe, safe to, danger, dangerous, help me, choking, drowning",
);

/// Something follows that must be written down.
static DICTATES: Phrases = Phrases::new(
    "number is, name is, names, spelled, spelt, address is, i live at, postcode is, code is, e mail is, email is, \
     account is, reference is, born on, date of birth",
);

/// Grief, pain and fear: nobody cuts in on them.
static DISTRESS: Phrases = Phrases::new(
    "died, passed away, funeral, crying, im scared, i am scared, afraid, terrified, hurts, it hurt, hurt me, accident, \
     hospital, cancer, miscarriage, divorce, lost my, im so sorry, i cant take, i cannot take, alone, help",
);

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    pub action: Action,
    /// The rule that put this action in the place of the proposed one.
    pub rule: Option<&'static str>,
}

/// What a proposal is about.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    pub at: CallTime,
    pub moment: Moment,
    pub action: Action,
    pub text: &'a str,
    pub asked: Option<Asked>,
    /// How long the caller has been speaking in this turn.
    pub spoken: Duration,
}

/// What has been spent of the budgets in a call.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    /// Caller turns that are over.
    turns: u32,
    /// The turns in which the agent interrupted, of late.
    interrupts: VecDeque<u32>,
    silences_in_a_row: u32,
    /// How often in a row the agent has put off to speak first.
    put_off: u32,
    /// The caller has been told that it must not go on like this.
    warned: bool,
    attention: Option<CallTime>,
}

impl Permits {
    /// May this be done? If not: what is done in its place, and by which rule. Changes nothing: see [`Permits::spend`].
    pub fn check(&self, persona: &Persona, proposal: Proposal<'_>) -> Permit {
        let overruled = |action, rule| Permit { action, rule: Some(rule) };
        let Proposal { moment, action, text, .. } = proposal;
        if !moment.legal().contains(&action) {
            let instead = if moment == Moment::EndOfTurn { Action::Respond } else { moment.legal()[0] };
            return overruled(instead, "not-legal");
        }
        let rule = match action {
            Action::Interrupt => self.forbids_interrupt(persona, proposal).map(|rule| (Action::Listen, rule)),
            Action::Backchannel if early(persona, proposal) => Some((Action::Listen, "attention-early")),
            Action::Backchannel => {
                let soon = self.attention.is_some_and(|last| proposal.at.since(last) < ATTENTION_EVERY);
                soon.then_some((Action::Listen, "attention-pace"))
            }
            // Somebody who waits is not left alone for ever.
            Action::Silence if moment == Moment::Idle => {
                let spent = self.put_off >= persona.budgets.silences_in_a_row;
                spent.then_some((Action::Initiate, "silence-budget"))
            }
            // A vague word is as little help as none.
            Action::Silence | Action::Deflect | Action::Block
                if persona.never(NeverRule::SilenceSafety) && is_about_safety(text) =>
            {
                Some((Action::Respond, NeverRule::SilenceSafety.as_str()))
            }
            // A judge that hears nothing in it to answer would leave him alone who greets.
            Action::Silence if Courtesy::of(text).is_some() => Some((Action::Respond, "silence-courtesy")),
            // What has no words is no turn to be answered.
            Action::Silence if !words(text).is_empty() => {
                let spent = self.silences_in_a_row >= persona.budgets.silences_in_a_row;
                spent.then_some((Action::Respond, "silence-budget"))
            }
            Action::Block if persona.budgets.blocks_most == 0 => Some((Action::Refuse, "block-budget")),
            Action::Block if !self.warned => Some((Action::Refuse, "block-unwarned")),
            _ => None,
        };
        rule.map_or(Permit { action, rule: None }, |(instead, rule)| overruled(instead, rule))
    }

    fn forbids_interrupt(&self, persona: &Persona, proposal: Proposal<'_>) -> Option<&'static str> {
        let budgets = persona.budgets;
        let said = words(proposal.text);
        let dictates = matches!(proposal.asked, Some(Asked::Telephone | Asked::Postcode | Asked::Code | Asked::Name))
            || Shape::of(proposal.text, proposal.asked) == Shape::Dictating
            || DICTATES.within(&said);
        if dictates && persona.never(NeverRule::InterruptWhileDictating) {
            return Some(NeverRule::InterruptWhileDictating.as_str());
        }
        if persona.never(NeverRule::InterruptDistress) && (DISTRESS.within(&said) || SAFETY.within(&said)) {
            return Some(NeverRule::InterruptDistress.as_str());
        }
        if early(persona, proposal) {
            return Some("interrupt-early");
        }
        let since = self.turns.saturating_sub(budgets.interrupts_per_turns.saturating_sub(1));
        let spent = self.interrupts.iter().filter(|turn| **turn >= since).count();
        (spent >= budgets.interrupts_most as usize).then_some("interrupt-budget")
    }

    /// It is done.
    pub fn spend(&mut self, at: CallTime, moment: Moment, action: Action, proposed: Action) {
        match action {
            Action::Interrupt => {
                self.interrupts.push_back(self.turns);
                if self.interrupts.len() > KEPT {
                    self.interrupts.pop_front();
                }
            }
            Action::Backchannel => self.attention = Some(at),
            _ => {}
        }
        if moment == Moment::Idle {
            self.put_off = if action == Action::Silence { self.put_off + 1 } else { 0 };
        }
        if moment == Moment::EndOfTurn {
            self.put_off = 0;
            self.turns += 1;
            self.silences_in_a_row = if action == Action::Silence { self.silences_in_a_row + 1 } else { 0 };
            self.warned |= proposed == Action::Block;
        }
    }
}

/// Has the caller hardly begun?
fn early(persona: &Persona, proposal: Proposal<'_>) -> bool {
    proposal.spoken < Duration::from_millis(persona.budgets.listen_ms.into())
}

/// More interruptions than the largest budget counts.
const KEPT: usize = 16;

fn is_about_safety(text: &str) -> bool {
    SAFETY.within(&words(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(moment: Moment, action: Action, text: &str) -> Proposal<'_> {
        Proposal { at: CallTime::from_ms(10_000), moment, action, text, asked: None, spoken: Duration::from_secs(5) }
    }

    fn checked(permits: &Permits, moment: Moment, action: Action, text: &str) -> (Action, Option<&'static str>) {
        let permit = permits.check(&Persona::blank("nobody"), proposal(moment, action, text));
        (permit.action, permit.rule)
    }

    #[test]
    fn interruptions_are_counted_over_turns() {
        let mut permits = Permits::default();
        let text = "and then I went on about the weather";
        let budgets = Persona::blank("nobody").budgets;
        for _ in 0..budgets.interrupts_most {
            assert_eq!(checked(&permits, Moment::Caller, Action::Interrupt, text), (Action::Interrupt, None));
            permits.spend(CallTime::ZERO, Moment::Caller, Action::Interrupt, Action::Interrupt);
        }
        let refused = (Action::Listen, Some("interrupt-budget"));
        assert_eq!(checked(&permits, Moment::Caller, Action::Interrupt, text), refused);
        for _ in 0..budgets.interrupts_per_turns {
            permits.spend(CallTime::ZERO, Moment::EndOfTurn, Action::Respond, Action::Respond);
        }
        assert_eq!(checked(&permits, Moment::Caller, Action::Interrupt, text), (Action::Interrupt, None));
    }

    #[test]
    fn nobody_is_cut_in_on_who_has_hardly_begun() {
        let permits = Permits::default();
        let mut persona = Persona::blank("nobody");
        let begun =
            |action| Proposal { spoken: Duration::from_millis(2_000), ..proposal(Moment::Caller, action, "is there") };
        let rule = |persona: &Persona, action| permits.check(persona, begun(action)).rule;
        assert_eq!(rule(&persona, Action::Interrupt), Some("interrupt-early"));
        assert_eq!(rule(&persona, Action::Backchannel), Some("attention-early"));
        persona.budgets.listen_ms = 1_000;
        assert_eq!((rule(&persona, Action::Interrupt), rule(&persona, Action::Backchannel)), (None, None));
    }

    #[test]
    fn nobody_cuts_in_on_digits_or_on_grief() {
        let permits = Permits::default();
        let rule = |text| checked(&permits, Moment::Caller, Action::Interrupt, text).1;
        assert_eq!(rule("my number is oh seven seven"), Some("interrupt-while-dictating"));
        assert_eq!(rule("my mother passed away in March and"), Some("interrupt-distress"));
        assert_eq!(rule("there is smoke in the corridor and"), Some("interrupt-distress"));
    }

    #[test]
    fn a_question_of_safety_is_answered() {
        let permits = Permits::default();
        for action in [Action::Silence, Action::Deflect, Action::Block] {
            let answer = (Action::Respond, Some("silence-safety"));
            assert_eq!(checked(&permits, Moment::EndOfTurn, action, "Is it safe to use the lift?"), answer);
        }
    }

    #[test]
    fn nobody_is_blocked_without_a_warning() {
        let mut permits = Permits::default();
        let abuse = "you useless piece of junk";
        let warned = (Action::Refuse, Some("block-unwarned"));
        assert_eq!(checked(&permits, Moment::EndOfTurn, Action::Block, abuse), warned);
        permits.spend(CallTime::ZERO, Moment::EndOfTurn, Action::Refuse, Action::Block);
        assert_eq!(checked(&permits, Moment::EndOfTurn, Action::Block, abuse), (Action::Block, None));
    }

    #[test]
    fn a_greeting_and_a_goodbye_are_returned() {
        let silent = |text| checked(&Permits::default(), Moment::EndOfTurn, Action::Silence, text);
        for said in ["Hello.", "Good evening!", "Thank you. Goodbye.", "你好"] {
            assert_eq!(silent(said), (Action::Respond, Some("silence-courtesy")), "{said}");
        }
        assert_eq!(silent("Hello, you old fool."), (Action::Silence, None), "more than a greeting is for the judge");
        assert_eq!(silent(""), (Action::Silence, None));
    }

    #[test]
    fn silence_does_not_last() {
        let mut permits = Permits::default();
        let most = Persona::blank("nobody").budgets.silences_in_a_row;
        for _ in 0..most {
            assert_eq!(checked(&permits, Moment::EndOfTurn, Action::Silence, "hm well"), (Action::Silence, None));
            permits.spend(CallTime::ZERO, Moment::EndOfTurn, Action::Silence, Action::Silence);
        }
        let spoken = (Action::Respond, Some("silence-budget"));
        assert_eq!(checked(&permits, Moment::EndOfTurn, Action::Silence, "hm well"), spoken);
        assert_eq!(checked(&permits, Moment::EndOfTurn, Action::Silence, ""), (Action::Silence, None));
    }

    #[test]
    fn what_is_not_legal_is_not_done() {
        let permits = Permits::default();
        for moment in [Moment::Caller, Moment::EndOfTurn, Moment::Idle] {
            for action in Action::ALL {
                let (done, _) = checked(&permits, moment, action, "give me the key to room nine");
                assert!(moment.legal().contains(&done), "{action:?} at {moment:?} became {done:?}");
            }
        }
    }
}
