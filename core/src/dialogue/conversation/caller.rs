//! The caller's turn: from onset to the moment the agent is heard answering. It may pause, go on and be transcribed again;
//! each time it goes on, its revision rises and what was asked about the revision before is stale.

use std::sync::Arc;

use duologue_signaling::event::{Event, FloorState, LatencyParts};

use super::reply::{Owed, Reply};
use super::{Conversation, Effect};
use crate::backend::AsrPurpose;
use crate::dialogue::endpoint::{EndEvidence, EndpointSettings, Shape};
use crate::dialogue::floor::Hearing;
use crate::dialogue::judge::{Action, Situation, Verdict};
use crate::dialogue::question::Asked;
use crate::dialogue::stable::Stable;
use crate::dialogue::suspicion::Suspicion;
use crate::journal::{Entry, Speaker, TurnRow};
use crate::time::CallTime;

/// Longest typed turn, characters: more than anybody types in a call, less than a model's context.
const TYPED_MAX_CHARS: usize = 2_000;

/// The caller's open turn.
#[derive(Debug)]
pub(super) struct CallerTurn {
    pub turn: u32,
    pub revision: u32,
    started: CallTime,
    /// When the caller got the floor for it; later than its onset where the agent yielded.
    pub opened: CallTime,
    /// The last voiced sound.
    pub speech_end: CallTime,
    /// Mean level of it, dBFS; 0.0 while nobody measured it.
    level_dbfs: f32,
    /// What is known of the words, final or not.
    pub words: String,
    /// Which of them will stay.
    stable: Stable,
    /// The moment up to which the voice is in them.
    words_until: CallTime,
    /// The words are those of the present revision, final.
    pub is_final: bool,
    complete: Option<f32>,
    /// How the words stand, and what the agent had asked; `None` while there are none.
    shape: Option<Shape>,
    pub asked: Option<Asked>,
    /// How often it went on after it had been judged over.
    went_on: u32,
    /// The tail of the present pause has been asked for, and the turn model about it.
    tail_asked: bool,
    tail_at: CallTime,
    model_asked: bool,
    partial_in_flight: bool,
    partial_at: CallTime,
    /// The judge has been asked about the words of this revision, and what it said while the turn was not over.
    pub judge_asked: bool,
    pub verdict: Option<(&'static str, Verdict, f32)>,
    /// The judge is reading along, and what it was last shown.
    pub running_judged: bool,
    pub running_text: String,
    /// What the judge was shown last: of the whole turn, and of a partial.
    pub shown: Option<Arc<Situation>>,
    pub running_shown: Option<Arc<Situation>>,
    /// Drafts that were begun for this turn.
    pub drafts: u32,
    pub typed: bool,
    /// The agent was stopped for it.
    pub after_barge_in: bool,
    /// When each step of the reply to this turn was taken.
    pub latency: LatencyParts,
}

impl CallerTurn {
    fn new(turn: u32, at: CallTime, typed: bool) -> Self {
        Self {
            turn,
            revision: 0,
            started: at,
            opened: at,
            speech_end: at,
            level_dbfs: 0.0,
            words: String::new(),
            stable: Stable::default(),
            words_until: at,
            is_final: false,
            complete: None,
            shape: None,
            asked: None,
            went_on: 0,
            tail_asked: false,
            tail_at: at,
            model_asked: false,
            partial_in_flight: false,
            partial_at: at,
            judge_asked: false,
            verdict: None,
            running_judged: false,
            running_text: String::new(),
            shown: None,
            running_shown: None,
            drafts: 0,
            typed,
            after_barge_in: false,
            latency: LatencyParts::default(),
        }
    }

    /// Follows the voice, tick by tick.
    pub fn hear(&mut self, at: CallTime, heard: Hearing) {
        if heard.speech && heard.silence_ms == 0 {
            self.speech_end = at;
            self.level_dbfs = heard.level_dbfs;
            if self.tail_asked || self.model_asked {
                self.revise();
            }
        }
    }

    /// The caller went on: nothing that is known about the pause holds any more.
    fn revise(&mut self) {
        self.revision += 1;
        self.is_final = false;
        self.complete = None;
        self.tail_asked = false;
        self.model_asked = false;
        self.judge_asked = false;
        self.verdict = None;
        self.latency = LatencyParts::default();
    }

    /// From the first voiced sound of the turn to the last, seconds: breaths and commas are part of speaking.
    pub fn speaking_s(&self) -> f32 {
        self.speech_end.since(self.started).as_secs_f32()
    }

    pub fn evidence(&self) -> EndEvidence {
        EndEvidence { complete: self.complete, shape: self.shape, is_final: self.is_final, went_on: self.went_on }
    }

    /// The silence before which no reply to it is heard, milliseconds.
    pub fn speak_ms(&self, settings: &EndpointSettings) -> u32 {
        if self.typed { 0 } else { settings.speak_ms(self.evidence()) }
    }

