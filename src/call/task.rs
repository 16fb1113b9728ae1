//! The call task. Its one important function is [`CallTask::beat`]: a tick, readable at one sight.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{Event, Stamped};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::consulting::Aside;
use super::engines::Engines;
use super::extraction::Extracted;
use super::judging;
use super::leg::Leg;
use super::listeners::{Listeners, WHIP};
use super::memory::CallMemory;
use super::mouth::Mouth;
use super::telephone::Keys;
use super::turn::Turn;
use super::wire::Control;
use crate::audio::LINE_FRAME;
use crate::backend::{AsrJob, AsrPurpose, Speech};
use crate::dialogue::conversation::{Conversation, Effect, Input};
use crate::dialogue::judge::Situation;
use crate::dialogue::parts::{Ask, Cut, Parts};
use crate::dialogue::persona::Persona;
use crate::journal::{CallId, DownlinkRow, EndReason, Entry, MediaTotals};
use crate::knowledge::KnowledgeHouse;
use crate::media::downlink::LinkReport;
use crate::media::ear::Ear;
use crate::media::parrot::Parrot;
use crate::media::quality::QualityWatch;
use crate::media::recording::Recording;
use crate::memory::meaning::Meaning;
use crate::peer::{GoneWhy, PeerEvent};
use crate::recording::Tape;
use crate::search::SearchHouse;
use crate::store::Recorder;
use crate::time::{CallTime, TICK};

/// Everything a call is made of; [`CallTask::run`] consumes it.
pub struct CallTask {
    pub call: CallId,
    pub leg: Leg,
    pub ear: Ear,
    pub mouth: Mouth,
    /// Present when the persona only sends the caller's sound back.
    pub parrot: Option<Parrot>,
    /// Present when the persona only plays a recording.
    pub recording: Option<Recording>,
    /// The client's word says whether our echo is cancelled here.
    pub echo_by_client: bool,
    pub conversation: Conversation,
    pub engines: Engines,
    pub recorder: Recorder,
    /// Present while the call is recorded.
    pub tape: Option<Tape>,
    pub events: broadcast::Sender<Arc<str>>,
    pub control: mpsc::Receiver<Control>,
    pub inbox: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    /// The recogniser's expected words.
    pub hotwords: Option<Arc<str>>,
    /// What the persona's files have, and the web.
    pub knowledge: KnowledgeHouse,
    pub web: Option<SearchHouse>,
    /// Who may take the call over.
    pub personas: Vec<Arc<Persona>>,
    pub limit: Duration,
    /// The call's zero.
    pub began: Instant,
    pub work: Work,
}

/// What runs beside the task, owned by it.
#[derive(Default)]
pub struct Work {
    turn: Option<Turn>,
    /// Recognitions, turn model, cache warming: none belongs to an agent turn. Aborted with the call.
    pub(super) listening: JoinSet<Listened>,
    /// The words of the open turn, part by part.
    parts: Parts,
    partial: Option<AbortHandle>,
    pub(super) priming: Option<AbortHandle>,
    pub(super) aside: Aside,
    connected: bool,
    /// Since when the call is on hold.
    pub(super) held: Option<Instant>,
    pub(super) keys: Keys,
    /// Who hears the agent beside the caller.
    pub(super) listeners: Listeners,
    /// The last event about the line, and when it was sent.
    line_told: Option<CallTime>,
    quality: QualityWatch,
    ended: Option<(EndReason, String)>,
    /// Present when the caller has a name.
    pub(super) memory: Option<CallMemory>,
}

/// A line that changes nothing is told of so often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// What a piece of work in [`Work::listening`] gave.
pub(super) enum Listened {
    Words(Ask, Result<String, String>),
    /// The sound of a clause, for later.
    Phrase(String, Vec<Speech>),
    /// What the caller's facts mean.
    Meanings(Vec<(i64, Meaning)>),
    Extracted(Extracted),
    /// Nothing, or it is in the inbox.
    Nothing,
}

impl CallTask {
    /// Runs the call to its end; what it leaves behind is with the recorder.
    pub async fn run(mut self) -> (EndReason, String) {
        self.recollect(false);
        let mut beat = tokio::time::interval(TICK);
        // A tick that comes late is made up for at once: the line's clock must not fall behind the wall's.
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while self.work.ended.is_none() {
            tokio::select! {
                biased;
                due = beat.tick() => self.beat(due),
                event = self.leg.events.recv() => self.on_leg(event),
                Some(control) = self.control.recv() => self.on_control(control),
                Some(input) = self.inbox.1.recv() => {
                    self.know(&input);
                    self.conversation.on(self.now(), input);
                }
                Some(listened) = self.work.listening.join_next() => self.on_listened(listened),
            }
            self.execute();
        }
        self.finish().await
    }

