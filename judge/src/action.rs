//! What an agent may do, and when.

use serde::{Deserialize, Serialize};

/// Who holds the floor when the judge is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// The caller is still speaking; the text is an open partial.
    Caller,
    /// The caller's turn is over, or is taken to be over.
    EndOfTurn,
    /// Nobody speaks; there is no text.
    Idle,
}

/// What the agent does. `express` is missing on purpose: an emoji beside the talk is not a choice between actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Listen,
    Backchannel,
    Interrupt,
    Respond,
    Refuse,
    Deflect,
    Silence,
    Block,
    Initiate,
}

impl Floor {
    pub const ALL: [Self; 3] = [Self::Caller, Self::EndOfTurn, Self::Idle];

    /// The actions that exist in this state of the floor. Nothing else is ever chosen.
    #[must_use]
    pub const fn legal(self) -> &'static [Action] {
        match self {
            Self::Caller => &[Action::Listen, Action::Backchannel, Action::Interrupt],
            Self::EndOfTurn => {
                &[Action::Respond, Action::Refuse, Action::Deflect, Action::Silence, Action::Listen, Action::Block]
            }
            Self::Idle => &[Action::Initiate, Action::Silence],
        }
    }

    #[must_use]
    pub fn allows(self, action: Action) -> bool {
        self.legal().contains(&action)
    }

    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::EndOfTurn => "end_of_turn",
            Self::Idle => "idle",
        }
    }
}

impl Action {
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
    pub const COUNT: usize = Self::ALL.len();

    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    #[must_use]
    pub const fn word(self) -> &'static str {
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

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
