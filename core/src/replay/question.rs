//! What is asked of back ends in a call: which questions are the same, and which answers are whose.

use crate::backend::ChatRequest;
use crate::dialogue::conversation::Input;
use crate::dialogue::judge::Moment;
use crate::dialogue::parts::Ask;
use crate::machine::{Happening, Output};

/// A question, by what makes it the same as another, and by the numbers that its answers carry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    Words { ask: Ask, from: u64, until: u64 },
    Complete { turn: u32, revision: u32 },
    Judge { turn: u32, revision: u32, moment: Moment, text: String },
    Consult { words: String },
    Search { turn: u32, query: String },
    Recall { words: String },
    Phrase { text: String },
    Attention { text: String },
    FollowUps { turn: u32, request: ChatRequest },
    Generate { turn: u32, request: ChatRequest },
    Speak { turn: u32, clause: u32, text: String },
    Extract { turn: u32, text: String },
}

impl Question {
    pub fn of(output: &Output) -> Option<Self> {
        Some(match output {
            Output::Transcribe { ask, audio, until, .. } => {
                Self::Words { ask: *ask, from: until.saturating_sub(audio.len() as u64), until: *until }
            }
            Output::AskTurnModel { turn, revision, .. } => Self::Complete { turn: *turn, revision: *revision },
            Output::Judge { turn, revision, situation } => {
                Self::Judge { turn: *turn, revision: *revision, moment: situation.moment, text: situation.text.clone() }
            }
            Output::Consult { words, .. } => Self::Consult { words: words.clone() },
            Output::Search { turn, query } => Self::Search { turn: *turn, query: query.clone() },
            Output::Recall { words } => Self::Recall { words: words.clone() },
            Output::VoicePhrase { text } => Self::Phrase { text: text.clone() },
            Output::VoiceAttention { text } => Self::Attention { text: text.clone() },
            Output::FollowUps { turn, request } => Self::FollowUps { turn: *turn, request: (**request).clone() },
            Output::Generate { turn, request } => Self::Generate { turn: *turn, request: request.clone() },
            Output::Speak { turn, clause, what } => {
                Self::Speak { turn: *turn, clause: *clause, text: what.text.clone() }
            }
            Output::Extract { turn, text, .. } => Self::Extract { turn: *turn, text: text.to_string() },
            _ => return None,
        })
    }

    /// Does nobody wait for its answer from here on?
    pub fn is_given_up_by(&self, output: &Output) -> bool {
        match (self, output) {
            (Self::Generate { turn, .. } | Self::Speak { turn, .. }, Output::DropTurn { turn: of }) => turn == of,
            (Self::Words { ask, .. }, Output::Transcribe { ask: newer, .. }) => {
                ask.purpose.is_passing() && newer.purpose.is_passing()
            }
            _ => false,
        }
    }

    pub fn ask(&self) -> Option<Ask> {
        match self {
            Self::Words { ask, .. } => Some(*ask),
            _ => None,
        }
    }

    /// Does it ask for the same, whatever its numbers?
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Words { ask: a, from: f, until: u }, Self::Words { ask, from, until }) => {
                (a.purpose, f, u) == (ask.purpose, from, until)
            }
            (Self::Judge { moment: m, text: t, .. }, Self::Judge { moment, text, .. }) => (m, t) == (moment, text),
            (Self::Search { query: a, .. }, Self::Search { query: b, .. }) => a == b,
            (Self::FollowUps { request: a, .. }, Self::FollowUps { request: b, .. })
            | (Self::Generate { request: a, .. }, Self::Generate { request: b, .. }) => a == b,
            (Self::Speak { text: a, .. }, Self::Speak { text: b, .. })
            | (Self::Extract { text: a, .. }, Self::Extract { text: b, .. }) => a == b,
            (Self::Complete { turn: t, revision: r }, Self::Complete { turn, revision }) => (t, r) == (turn, revision),
            (a, b) => a == b,
        }
    }

    pub fn is_answered_by(&self, what: &Happening) -> bool {
        match (self, what) {
            (Self::Words { ask, .. }, Happening::Words(of, _)) => ask == of,
            (Self::Phrase { text }, Happening::Phrase(of, _)) => text == of,
            (Self::Extract { turn, .. }, Happening::Extracted(found)) => *turn == found.turn,
            (question, Happening::Input(input)) => question.is_answered_by_input(input),
            _ => false,
        }
    }

    fn is_answered_by_input(&self, input: &Input) -> bool {
        match (self, input) {
            (Self::Complete { turn, revision }, Input::Complete { turn: t, revision: r, .. }) => {
                (turn, revision) == (t, r)
            }
            (Self::Judge { turn, revision, moment, .. }, Input::Judged { turn: t, revision: r, moment: m, .. }) => {
                (turn, revision, moment) == (t, r, m)
            }
            (Self::Consult { words }, Input::Consulted { words: of, .. }) => words == of,
            (Self::Recall { .. }, Input::Recalled(_)) => true,
            (Self::Attention { text }, Input::Attention { text: of, .. }) => text == of,
            (Self::Search { turn, .. }, Input::Searched { turn: of, .. })
            | (Self::FollowUps { turn, .. }, Input::FollowUps { turn: of, .. })
            | (Self::Generate { turn, .. }, Input::Token { turn: of, .. } | Input::Generated { turn: of, .. }) => {
                turn == of
            }
            (
                Self::Speak { turn, clause, .. },
                Input::Speech { turn: t, clause: c, .. } | Input::Spoken { turn: t, clause: c, .. },
            ) => (turn, clause) == (t, c),
            _ => false,
        }
    }

    /// An answer with this question's numbers.
    pub fn addressed(&self, mut answer: Happening) -> Happening {
        match (self, &mut answer) {
            (Self::Words { ask, .. }, Happening::Words(of, _)) => *of = *ask,
            (Self::Extract { turn, .. }, Happening::Extracted(found)) => found.turn = *turn,
            (Self::Consult { words }, Happening::Input(Input::Consulted { words: of, .. })) => of.clone_from(words),
            (Self::Complete { turn, revision }, Happening::Input(Input::Complete { turn: t, revision: r, .. }))
            | (Self::Judge { turn, revision, .. }, Happening::Input(Input::Judged { turn: t, revision: r, .. })) => {
                (*t, *r) = (*turn, *revision);
            }
            (
                Self::Search { turn, .. } | Self::FollowUps { turn, .. } | Self::Generate { turn, .. },
                Happening::Input(
                    Input::Searched { turn: of, .. }
                    | Input::FollowUps { turn: of, .. }
                    | Input::Token { turn: of, .. }
                    | Input::Generated { turn: of, .. },
                ),
            ) => *of = *turn,
            (
                Self::Speak { turn, clause, .. },
                Happening::Input(Input::Speech { turn: t, clause: c, .. } | Input::Spoken { turn: t, clause: c, .. }),
            ) => (*t, *c) = (*turn, *clause),
            _ => {}
        }
        answer
    }
}