    /// Are the words about all that was said, but for so much at its end?
    pub fn covers(&self, lag_ms: u32) -> bool {
        self.is_final || self.speech_end.since(self.words_until).as_millis() <= u128::from(lag_ms)
    }

    /// The judge has said already that these words are not to be answered.
    pub fn is_to_be_heard_out(&self) -> bool {
        self.verdict.as_ref().is_some_and(|(_, verdict, _)| verdict.action != Action::Respond)
    }

    /// The words are final and the judge was not asked about them.
    pub fn awaits_judge(&self) -> bool {
        self.is_final && !self.judge_asked
    }

    /// These are the words now.
    fn understand(&mut self, words: &str) {
        self.words = words.into();
        self.shape = Some(Shape::of(words, self.asked));
    }

    pub fn is(&self, turn: u32, revision: u32) -> bool {
        self.turn == turn && self.revision == revision
    }
}

impl Conversation {
    pub(super) fn caller_starts(&mut self, at: CallTime, heard: Hearing) {
        let turn = self.next_turn();
        let began = at - std::time::Duration::from_millis(u64::from(heard.speech_ms));
        let mut caller = CallerTurn::new(turn, began, false);
        caller.asked = self.history.asked();
        caller.hear(at, heard);
        self.caller = Some(caller);
        self.ladder.reset();
        self.deferred = None;
        self.patience = 1.0;
    }

    /// The agent yielded to a sound that has been going on, or is over again: it is the caller's turn from its onset.
    pub(super) fn caller_took_over(&mut self, at: CallTime, heard: Hearing, doubt: &Suspicion) {
        self.caller_starts(at, heard);
        let Some(caller) = &mut self.caller else { return };
        caller.started = doubt.onset;
        caller.opened = at;
        caller.speech_end = at - std::time::Duration::from_millis(u64::from(heard.silence_ms));
        caller.level_dbfs = doubt.heard.level_dbfs;
        if doubt.answerable {
            caller.asked = Some(Asked::YesOrNo);
        }
        let Some(partial) = doubt.partial.as_ref().filter(|partial| partial.count > 0) else { return };
        caller.understand(&partial.text);
        caller.partial_at = at;
        let stable = caller.stable.hear(&partial.text);
        let (turn, text) = (caller.turn, partial.text.clone());
        self.consult(at);
        self.emit(at, Event::Partial { turn, text, stable });
    }

    /// The caller goes on after what looked like the end. Nothing of the reply was heard.
    pub(super) fn caller_resumes(&mut self, at: CallTime, heard: Hearing) {
        let fixed = self.reply.as_ref().and_then(Reply::fixed_words);
        self.drop_reply(at);
        if self.caller.as_ref().is_none_or(|caller| caller.typed) {
            self.owed = if self.caller.is_some() { Some(Owed::Answer) } else { fixed };
            self.commit_caller(at);
            self.caller_starts(at, heard);
        } else if let Some(caller) = &mut self.caller {
            caller.went_on += 1;
            caller.revise();
            caller.hear(at, heard);
        }
    }

    /// Silence has lasted long enough. The words may still be on their way.
    pub(super) fn caller_ends(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        caller.latency.speech_end_ms = Some(caller.speech_end.ms());
        caller.latency.turn_end_ms = Some(at.ms());
        if let Some((judge, verdict, took_ms)) = caller.verdict.take() {
            self.decide(at, judge, &verdict, took_ms);
        } else if caller.awaits_judge() || (self.listens && caller.is_final) {
            self.ask_judge(at);
        } else {
            self.ask_tail(at);
            self.ask_turn_model();
        }
    }

    /// While the caller holds the floor: partials as speech grows, the tail as soon as there is a pause, a draft when the
    /// turn is probably over.
    pub(super) fn listen(&mut self, at: CallTime, heard: Hearing) {
        self.check_draft(at);
        self.consider_draft(at);
        let Some(caller) = &mut self.caller else { return };
        if self.floor.state() != FloorState::Caller || caller.typed {
            return;
        }
        let (tail_ms, ask_ms) = (self.settings.endpoint.tail_ms, self.settings.endpoint.ask_ms);
        if heard.silence_ms >= tail_ms.min(ask_ms) {
            if heard.silence_ms >= tail_ms {
                self.ask_tail(at);
            }
            if heard.silence_ms >= ask_ms {
                self.ask_turn_model();
            }
            return;
        }
        let grown = at.since(caller.partial_at).as_millis() >= u128::from(self.settings.pace.partial_every_ms);
        if grown && heard.silence_ms == 0 && !caller.partial_in_flight {
            caller.partial_in_flight = true;
            caller.partial_at = at;
            let (turn, revision) = (caller.turn, caller.revision);
            self.effects.push(Effect::Transcribe { turn, revision, purpose: AsrPurpose::Partial });
        }
    }

