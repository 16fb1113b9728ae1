//! The conversation's own numbers.

use super::{DraftSettings, FollowUpSettings, SearchSettings, SourceSettings};
use crate::dialogue::endpoint::EndpointSettings;
use crate::dialogue::floor::FloorSettings;
use crate::media::far_ear::FarEarSettings;

/// The conversation's own numbers; each comes from the configuration.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ConversationSettings {
    pub floor: FloorSettings,
    pub endpoint: EndpointSettings,
    pub draft: DraftSettings,
    pub pace: Pace,
    pub judging: Judging,
    pub far_ear: FarEarSettings,
    pub sources: SourceSettings,
    pub search: SearchSettings,
    pub follow_ups: FollowUpSettings,
    /// Who has stopped the agent and hears nothing of its answer for so long after the end of the turn hears a phrase first,
    /// milliseconds: 0..=5000. 0: never.
    pub transition_ms: u32,
    /// What a fact answers by itself, of this call or of those before, is answered with it.
    pub answers: bool,
}

/// How the judge is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Judging {
    /// It works beside the tick: a reply is drafted while it thinks, and it reads partials too. Otherwise its answer is there at
    /// once.
    pub beside: bool,
    /// A delayed answer comes after so much quiet, milliseconds: 500..=30000.
    pub delay_ms: u32,
}

impl Default for Judging {
    fn default() -> Self {
        Self { beside: false, delay_ms: 4_000 }
    }
}

/// How far the machinery runs ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Pace {
    /// New caller speech between two partial transcripts, milliseconds: 200..=5000.
    pub partial_every_ms: u32,
    /// Speech that is synthesised ahead of the ear, milliseconds: 500..=30000. More is wasted at a barge-in, less may leave
    /// a gap between clauses on a busy machine.
    pub speech_ahead_ms: u32,
    /// Thinking longer than this is a fault: the agent says so instead of leaving the line dead. Milliseconds,
    /// 2000..=60000.
    pub think_limit_ms: u32,
    /// A caller who talks for longer than this in one turn is cut in on, seconds: 10..=3600.
    pub longest_turn_s: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { partial_every_ms: 500, speech_ahead_ms: 3_000, think_limit_ms: 15_000, longest_turn_s: 120 }
    }
}