    /// The call's clock: it stands still while the call is on hold.
    pub(super) fn now(&self) -> CallTime {
        let now = self.work.held.unwrap_or_else(Instant::now);
        CallTime::ZERO + now.saturating_duration_since(self.began)
    }

    /// One tick: hear -> decide -> gate -> send. Nothing in here waits.
    fn beat(&mut self, due: Instant) {
        let at = self.now();
        if self.work.listeners.ready() {
            self.connect();
        }
        if !self.work.connected {
            return;
        }
        if self.rests(due) {
            return;
        }
        self.mind_keys(at);
        if at.since(CallTime::ZERO) >= self.limit {
            self.end(EndReason::TimeLimit, "The longest allowed call is over.");
            return;
        }
        // The sound's clock is the even one: a tick that comes late is no change of the network.
        let heard = self.ear.tick(CallTime::ZERO + due.saturating_duration_since(self.began));
        self.transcribe_part();
        self.watch_extraction();
        let mut frame = [0.0; LINE_FRAME];
        let speech = if let Some(parrot) = &mut self.parrot {
            // Nobody will ask for the utterance: it need not be kept.
            self.ear.close_utterance();
            parrot.frame(self.ear.frame(), &mut frame)
        } else if let Some(recording) = &mut self.recording {
            self.ear.close_utterance();
            recording.frame(&mut frame)
        } else {
            self.conversation.tick(at, heard);
            self.execute();
            if let Some(event) = self.work.quality.due(at, self.ear.receiver()) {
                self.emit(Stamped { at_ms: at.ms(), event });
            }
            self.conversation.frame(at, &mut frame)
        };
        self.tape_tick(due, &mut frame);
        self.mouth.send(&frame, speech, due, self.leg.line.as_ref());
        self.work.listeners.send(&frame, speech, due);
        // Nobody minds the parrot's own voice.
        if self.parrot.is_none() {
            self.ear.played(&frame);
        }
        if self.mouth.tick(at) {
            self.tell_line(at, None);
        }
    }

    /// Media flows.
    fn connect(&mut self) {
        self.work.connected = true;
        if self.talks() {
            self.conversation.start(self.now());
        }
    }

    /// Does what the conversation wants. In order; nothing waits.
    fn execute(&mut self) {
        loop {
            let effects: Vec<Effect> = self.conversation.effects().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Transcribe { turn, revision, purpose } => self.transcribe(turn, revision, purpose),
            Effect::AskTurnModel { turn, revision } => self.ask_turn_model(turn, revision),
            Effect::Judge { turn, revision, situation } => self.judge(turn, revision, situation),
            Effect::Consult { persona, words } => self.consult(persona, words),
            Effect::Search { turn, query } => self.search(turn, query),
            Effect::VoicePhrase { text } => self.voice_phrase(text),
            Effect::FollowUps { turn, request } => self.follow_up(turn, *request),
            Effect::DropFollowUps => self.drop_follow_ups(),
            Effect::VoiceAttention { text } => self.voice_attention(text),
            Effect::CloseUtterance => self.ear.close_utterance(),
            Effect::Prime(request) => self.prime(request),
            Effect::Generate { turn, request } => {
                // What the model is reading for later must not stand before what the caller waits for.
                if let Some(priming) = self.work.priming.take() {
                    priming.abort();
                }
                let llm = self.engines.llm.clone();
                self.turn(turn).generate(llm, request);
            }
            Effect::Speak { turn, clause, what } => {
                if !self.say_at_once(turn, clause, &what.text) {
                    let tts = self.engines.tts.clone();
                    self.turn(turn).speak(tts, clause, what);
                }
            }
            Effect::DropTurn { turn } => {
                self.work.turn.take_if(|open| open.id() == turn);
            }
            Effect::Emit(event) => self.emit(event),
            Effect::Keep(entry) => self.keep(entry),
            Effect::End { reason, detail } => self.end(reason, &detail),
        }
    }