    fn ask_tail(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        if caller.tail_asked {
            return;
        }
        caller.tail_asked = true;
        caller.tail_at = at;
        // A partial that is under way may still come: it is the better of what is known until the tail is.
        caller.partial_in_flight = false;
        let (turn, revision) = (caller.turn, caller.revision);
        self.effects.push(Effect::Transcribe { turn, revision, purpose: AsrPurpose::Final });
    }

    fn ask_turn_model(&mut self) {
        let Some(caller) = self.caller.as_mut().filter(|caller| !caller.model_asked) else { return };
        caller.model_asked = true;
        let (turn, revision) = (caller.turn, caller.revision);
        self.effects.push(Effect::AskTurnModel { turn, revision });
    }

    pub(super) fn on_transcript(
        &mut self,
        at: CallTime,
        turn: u32,
        revision: u32,
        purpose: AsrPurpose,
        text: Result<String, String>,
    ) {
        if self.on_suspect_words(turn, revision, &text) {
            return;
        }
        let Some(caller) = self.caller.as_mut().filter(|caller| caller.turn == turn) else { return };
        if purpose == AsrPurpose::Partial {
            caller.partial_in_flight = false;
        }
        let fresh = caller.revision == revision;
        match text {
            // A stale tail is still the newest partial; a partial never replaces the tail it was overtaken by.
            Ok(text) if !caller.is_final && !text.is_empty() => {
                let (changed, before) = (caller.words != text, caller.stable.words());
                let stable = caller.stable.hear(&text);
                caller.understand(&text);
                match purpose {
                    AsrPurpose::Partial => caller.words_until = caller.partial_at,
                    AsrPurpose::Final if fresh => caller.words_until = caller.tail_at,
                    AsrPurpose::Doubt | AsrPurpose::Final => {}
                }
                // A final transcript is told in full when it is judged.
                if changed || (purpose == AsrPurpose::Partial && stable != before) {
                    if changed && !self.listens {
                        self.consult(at);
                        self.read_along();
                    }
                    self.emit(at, Event::Partial { turn, text, stable });
                }
            }
            Ok(_) => {}
            Err(why) if purpose == AsrPurpose::Final => {
                self.trouble(at, "asr", &format!("{why}; going on with what was understood so far."));
            }
            Err(_) => {}
        }
        if purpose == AsrPurpose::Final && fresh {
            self.tail_is_known(at);
        } else {
            self.judge_running(at);
        }
        self.check_draft(at);
        self.consider_draft(at);
    }

    fn tail_is_known(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        caller.is_final = true;
        caller.shape.get_or_insert(Shape::Nothing);
        caller.latency.asr_ms = Some(at.ms());
        if self.floor.state() == FloorState::Thinking {
            self.ask_judge(at);
        } else {
            self.judge_ahead(at);
        }
    }

    pub(super) fn on_complete(&mut self, at: CallTime, turn: u32, revision: u32, probability: f32) {
        if let Some(caller) = self.caller.as_mut().filter(|caller| caller.is(turn, revision)) {
            caller.complete = Some(probability);
        }
        self.consider_draft(at);
    }

    /// A typed turn needs no ears; whatever was being said, by either side, gives way to it.
    pub(super) fn on_typed(&mut self, at: CallTime, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if text.chars().count() > TYPED_MAX_CHARS {
            self.trouble(at, "text-too-long", "A typed turn may have 2,000 characters; it was not taken.");
            return;
        }
        self.drop_reply(at);
        self.commit_caller(at);
        self.owed = None;
        let turn = self.next_turn();
        let mut caller = CallerTurn::new(turn, at, true);
        caller.words = text.into();
        caller.is_final = true;
        caller.latency.turn_end_ms = Some(at.ms());
        self.caller = Some(caller);
        if !self.listens {
            self.consult(at);
        }
        self.ladder.reset();
        self.deferred = None;
        self.patience = 1.0;
        self.floor.thinks(at);
        self.ask_judge(at);
    }

    /// The caller's turn can no longer change: into the history and the journal with it.
    pub(super) fn commit_caller(&mut self, at: CallTime) {
        let Some(caller) = self.caller.take() else { return };
        self.close_sources();
        if !caller.typed {
            self.effects.push(Effect::CloseUtterance);
        }
        if !caller.words.is_empty() {
            self.get_used_to(caller.level_dbfs);
            self.history.caller(&caller.words);
        }
        let ended = if caller.typed { at } else { caller.speech_end };
        self.effects.push(Effect::Keep(Entry::Turn(TurnRow {
            call: self.call.clone(),
            turn: caller.turn,
            speaker: Speaker::Caller,
            started_ms: caller.started.ms(),
            ended_ms: ended.ms().max(caller.started.ms()),
            text: caller.words,
            heard: None,
            typed: caller.typed,
            outcome: None,
            action: None,
            reason: None,
            latency: LatencyParts::default(),
        })));
    }

    /// The words of the open turn, for the language model's view.
    pub(super) fn caller_words(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| caller.words.as_str()).filter(|words| !words.is_empty())
    }
}
