//! The caller's turn: from onset to the moment the agent is heard answering. It may pause, go on and be transcribed again;
//! each time it goes on, its revision rises and what was asked about the revision before is stale.

use duologue_signaling::event::{Event, FloorState, LatencyParts};

use super::{Conversation, Effect, HOLD_ON_PATIENCE};
use crate::backend::AsrPurpose;
use crate::dialogue::endpoint::EndEvidence;
use crate::dialogue::floor::Hearing;
use crate::dialogue::judge::{Action, Situation, Verdict};
use crate::dialogue::stable::Stable;
use crate::journal::{Entry, Speaker, TurnRow};
use crate::time::CallTime;

/// History that a judge sees, in turns.
const JUDGE_TURNS: usize = 8;

/// Longest typed turn, characters: more than anybody types in a call, less than a model's context.
const TYPED_MAX_CHARS: usize = 2_000;

/// The caller's open turn.
#[derive(Debug)]
pub(super) struct CallerTurn {
    pub turn: u32,
    revision: u32,
    started: CallTime,
    /// The last voiced sound.
    pub speech_end: CallTime,
    speaking_ms: u32,
    /// What is known of the words, final or not.
    words: String,
    /// Which of them will stay.
    stable: Stable,
    /// The words are those of the present revision, final.
    is_final: bool,
    complete: Option<f32>,
    /// The tail of the present pause has been asked for.
    tail_asked: bool,
    partial_in_flight: bool,
    partial_at: CallTime,
    typed: bool,
    /// When each step of the reply to this turn was taken.
    pub latency: LatencyParts,
}

impl CallerTurn {
    fn new(turn: u32, at: CallTime, typed: bool) -> Self {
        Self {
            turn,
            revision: 0,
            started: at,
            speech_end: at,
            speaking_ms: 0,
            words: String::new(),
            stable: Stable::default(),
            is_final: false,
            complete: None,
            tail_asked: false,
            partial_in_flight: false,
            partial_at: at,
            typed,
            latency: LatencyParts::default(),
        }
    }

    /// Follows the voice, tick by tick.
    pub fn hear(&mut self, at: CallTime, heard: Hearing) {
        if heard.speech && heard.silence_ms == 0 {
            self.speech_end = at;
            self.speaking_ms = self.speaking_ms.max(heard.speech_ms);
            if self.tail_asked {
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
        self.latency = LatencyParts::default();
    }

    pub fn evidence(&self) -> EndEvidence<'_> {
        EndEvidence { complete: self.complete, words: self.is_final.then_some(self.words.as_str()) }
    }

    fn is(&self, turn: u32, revision: u32) -> bool {
        self.turn == turn && self.revision == revision
    }
}

impl Conversation {
    pub(super) fn caller_starts(&mut self, at: CallTime, heard: Hearing) {
        let turn = self.next_turn();
        let began = at - std::time::Duration::from_millis(u64::from(heard.speech_ms));
        let mut caller = CallerTurn::new(turn, began, false);
        caller.hear(at, heard);
        self.caller = Some(caller);
        self.ladder.reset();
        self.patience = 1;
    }

    /// The caller goes on after what looked like the end. Nothing of the reply was heard.
    pub(super) fn caller_resumes(&mut self, at: CallTime, heard: Hearing) {
        self.drop_reply(at);
        if self.caller.as_ref().is_none_or(|caller| caller.typed) {
            self.commit_caller(at);
            self.caller_starts(at, heard);
        } else if let Some(caller) = &mut self.caller {
            caller.revise();
            caller.hear(at, heard);
        }
    }

    /// Silence has lasted long enough. The words may still be on their way.
    pub(super) fn caller_ends(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        caller.latency.speech_end_ms = Some(caller.speech_end.ms());
        caller.latency.turn_end_ms = Some(at.ms());
        if caller.is_final {
            self.ask_judge(at);
        } else {
            self.ask_tail();
        }
    }