    /// Asks the judge: the rules at once, another beside the tick.
    fn judge(&mut self, turn: u32, revision: u32, situation: Arc<Situation>) {
        match self.engines.judge.clone() {
            None => self.conversation.on(self.now(), judging::by_the_rules(turn, revision, &situation)),
            Some(judge) => {
                let (inbox, limit) = (self.inbox.0.clone(), self.engines.judge_limit);
                self.work.listening.spawn(async move {
                    judging::ask(judge, limit, turn, revision, situation, &inbox).await;
                    Listened::Nothing
                });
            }
        }
    }

    fn voice_attention(&mut self, text: String) {
        let (tts, inbox) = (self.engines.tts.clone(), self.inbox.0.clone());
        self.work.listening.spawn(async move {
            judging::voice_attention(tts, text, &inbox).await;
            Listened::Nothing
        });
    }

    /// The work of an agent turn; a new turn drops the one before it.
    pub(super) fn turn(&mut self, id: u32) -> &mut Turn {
        let inbox = &self.inbox.0;
        let open = self.work.turn.take().filter(|turn| turn.id() == id);
        self.work.turn.insert(open.unwrap_or_else(|| Turn::new(id, inbox.clone())))
    }

    fn transcribe(&mut self, turn: u32, revision: u32, purpose: AsrPurpose) {
        // A tail lets the partial before it finish, where there is a core for both: a draft may begin from it.
        if let Some(partial) = self.work.partial.take_if(|_| purpose.is_passing()) {
            partial.abort();
        }
        let ask = self.work.parts.ask(turn, revision, purpose, self.ear.heard());
        let running = self.recognise(ask, self.ear.utterance());
        if purpose.is_passing() {
            self.work.partial = Some(running);
        }
    }

    /// What lies before a pause is heard once, and so is the beginning of what outgrows the recogniser's window.
    fn transcribe_part(&mut self) {
        let Some(part) = self.ear.take_part() else { return };
        let Some(turn) = self.conversation.caller_turn() else { return };
        let end = part.first_sample + part.audio.len() as u64;
        if let Cut::Ask(ask) = self.work.parts.cut(turn, part.voiced_until, end, self.ear.heard()) {
            self.recognise(ask, part.audio);
        }
    }

    fn recognise(&mut self, ask: Ask, audio: Arc<[f32]>) -> AbortHandle {
        let asr = self.engines.asr.clone();
        let job = AsrJob { audio, purpose: ask.purpose, prompt: self.hotwords.clone() };
        self.work.listening.spawn(async move {
            let text = asr.transcribe(job).await.map(|transcript| transcript.text).map_err(|fault| fault.to_string());
            Listened::Words(ask, text)
        })
    }

    /// Something that was listened to has been understood; what was aborted has not.
    fn on_listened(&mut self, listened: Result<Listened, JoinError>) {
        match listened {
            Ok(Listened::Phrase(text, sound)) => self.keep_phrase(text, sound),
            Ok(Listened::Words(ask, text)) => {
                for input in self.work.parts.answer(ask, text) {
                    if let Input::Transcribed { text: Ok(words), .. } = &input {
                        self.recall(words);
                    }
                    self.conversation.on(self.now(), input);
                }
            }
            Ok(Listened::Meanings(meanings)) => self.learn_meanings(meanings),
            Ok(Listened::Extracted(found)) => self.keep_extracted(found),
            Ok(Listened::Nothing) | Err(_) => {}
        }
    }

    fn ask_turn_model(&mut self, turn: u32, revision: u32) {
        let Some(model) = self.engines.turn_model.clone() else { return };
        let (audio, inbox) = (self.ear.turn_audio(), self.inbox.0.clone());
        self.work.listening.spawn(async move {
            match model.complete(audio).await {
                Ok(probability) => {
                    let _ = inbox.send(Input::Complete { turn, revision, probability }).await;
                }
                Err(fault) => tracing::warn!(%fault, "the turn model gave no opinion; silence decides"),
            }
            Listened::Nothing
        });
    }

    /// To the client, to whoever listens, and into the journal. Words are left out there: turns have them.
    pub(super) fn emit(&mut self, event: Stamped) {
        if let Ok(json) = serde_json::to_string(&event) {
            // Nobody listening beside the caller is the usual case.
            let _ = self.events.send(json.as_str().into());
            self.leg.line.send_message(json);
        }
        if !matches!(event.event, Event::Words { .. }) {
            self.recorder.record(Entry::Event { call: self.call.clone(), event });
        }
    }

