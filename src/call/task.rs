//! The call task: it tells the call's machine what happens, notes that for the journal, and does what the machine wants done. What is
//! decided is decided in [`CallMachine`]; here are the socket, the models' tasks, the rows. Its one important function is
//! [`CallTask::beat`]: a tick.

use std::sync::Arc;

use duologue_signaling::event::{Event, Stamped};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::bridging::Joint;
use super::consulting::Aside;
use super::engines::Engines;
use super::judging;
use super::leg::Leg;
use super::listeners::{Listeners, WHIP};
use super::memory::CallMemory;
use super::mouth::Mouth;
use super::turn::Turn;
use super::wire::Control;
use crate::audio::LINE_FRAME;
use crate::backend::{AsrJob, Speech};
use crate::dialogue::conversation::Input;
use crate::dialogue::judge::Situation;
use crate::dialogue::parts::Ask;
use crate::dialogue::persona::Persona;
use crate::journal::{CallId, DownlinkRow, EndReason, Entry, MediaTotals};
use crate::knowledge::KnowledgeHouse;
use crate::machine::{CallMachine, Extracted, Happening, Output};
use crate::media::downlink::LinkReport;
use crate::memory::meaning::Meaning;
use crate::peer::{GoneWhy, PeerEvent};
use crate::recording::Tape;
use crate::replay::JournalTape;
use crate::search::SearchHouse;
use crate::store::Recorder;
use crate::time::{CallTime, TICK};