    /// While the caller holds the floor: partials as speech grows, the tail as soon as there is a pause.
    pub(super) fn listen(&mut self, at: CallTime, heard: Hearing) {
        let Some(caller) = &mut self.caller else { return };
        if self.floor.state() != FloorState::Caller || caller.typed {
            return;
        }
        if heard.silence_ms >= self.settings.endpoint.tail_ms {
            self.ask_tail();
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

    fn ask_tail(&mut self) {
        let Some(caller) = &mut self.caller else { return };
        if caller.tail_asked {
            return;
        }
        caller.tail_asked = true;
        // The tail overtakes a partial: whoever runs the recogniser drops it.
        caller.partial_in_flight = false;
        let (turn, revision) = (caller.turn, caller.revision);
        self.effects.push(Effect::AskTurnModel { turn, revision });
        self.effects.push(Effect::Transcribe { turn, revision, purpose: AsrPurpose::Final });
    }

    pub(super) fn on_transcript(
        &mut self,
        at: CallTime,
        turn: u32,
        revision: u32,
        purpose: AsrPurpose,
        text: Result<String, String>,
    ) {
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
                caller.words = text.clone();
                // A final transcript is told in full when it is judged.
                if changed || (purpose == AsrPurpose::Partial && stable != before) {
                    // The model reads along, so that the end of the turn finds its prompt in the cache but for a few words.
                    if changed {
                        let request = self.request(Some(&text));
                        self.effects.push(Effect::Prime(request));
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
        }
    }

    fn tail_is_known(&mut self, at: CallTime) {
        let Some(caller) = &mut self.caller else { return };
        caller.is_final = true;
        caller.latency.asr_ms = Some(at.ms());
        if self.floor.state() == FloorState::Thinking {
            self.ask_judge(at);
        }
    }

    pub(super) fn on_complete(&mut self, turn: u32, revision: u32, probability: f32) {
        if let Some(caller) = self.caller.as_mut().filter(|caller| caller.is(turn, revision)) {
            caller.complete = Some(probability);
        }
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
        let turn = self.next_turn();
        let mut caller = CallerTurn::new(turn, at, true);
        caller.words = text.into();
        caller.is_final = true;
        caller.latency.turn_end_ms = Some(at.ms());
        self.caller = Some(caller);
        self.ladder.reset();
        self.patience = 1;
        self.floor.thinks(at);
        self.ask_judge(at);
    }

    fn ask_judge(&mut self, at: CallTime) {
        let Some(caller) = &self.caller else { return };
        let situation = Situation {
            persona: self.persona.clone(),
            history: self.history.last(JUDGE_TURNS),
            text: caller.words.clone(),
            speaking_s: caller.speaking_ms as f32 / 1_000.0,
            silence_s: at.since(caller.speech_end).as_secs_f32(),
            typed: caller.typed,
        };
        let (turn, revision) = (caller.turn, caller.revision);
        self.effects.push(Effect::Judge { turn, revision, situation: Box::new(situation) });
    }

    pub(super) fn on_verdict(
        &mut self,
        at: CallTime,
        (turn, revision): (u32, u32),
        judge: &str,
        verdict: Verdict,
        took_ms: f32,
    ) {
        let Some(caller) = self.caller.as_mut().filter(|caller| caller.is(turn, revision)) else { return };
        if self.floor.state() != FloorState::Thinking || self.reply.is_some() {
            return;
        }
        caller.latency.judge_ms = Some(at.ms());
        let (text, typed) = (caller.words.clone(), caller.typed);
        if !text.is_empty() {
            self.emit(at, Event::Transcript { turn, text, typed });
        }
        self.emit(
            at,
            Event::Judgement {
                turn,
                judge: judge.into(),
                action: verdict.action.as_str().into(),
                reason: verdict.reason.into(),
                probabilities: verdict.probabilities.iter().map(|(action, p)| (action.as_str().into(), *p)).collect(),
                took_ms,
            },
        );
        match verdict.action {
            Action::Silence => self.keep_quiet(at, 1),
            Action::Listen | Action::Backchannel => self.keep_quiet(at, HOLD_ON_PATIENCE),
            _ => self.respond(at, &verdict),
        }
    }

    /// The turn is answered by listening.
    fn keep_quiet(&mut self, at: CallTime, patience: u32) {
        self.commit_caller(at);
        self.patience = patience;
        self.rest(at);
    }

    /// The caller's turn can no longer change: into the history and the journal with it.
    pub(super) fn commit_caller(&mut self, at: CallTime) {
        let Some(caller) = self.caller.take() else { return };
        if !caller.typed {
            self.effects.push(Effect::CloseUtterance);
        }
        if !caller.words.is_empty() {
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