    fn on_leg(&mut self, event: Option<PeerEvent>) {
        match event {
            // What comes while the call is on hold is the exchange's music.
            Some(PeerEvent::Rtp { .. }) if self.work.held.is_some() => {}
            Some(PeerEvent::Rtp { packet, at }) => {
                let at = CallTime::ZERO + at.saturating_duration_since(self.began);
                self.ear.packet(at, packet);
            }
            // Who comes with a microphone alone is greeted when the greeting can be heard.
            Some(PeerEvent::Connected) if self.leg.transport == WHIP && !self.work.connected => {
                self.work.listeners.await_first();
            }
            Some(PeerEvent::Connected) if !self.work.connected => self.connect(),
            Some(PeerEvent::Message(text)) => self.on_message(&text),
            Some(PeerEvent::Gone(why)) => {
                let reason = match why {
                    GoneWhy::ClosedByPeer | GoneWhy::ClosedHere => EndReason::CallerHangup,
                    GoneWhy::NeverConnected => EndReason::NeverConnected,
                    GoneWhy::Silent | GoneWhy::Failed(_) => EndReason::NetworkGone,
                };
                self.end(reason, &format!("{why}."));
            }
            Some(PeerEvent::Report(report)) => self.on_report(report),
            Some(PeerEvent::Key { key, held }) => self.on_key(key, held),
            Some(PeerEvent::Held(held)) => self.on_hold(held),
            Some(PeerEvent::Speaks(spoken)) => self.speak(spoken),
            Some(PeerEvent::Connected | PeerEvent::MessagesOpen | PeerEvent::Disconnected) => {}
            None => self.end(EndReason::NetworkGone, "The connection is gone."),
        }
    }

    /// How our packets arrive: a row, and an event where something changes or has not been told for a while.
    fn on_report(&mut self, report: LinkReport) {
        let at = self.now();
        if let Some(rtt) = report.rtt {
            self.conversation.on(at, Input::RoundTrip(rtt));
        }
        let changed = self.mouth.report(at, &report);
        self.keep_downlink(at, Some(report));
        if changed || self.work.line_told.is_none_or(|told| at.since(told) >= LINE_EVERY) {
            self.tell_line(at, Some(report));
        }
    }

    fn keep_downlink(&mut self, at: CallTime, report: Option<LinkReport>) {
        let row = self.mouth.take_row();
        // A call that never connected has no way out to tell of.
        if report.is_none() && row.packets_sent == 0 {
            return;
        }
        self.recorder.record(Entry::Downlink(DownlinkRow { call: self.call.clone(), at_ms: at.ms(), report, ..row }));
    }

    fn tell_line(&mut self, at: CallTime, report: Option<LinkReport>) {
        let ms = |time: Duration| (time.as_secs_f32() * 10_000.0).round() / 10.0;
        let plan = self.mouth.plan();
        self.work.line_told = Some(at);
        let event = Event::Line {
            loss: (self.mouth.loss() * 1_000.0).round() / 1_000.0,
            jitter_ms: ms(report.map_or(Duration::ZERO, |report| report.jitter)),
            rtt_ms: report.and_then(|report| report.rtt).map(ms),
            copies: plan.copies.len() as u8,
            hold_ms: plan.hold().as_millis() as u32,
        };
        self.emit(Stamped { at_ms: at.ms(), event });
    }

    pub(super) fn end(&mut self, reason: EndReason, detail: &str) {
        self.work.ended.get_or_insert_with(|| (reason, detail.to_owned()));
    }

    /// Closes what is open, keeps the rows, hangs up.
    async fn finish(mut self) -> (EndReason, String) {
        let (reason, detail) = self.work.ended.take().unwrap_or((EndReason::Bug, String::new()));
        let at = self.now();
        self.conversation.finish(at, reason, &detail);
        self.execute();
        self.sum_up();
        self.keep_downlink(at, None);
        let lateness = self.leg.line.lateness();
        if lateness.total() > 0 {
            self.recorder.record(Entry::Lateness { call: self.call.clone(), lateness });
        }
        self.recorder.record(Entry::CallClosed {
            call: self.call.clone(),
            ended_utc_ms: crate::store::utc_ms(),
            duration_ms: at.ms(),
            reason,
            detail: detail.clone(),
            media: MediaTotals { packets_sent: self.mouth.sent(), ..self.ear.totals() },
        });
        self.work.listening.shutdown().await;
        let (tape, call) = (self.tape.take(), self.call.clone());
        self.leg.close().await;
        // After the goodbye: a slow disk must not keep the caller on a silent line.
        Self::close_tape(tape, call, &self.recorder).await;
        (reason, detail)
    }
}
