//! The tuned judge: a small encoder with a trained head, on this machine's processor. 20 to 40 ms a question, on a thread of
//! its own; it takes no permit of the pool, since it is over sooner than the wait for one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use duologue_judge as tuned;

use super::{JudgeError, action};
use crate::backend::{Embedder, Judge};
use crate::dialogue::judge::{Action, Moment, Relation, Situation, Verdict};
use crate::dialogue::persona::Persona;
use crate::journal::Speaker;
use crate::memory::meaning::Meaning;

/// What decisions to leave a turn unanswered must be sure of together, 0.0..=1.0: below, the turn is answered. A refused honest
/// question costs more than an answered one that should have been refused.
const SURE: f32 = 0.5;

/// Calls share one.
pub struct TunedJudge {
    judge: Arc<tuned::Judge>,
    /// As rows have it.
    name: &'static str,
}

impl TunedJudge {
    /// The shipped head, and the encoder from its folder; blocks for some tenths of a second.
    ///
    /// # Errors
    /// When it is not there, or is not what it should be.
    pub fn load(base: &Path) -> Result<Self, JudgeError> {
        let judge = tuned::Judge::shipped(base, 1).map_err(|fault| JudgeError::Load(fault.to_string()))?;
        Ok(Self { judge: Arc::new(judge), name: "tuned-1" })
    }

    /// The same with a head of one's own: the folder that `duologue judge train --head` has written.
    ///
    /// # Errors
    /// When one of them is not there, or is not what it should be.
    pub fn with_head(base: &Path, head: &Path) -> Result<Self, JudgeError> {
        match tuned::Judge::load(base, head, 1) {
            Ok(judge) => Ok(Self { judge: Arc::new(judge), name: "tuned-own" }),
            // With another head it would have been the same: it is the encoder's fault.
            Err(fault) => Err(Self::load(base).err().unwrap_or_else(|| JudgeError::Head(fault.to_string()))),
        }
    }
}

#[async_trait]
impl Judge for TunedJudge {
    async fn judge(&self, situation: Situation) -> Result<Verdict, JudgeError> {
        let judge = self.judge.clone();
        let known = situation.memory.clone();
        let decided = tokio::task::spawn_blocking(move || judge.decide(&shown(&situation)))
            .await
            .map_err(|fault| JudgeError::Failed(fault.to_string()))?
            .map_err(|fault| JudgeError::Failed(fault.to_string()))?;
        let probabilities: BTreeMap<Action, f32> =
            decided.probabilities.iter().filter_map(|(known, p)| Some((action(known.word())?, *p))).collect();
        let chosen = action(decided.action.word()).ok_or_else(|| JudgeError::NoAction(decided.action.word().into()))?;
        let leaves = [Action::Refuse, Action::Deflect, Action::Silence, Action::Block];
        let sure: f32 = leaves.iter().filter_map(|action| probabilities.get(action)).sum();
        if leaves.contains(&chosen) && sure < SURE && probabilities.contains_key(&Action::Respond) {
            return Ok(Verdict { action: Action::Respond, reason: "respond.in_doubt", probabilities, rests_on: None });
        }
        let rests_on = decided.memory_row.and_then(|row| known.get(row)).cloned();
        Ok(Verdict { action: chosen, reason: decided.reason.code(), probabilities, rests_on })
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The encoder that the judge reads with was made for this.
#[async_trait]
impl Embedder for TunedJudge {
    async fn embed(&self, line: String) -> Result<Meaning, JudgeError> {
        let judge = self.judge.clone();
        let embedded = tokio::task::spawn_blocking(move || judge.embed(&line))
            .await
            .map_err(|fault| JudgeError::Failed(fault.to_string()))?
            .map_err(|fault| JudgeError::Failed(fault.to_string()))?;
        Meaning::of(&embedded).ok_or_else(|| JudgeError::Failed("no embedding of ours".into()))
    }

    fn model(&self) -> &'static str {
        "all-MiniLM-L6-v2"
    }
}

fn shown(situation: &Situation) -> tuned::Situation {
    tuned::Situation {
        floor: match situation.moment {
            Moment::Caller => tuned::Floor::Caller,
            Moment::EndOfTurn => tuned::Floor::EndOfTurn,
            Moment::Idle => tuned::Floor::Idle,
        },
        persona: persona(&situation.persona),
        memory: situation.memory.clone(),
        relation: match situation.relation {
            Relation::Stranger => tuned::Relation::Stranger,
            Relation::Acquaintance => tuned::Relation::Acquaintance,
            Relation::Friend => tuned::Relation::Friend,
        },
        history: situation
            .history
            .iter()
            .map(|line| tuned::Said {
                who: match line.who {
                    Speaker::Caller => tuned::Speaker::Caller,
                    Speaker::Agent => tuned::Speaker::Agent,
                },
                text: line.text.clone(),
                heard: None,
            })
            .collect(),
        text: situation.text.clone(),
        speaking_s: situation.speaking_s,
        silence_s: situation.silence_s,
    }
}

fn persona(persona: &Persona) -> tuned::Persona {
    let priors = tuned::Action::ALL.into_iter().filter_map(|known| {
        let (_, prior) = persona.priors.iter().find(|(action, _)| action.as_str() == known.word())?;
        Some((known, *prior))
    });
    tuned::Persona {
        name: persona.title.clone(),
        role: persona.role.clone(),
        stance: persona.stance.clone(),
        priors: priors.collect(),
    }
}
