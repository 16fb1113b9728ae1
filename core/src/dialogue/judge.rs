//! The judgement: what to do about what was just said. A judge proposes; [`super::conversation`] executes.
//!
//! [`RulesJudge`] is the one that is always there: instant, and honest about how little it knows. It answers honest
//! questions, waits when it is asked to, and says nothing to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::Line;
use super::persona::Persona;
use super::words::{asks_to_wait, words};
pub use crate::memory::recollection::Relation;
use crate::replay::kept;

/// What the agent can do. The words of docs/GLOSSARY.md, of the SQL columns and of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Action {
    /// Nothing: the caller holds the floor, or asked for a moment.
    Listen,
    /// A sign of attention that does not take the floor.
    Backchannel,
    /// Take the floor from a speaking caller.
    Interrupt,
    /// The normal reply.
    Respond,
    /// A clear no, with its reason.
    Refuse,
    /// A vague answer, another topic, or an answer later.
    Deflect,
    /// Say nothing and stay.
    Silence,
    /// End the call and refuse the caller for a while.
    Block,
    /// Speak first.
    Initiate,
}

impl Action {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::Listen,
        Self::Backchannel,
        Self::Interrupt,
        Self::Respond,
        Self::Refuse,
        Self::Deflect,
        Self::Silence,
        Self::Block,
        Self::Initiate,
    ];

    /// As it stands in SQL, on the wire and in judgement data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Backchannel => "backchannel",
            Self::Interrupt => "interrupt",
            Self::Respond => "respond",
            Self::Refuse => "refuse",
            Self::Deflect => "deflect",
            Self::Silence => "silence",
            Self::Block => "block",
            Self::Initiate => "initiate",
        }
    }
}

/// Who holds the floor when a judge is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Moment {
    /// The caller speaks; the text is an open partial.
    Caller,
    /// The caller's turn is over, or is taken to be over.
    EndOfTurn,
    /// Nobody speaks; there is no text.
    Idle,
}

impl Moment {
    /// As it stands in SQL, on the wire and in judgement data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::EndOfTurn => "end_of_turn",
            Self::Idle => "idle",
        }
    }

    /// The actions that exist at this moment; nothing else is ever carried out.
    pub const fn legal(self) -> &'static [Action] {
        match self {
            Self::Caller => &[Action::Listen, Action::Backchannel, Action::Interrupt],
            Self::EndOfTurn => {
                &[Action::Respond, Action::Refuse, Action::Deflect, Action::Silence, Action::Listen, Action::Block]
            }
            Self::Idle => &[Action::Initiate, Action::Silence],
        }
    }
}

/// What a judge sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    pub moment: Moment,
    pub persona: Arc<Persona>,
    pub relation: Relation,
    /// What is known of this caller, one sentence each, newest last.
    pub memory: Vec<String>,
    /// The last turns, oldest first, as they were heard.
    pub history: Vec<Line>,
    /// The whole turn that has just ended, or the open partial.
    pub text: String,
    /// How long the caller spoke in it, seconds.
    pub speaking_s: f32,
    /// How long the caller has been silent, seconds.
    pub silence_s: f32,
    /// Typed, not spoken.
    pub typed: bool,
}

/// What a judge says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    pub action: Action,
    /// A stable code for SQL: `answerable`, `asked-to-wait`, ...
    #[serde(deserialize_with = "kept::code")]
    pub reason: kept::Code,
    /// Of the actions that are legal here; they sum to 1.
    pub probabilities: BTreeMap<Action, f32>,
    /// The sentence of [`Situation::memory`] that it rests on, if it rests on one.
    pub rests_on: Option<String>,
}

impl Verdict {
    /// A judge that has no doubts, or no way to express them.
    pub fn certain(action: Action, reason: &'static str) -> Self {
        Self { action, reason, probabilities: BTreeMap::from([(action, 1.0)]), rests_on: None }
    }
}

/// Decides what to do at the end of a turn.
pub trait Judge: Send {
    /// Must answer within a tick's budget; slower judges belong beside the tick, like the other engines.
    fn judge(&self, situation: &Situation) -> Verdict;

    /// For SQL: which judge, which version.
    fn name(&self) -> &'static str;
}

/// Rules alone: no model, no memory, microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct RulesJudge;

impl Judge for RulesJudge {
    fn judge(&self, situation: &Situation) -> Verdict {
        if situation.moment == Moment::Caller {
            return Verdict::certain(Action::Listen, "caller-speaks");
        }
        if situation.moment == Moment::Idle {
            return Verdict::certain(Action::Initiate, "due");
        }
        if words(&situation.text).is_empty() {
            return Verdict::certain(Action::Silence, "nothing-said");
        }
        if asks_to_wait(&situation.text) {
            return Verdict::certain(Action::Listen, "asked-to-wait");
        }
        Verdict::certain(Action::Respond, "answerable")
    }

    fn name(&self) -> &'static str {
        "rules-1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Action {
        let situation = Situation {
            moment: Moment::EndOfTurn,
            relation: Relation::Stranger,
            memory: Vec::new(),
            persona: Arc::new(Persona::blank("test")),
            history: Vec::new(),
            text: text.into(),
            speaking_s: 1.0,
            silence_s: 0.3,
            typed: false,
        };
        RulesJudge.judge(&situation).action
    }

    #[test]
    fn honest_questions_are_answered() {
        for text in
            ["What time do you close?", "Do I have to wait?", "Can you hold on to my coat until Friday?", "Yes."]
        {
            assert_eq!(verdict(text), Action::Respond, "{text}");
        }
    }

    #[test]
    fn a_request_for_time_is_waited_for() {
        for text in ["Hold on.", "Um, let me think.", "Wait a minute, please.", "Okay, just a second."] {
            assert_eq!(verdict(text), Action::Listen, "{text}");
        }
    }

    #[test]
    fn nothing_said_is_answered_by_nothing() {
        for text in ["", "  ", "...", "?!"] {
            assert_eq!(verdict(text), Action::Silence, "{text:?}");
        }
    }
}