/// Everything a call is made of; [`CallTask::run`] consumes it.
pub struct CallTask {
    pub call: CallId,
    /// What decides.
    pub machine: CallMachine,
    pub leg: Leg,
    pub mouth: Mouth,
    pub engines: Engines,
    pub recorder: Recorder,
    /// Present while the call is recorded.
    pub tape: Option<Tape>,
    /// Present while what the machine is told is kept.
    pub journal: Option<JournalTape>,
    pub events: broadcast::Sender<Arc<str>>,
    pub control: mpsc::Receiver<Control>,
    pub inbox: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    /// What the persona's files have, and the web.
    pub knowledge: KnowledgeHouse,
    pub web: Option<SearchHouse>,
    /// Who may take the call over.
    pub personas: Vec<Arc<Persona>>,
    /// Present when the caller has a name.
    pub memory: Option<CallMemory>,
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
    partial: Option<AbortHandle>,
    pub(super) priming: Option<AbortHandle>,
    pub(super) aside: Aside,
    /// Since when the call is on hold.
    pub(super) held: Option<Instant>,
    /// Who hears the agent beside the caller.
    pub(super) listeners: Listeners,
    /// The way to the call that this one is connected with.
    pub(super) joint: Option<Box<Joint>>,
}

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
        self.recollect();
        let mut beat = tokio::time::interval(TICK);
        // A tick that comes late is made up for at once: the line's clock must not fall behind the wall's.
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while self.machine.ended().is_none() {
            tokio::select! {
                biased;
                due = beat.tick() => self.beat(due),
                event = self.leg.events.recv() => self.on_leg(event),
                Some(control) = self.control.recv() => self.on_control(control),
                Some(input) = self.inbox.1.recv() => self.tell(Happening::Input(input)),
                Some(listened) = self.work.listening.join_next() => self.on_listened(listened),
            }
            self.perform_all();
        }
        self.finish().await
    }

    /// The call's clock: it stands still while the call is on hold.
    pub(super) fn now(&self) -> CallTime {
        self.since_began(self.work.held.unwrap_or_else(Instant::now))
    }

    /// One tick: hear -> decide -> gate -> send. Nothing in here waits.
    fn beat(&mut self, due: Instant) {
        if self.work.listeners.ready() {
            self.tell(Happening::Connected);
        }
        if self.rests(due) {
            return;
        }
        let (at, due_at) = (self.now(), self.since_began(due));
        self.hear_other();
        let mut frame = [0.0; LINE_FRAME];
        let speech = self.machine.beat(at, due_at, None, &mut frame);
        if let Some(speech) = speech {
            if !self.relay_other(due) {
                self.mouth.send(&frame, speech, due, self.leg.line.as_ref());
            }
            self.work.listeners.send(&frame, speech, due);
            self.pass_on();
        }
        // What is kept comes after what is sent: it must not make the packet late.
        if let Some(journal) = self.journal.as_mut().filter(|_| speech.is_some() || self.machine.ended().is_some()) {
            journal.beat(at, due_at, &self.machine);
        }
        if speech.is_some() {
            self.tape_tick(due_at, &frame);
        }
    }

    /// Tells the machine what has happened; what it wants done of it comes with [`Self::perform_all`].
    pub(super) fn tell(&mut self, what: Happening) {
        let at = self.now();
        if let Some(journal) = &mut self.journal {
            journal.happened(at, &what);
        }
        self.machine.on(at, what);
    }

    /// Does what the machine wants. In order; nothing waits.
    fn perform_all(&mut self) {
        while let Some(output) = self.machine.next() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Transcribe { ask, audio, hotwords, .. } => self.recognise(ask, audio, hotwords),
            Output::AskTurnModel { turn, revision, audio } => self.ask_turn_model(turn, revision, audio),
            Output::Judge { turn, revision, situation } => self.judge(turn, revision, situation),
            Output::Consult { persona, words } => self.consult(persona, words),
            Output::Search { turn, query } => self.search(turn, query),
            Output::Recall { words } => self.recall(&words),
            Output::Recollect => self.recollect(),
            Output::VoicePhrase { text } => self.voice_phrase(text),
            Output::VoiceAttention { text } => self.voice_attention(text),
            Output::FollowUps { turn, request } => self.follow_up(turn, *request),
            Output::DropFollowUps => self.drop_follow_ups(),
            Output::Prime(request) => self.prime(request),
            Output::Generate { turn, request } => {
                // What the model is reading for later must not stand before what the caller waits for.
                if let Some(priming) = self.work.priming.take() {
                    priming.abort();
                }
                let llm = self.engines.llm.clone();
                self.turn(turn).generate(llm, request);
            }
            Output::Speak { turn, clause, what } => {
                let tts = self.engines.tts.clone();
                self.turn(turn).speak(tts, clause, what);
            }
            Output::DropTurn { turn } => {
                self.work.turn.take_if(|open| open.id() == turn);
            }
            Output::Extract { turn, text, request } => self.extract(turn, text, *request),
            Output::GiveUpExtraction => self.give_up_extraction(),
            Output::FindMeanings(facts) => self.find_meanings(&facts),
            Output::FindPersona { name } => self.find_persona(&name),
            Output::Plan(plan) => self.mouth.follow(plan),
            Output::KeepDownlink(report) => self.keep_downlink(Some(report)),
            Output::StopTaping => self.stop_taping(),
            Output::Emit(event) => self.emit(event),
            Output::Keep(entry) => self.recorder.record(entry),
        }
    }

    /// Asks the judge; where there is none the machine has asked the rules itself.
    fn judge(&mut self, turn: u32, revision: u32, situation: Arc<Situation>) {
        let Some(judge) = self.engines.judge.clone() else { return };
        let (inbox, limit) = (self.inbox.0.clone(), self.engines.judge_limit);
        self.work.listening.spawn(async move {
            judging::ask(judge, limit, turn, revision, situation, &inbox).await;
            Listened::Nothing
        });
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

    fn recognise(&mut self, ask: Ask, audio: Arc<[f32]>, hotwords: Option<Arc<str>>) {
        // A tail lets the partial before it finish, where there is a core for both: a draft may begin from it.
        if let Some(partial) = self.work.partial.take_if(|_| ask.purpose.is_passing()) {
            partial.abort();
        }
        let asr = self.engines.asr.clone();
        let job = AsrJob { audio, purpose: ask.purpose, prompt: hotwords };
        let running = self.work.listening.spawn(async move {
            let text = asr.transcribe(job).await.map(|transcript| transcript.text).map_err(|fault| fault.to_string());
            Listened::Words(ask, text)
        });
        if ask.purpose.is_passing() {
            self.work.partial = Some(running);
        }
    }

    /// Something that was listened to has been understood; what was aborted has not.
    fn on_listened(&mut self, listened: Result<Listened, JoinError>) {
        match listened {
            Ok(Listened::Phrase(text, sound)) => self.tell(Happening::Phrase(text, sound)),
            Ok(Listened::Words(ask, text)) => self.tell(Happening::Words(ask, text)),
            Ok(Listened::Meanings(meanings)) => self.learn_meanings(meanings),
            Ok(Listened::Extracted(found)) => self.tell(Happening::Extracted(found)),
            Ok(Listened::Nothing) | Err(_) => {}
        }
    }

    fn ask_turn_model(&mut self, turn: u32, revision: u32, audio: Arc<[f32]>) {
        let Some(model) = self.engines.turn_model.clone() else { return };
        let inbox = self.inbox.0.clone();
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

    /// To the client, to whoever listens, and into the journals. Words are left out of the rows: turns have them.
    fn emit(&mut self, event: Stamped) {
        if let Some(journal) = &mut self.journal {
            journal.said(&event);
        }
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
        let happening = match event {
            // What comes while the call is on hold is the exchange's music.
            Some(PeerEvent::Rtp { .. }) if self.work.held.is_some() => return,
            Some(PeerEvent::Rtp { packet, at }) => {
                if let Some(joint) = &mut self.work.joint {
                    joint.packet(&packet, self.mouth.spoken());
                }
                Happening::Rtp { arrived: self.since_began(at), packet }
            }
            // Who comes with a microphone alone is greeted when the greeting can be heard.
            Some(PeerEvent::Connected) if self.leg.transport == WHIP && !self.machine.is_connected() => {
                return self.work.listeners.await_first();
            }
            Some(PeerEvent::Connected) => Happening::Connected,
            Some(PeerEvent::Message(text)) => Happening::Message(text),
            Some(PeerEvent::Gone(why)) => {
                let reason = match &why {
                    GoneWhy::ClosedByPeer | GoneWhy::ClosedHere => EndReason::CallerHangup,
                    GoneWhy::NeverConnected => EndReason::NeverConnected,
                    GoneWhy::NotTaken(reason, _) => *reason,
                    GoneWhy::Transferred(_) => EndReason::Transferred,
                    GoneWhy::Silent | GoneWhy::Expired | GoneWhy::Failed(_) => EndReason::NetworkGone,
                };
                Happening::End { reason, detail: format!("{why}.") }
            }
            Some(PeerEvent::Key { key, held }) => Happening::Key { key, held },
            Some(PeerEvent::Transfer { to, state, detail }) => Happening::Transfer { to, state, detail },
            Some(PeerEvent::Held(held)) => return self.on_hold(held),
            Some(PeerEvent::Speaks(spoken)) => return self.speak(spoken),
            Some(PeerEvent::Report(report)) => Happening::Report(report),
            Some(PeerEvent::MessagesOpen | PeerEvent::Disconnected) => return,
            None => Happening::End { reason: EndReason::NetworkGone, detail: "The connection is gone.".into() },
        };
        self.tell(happening);
    }

    fn keep_downlink(&mut self, report: Option<LinkReport>) {
        let row = self.mouth.take_row();
        // A call that never connected has no way out to tell of.
        if report.is_none() && row.packets_sent == 0 {
            return;
        }
        let (call, at_ms) = (self.call.clone(), self.now().ms());
        self.recorder.record(Entry::Downlink(DownlinkRow { call, at_ms, report, ..row }));
    }

    fn since_began(&self, moment: Instant) -> CallTime {
        CallTime::ZERO + moment.saturating_duration_since(self.began)
    }

    /// Closes what is open, keeps the rows, hangs up.
    async fn finish(mut self) -> (EndReason, String) {
        let (reason, detail) = self.machine.ended().cloned().unwrap_or((EndReason::Bug, String::new()));
        let at = self.now();
        self.tell(Happening::Finish);
        self.perform_all();
        self.keep_downlink(None);
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
            media: MediaTotals { packets_sent: self.mouth.sent(), ..self.machine.totals() },
        });
        self.work.listening.shutdown().await;
        let (tape, journal, call) = (self.tape.take(), self.journal.take(), self.call.clone());
        let digest = self.machine.digest();
        self.leg.close().await;
        // After the goodbye: a slow disk must not keep the caller on a silent line.
        Self::close_tape(tape, call.clone(), &self.recorder).await;
        Self::close_journal(journal, digest, call, &self.recorder).await;
        (reason, detail)
    }
}
