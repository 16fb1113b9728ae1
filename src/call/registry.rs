//! The calls that are alive: admission, lookup, hang-up, shutdown. It holds the only lock of the server, for the length of
//! a map look-up.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duologue_core::replay::{FORM, Head};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engines::Engines;
use super::leg::{Echoes, Leg, Line};
use super::listeners::Listening;
use super::memory::{CallMemory, MemoryHouse};
use super::mouth::Mouth;
use super::task::{CallTask, Work};
use super::wire::{self, Control};
use crate::audio::codec::CodecError;
use crate::config::EchoCancelling;
use crate::dialogue::conversation::ConversationSettings;
use crate::dialogue::persona::Persona;
use crate::journal::{CallId, EndReason, Entry, MediaTotals};
use crate::knowledge::KnowledgeHouse;
use crate::machine::{CallMachine, MachineError, MachineSettings, MemorySettings};
use crate::media::downlink::{DownlinkSettings, Level};
use crate::media::ear::EarSettings;
use crate::media::echo::EchoMeans;
use crate::peer::{OfferRefused, Peer, Port, PortCounts};
use crate::recording::{Consent, RecordingHouse};
use crate::replay::JournalHouse;
use crate::search::SearchHouse;
use crate::store::{Reader, Recorder, utc_ms};

/// What every call of this server shares.
pub struct House {
    pub port: Port,
    pub engines: Engines,
    pub recorder: Recorder,
    pub store: Reader,
    pub personas: Vec<Arc<Persona>>,
    pub default_persona: String,
    pub conversation: ConversationSettings,
    pub ear: EarSettings,
    /// Copies of earlier packets that may go along with each: 0..=4.
    pub redundancy_most: Level,
    pub knowledge: KnowledgeHouse,
    /// None: nobody asks the web.
    pub web: Option<SearchHouse>,
    /// None: nobody is remembered.
    pub memory: Option<MemoryHouse>,
    pub echo_canceller: EchoCancelling,
    /// Present where calls are recorded.
    pub recording: Option<RecordingHouse>,
    /// Present where recorded calls leave an input journal.
    pub journal: Option<JournalHouse>,
    pub max_calls: usize,
    pub longest_call: Duration,
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no persona '{asked}'; there are: {known}")]
    NoSuchPersona { asked: String, known: String },
    #[error("all {0} lines are taken; try again later")]
    Full(usize),
    #[error("calls of this caller are refused until {0}")]
    Blocked(String),
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error(transparent)]
    Offer(#[from] OfferRefused),
    #[error("no audio codec: {0}")]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// A live call, seen from outside.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) control: mpsc::Sender<Control>,
    events: broadcast::Sender<Arc<str>>,
    pub(super) line: Arc<dyn Line>,
    pub(super) caller: Option<String>,
    /// Of a microphone (WHIP): the offer that holds.
    pub(super) offer: Option<Arc<str>>,
    /// Those who hear the agent beside the caller.
    pub(super) listeners: HashMap<String, Listening>,
    /// Its agent holds a conversation: it is neither an echo nor a recording.
    pub(super) talks: bool,
    /// It is connected with another call, or is to be: what ends that.
    pub(super) bridge: Option<CancellationToken>,
}

/// All live calls.
pub struct Registry {
    house: House,
    live: Mutex<HashMap<CallId, Live>>,
    pub(super) lines: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// What is asked for with an offer.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Who should answer; nobody in particular where it is `None` or empty.
    pub persona: Option<&'a str>,
    /// A stable name of the caller: what memory hangs on.
    pub caller: Option<String>,
    /// False for a caller who does not want to be recorded.
    pub recorded: bool,
    /// Nobody is greeted, and the agent only listens: somebody is called who is to be connected with a caller.
    pub listens: bool,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self { persona: None, caller: None, recorded: true, listens: false }
    }
}

/// A call that may be taken: it has a line, and an agent who answers.
pub struct Admitted {
    persona: Arc<Persona>,
    caller: Option<String>,
    recorded: bool,
    listens: bool,
    began: Instant,
    place: OwnedSemaphorePermit,
}

impl Admitted {
    /// Who answers.
    pub fn persona(&self) -> &str {
        &self.persona.name
    }
}

/// What is the call's own by time and chance.
#[derive(Clone, Copy, Debug)]
struct Seeds {
    began: Instant,
    started_utc_ms: i64,
    /// Of the first RTP packet: random (RFC 3550, section 5.1).
    sequence: u16,
    timestamp: u32,
}

/// What [`Registry::open`] gives back.
#[derive(Debug)]
pub struct Opened {
    pub call: CallId,
    /// The SDP answer.
    pub answer: String,
}

impl Registry {
    pub fn new(house: House) -> Arc<Self> {
        let lines = Arc::new(Semaphore::new(house.max_calls));
        house.port.count_in(house.recorder.meters().clone());
        Arc::new(Self { house, live: Mutex::default(), lines, tasks: TaskTracker::new() })
    }

    /// The way into the store.
    pub fn recorder(&self) -> &Recorder {
        &self.house.recorder
    }

    /// The personas that can be asked for.
    pub fn personas(&self) -> &[Arc<Persona>] {
        &self.house.personas
    }

    /// Takes a browser's call.
    ///
    /// # Errors
    /// When there is no such persona, no free line, or the offer cannot be answered. Nothing is left behind then.
    pub async fn open(self: &Arc<Self>, offer: &str, asked: Asked<'_>) -> Result<Opened, OpenError> {
        let admitted = self.admit(asked).await?;
        let (peer, answer) = self.answer(offer).await?;
        Ok(Opened { call: self.begin(admitted, peer.into())?, answer })
    }

    /// Answers an offer with a peer of nobody's yet.
    ///
    /// # Errors
    /// When it cannot be answered. Nothing is left behind then.
    pub async fn answer(&self, offer: &str) -> Result<(Peer, String), OfferRefused> {
        self.house.port.accept(offer).await
    }

    /// Keeps this running beside the calls: it must end by itself when its call does.
    pub(crate) fn follow(&self, beside: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(beside);
    }

    /// Who recognises, writes and speaks.
    pub fn engines(&self) -> &Engines {
        &self.house.engines
    }

    /// Whether a call can be taken; keeps a line free for it. The call's time begins here.
    ///
    /// # Errors
    /// When there is no such persona, the caller is blocked, or no line is free.
    pub async fn admit(&self, Asked { persona, caller, recorded, listens }: Asked<'_>) -> Result<Admitted, OpenError> {
        let began = Instant::now();
        let persona = self.persona(persona)?;
        let persona = if listens { unopened(&persona) } else { persona };
        self.refuse_blocked(caller.as_deref()).await?;
        let place = self.lines.clone().try_acquire_owned().map_err(|_| self.refusal())?;
        Ok(Admitted { persona, caller, recorded, listens, began, place })
    }

    /// Begins a call over this leg, and gives its number.
    ///
    /// # Errors
    /// When there is no codec for it; the leg is hung up then.
    pub fn begin(self: &Arc<Self>, admitted: Admitted, leg: Leg) -> Result<CallId, OpenError> {
        let Admitted { persona, caller, recorded, listens, began, place } = admitted;
        let call = uuid::Uuid::now_v7().to_string();
        let started_utc_ms = utc_ms();
        self.house.recorder.record(Entry::CallOpened {
            call: call.clone(),
            started_utc_ms,
            caller: caller.clone(),
            persona: persona.name.clone(),
            transport: leg.transport.into(),
            asr: self.house.engines.asr.name(),
            llm: self.house.engines.llm.name(),
            tts: self.house.engines.tts.name(),
        });
        let (control, commands) = wire::control();
        let events = wire::events();
        let way_out = leg.line.clone();
        let (talks, name) = (persona.talks(), persona.name.clone());
        let taping = self.house.recording.as_ref().filter(|_| recorded);
        let persona = match taping.map(RecordingHouse::consent) {
            Some(Consent::Announced(words)) => announcing(&persona, words),
            _ => persona,
        };
        let memory = self.house.memory.clone().filter(|_| talks).zip(caller.clone());
        let seeds = Seeds { began, started_utc_ms, sequence: rand::random(), timestamp: rand::random() };
        let mut settings =
            self.settings(&leg, &persona, taping, memory.as_ref().map(|(house, _)| house.settings), seeds);
        settings.listens = listens;
        let mut task = self.task(&call, persona, leg, settings, seeds, (events.clone(), commands))?;
        task.tape = taping.map(|house| house.begin(&call, &name, started_utc_ms));
        task.memory = memory.map(|(house, caller)| CallMemory::new(house, caller, started_utc_ms));
        self.live().insert(
            call.clone(),
            Live {
                control,
                events,
                line: way_out,
                caller,
                offer: None,
                listeners: HashMap::new(),
                talks,
                bridge: None,
            },
        );
        self.tasks.spawn(watch_over(self.clone(), call.clone(), task, place, began));
        Ok(call)
    }

    /// A file that cannot be read blocks nobody: that is told elsewhere, and the call goes on.
    async fn refuse_blocked(&self, caller: Option<&str>) -> Result<(), OpenError> {
        let Some(caller) = caller else { return Ok(()) };
        match self.house.store.blocked_until(caller).await {
            Ok(Some(until)) => Err(OpenError::Blocked(until)),
            Ok(None) => Ok(()),
            Err(fault) => {
                tracing::warn!(%fault, "whether the caller is blocked is not known");
                Ok(())
            }
        }
    }

    /// What the call's machine is made from.
    fn settings(
        &self,
        leg: &Leg,
        persona: &Persona,
        taping: Option<&RecordingHouse>,
        memory: Option<MemorySettings>,
        seeds: Seeds,
    ) -> MachineSettings {
        let house = &self.house;
        let spoken = leg.spoken;
        let cancels = match (house.echo_canceller, leg.echoes) {
            (EchoCancelling::Off, _) | (_, Echoes::Never) | (EchoCancelling::Auto, Echoes::ClientTells) => false,
            (EchoCancelling::On, _) | (EchoCancelling::Auto, Echoes::Likely) => true,
        };
        MachineSettings {
            conversation: house.conversation.clone(),
            ear: house.ear,
            downlink: DownlinkSettings { red: spoken.red.is_some(), most: house.redundancy_most },
            codec: spoken.codec,
            payload_type: spoken.payload_type,
            red: spoken.red,
            echo: if cancels && !persona.echo { EchoMeans::BOTH } else { EchoMeans::NONE },
            echo_by_client: house.echo_canceller == EchoCancelling::Auto
                && leg.echoes == Echoes::ClientTells
                && !persona.echo,
            judged: house.engines.judge.is_some(),
            limit: house.longest_call,
            first_timestamp: seeds.timestamp,
            began_utc_ms: seeds.started_utc_ms,
            taped: taping.is_some(),
            tone: taping.is_some_and(|house| *house.consent() == Consent::Tone),
            memory,
            listens: false,
        }
    }

    fn task(
        &self,
        call: &CallId,
        persona: Arc<Persona>,
        leg: Leg,
        settings: MachineSettings,
        seeds: Seeds,
        (events, control): (broadcast::Sender<Arc<str>>, mpsc::Receiver<Control>),
    ) -> Result<CallTask, OpenError> {
        let house = &self.house;
        let mouth = Mouth::new(seeds.sequence, seeds.timestamp, leg.spoken, house.redundancy_most)?;
        let journal = house.journal.as_ref().filter(|_| settings.taped);
        let journal = journal.map(|journal| journal.begin(call, &self.head(call, &persona, &settings, journal)));
        Ok(CallTask {
            call: call.clone(),
            machine: CallMachine::new(call.clone(), persona, settings, house.engines.voice_detector())?,
            mouth,
            personas: house.personas.clone(),
            knowledge: house.knowledge.clone(),
            web: house.web.clone(),
            engines: house.engines.clone(),
            recorder: house.recorder.clone(),
            tape: None,
            journal,
            leg,
            events,
            control,
            inbox: wire::inbox(),
            memory: None,
            began: seeds.began,
            work: Work::default(),
        })
    }

    /// What the call's journal begins with.
    fn head(&self, call: &CallId, persona: &Arc<Persona>, settings: &MachineSettings, journal: &JournalHouse) -> Head {
        let engines = &self.house.engines;
        Head {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").into(),
            call: call.clone(),
            persona: persona.clone(),
            settings: settings.clone(),
            asr: engines.asr.name(),
            llm: engines.llm.name(),
            tts: engines.tts.name(),
            config: journal.config().to_owned(),
        }
    }

    fn persona(&self, asked: Option<&str>) -> Result<Arc<Persona>, OpenError> {
        let name = asked.filter(|name| !name.is_empty()).unwrap_or(&self.house.default_persona);
        let named = self.house.personas.iter().find(|persona| persona.name == name).cloned();
        named.ok_or_else(|| self.no_such_persona(name))
    }

    /// Nobody is called that.
    pub fn no_such_persona(&self, asked: &str) -> OpenError {
        OpenError::NoSuchPersona {
            asked: asked.chars().take(60).collect(),
            known: self.house.personas.iter().map(|persona| persona.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }

    /// A persona that can take a call over: one that talks.
    ///
    /// # Errors
    /// When there is none of that name, or it only sends sound.
    pub fn talking_persona(&self, name: &str) -> Result<Arc<Persona>, OpenError> {
        let known = || self.house.personas.iter().filter(|persona| persona.talks());
        known().find(|persona| persona.name == name).cloned().ok_or_else(|| OpenError::NoSuchPersona {
            asked: name.chars().take(60).collect(),
            known: known().map(|persona| persona.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Who answers when nobody is asked for.
    pub fn default_persona(&self) -> &str {
        &self.house.default_persona
    }

    /// Waits until everything that was recorded so far is in the database, if it can be written.
    pub async fn settle(&self) {
        if let Err(why) = self.house.recorder.flush().await {
            tracing::debug!(%why, "showing what the database has");
        }
    }

    fn refusal(&self) -> OpenError {
        if self.is_leaving() { OpenError::ShuttingDown } else { OpenError::Full(self.house.max_calls) }
    }

    /// Tells a live call something. `None`: there is no such live call. `Some(false)`: it is too busy to listen.
    pub fn tell(&self, call: &str, control: Control) -> Option<bool> {
        let live = self.live().get(call).cloned()?;
        Some(live.control.try_send(control).is_ok())
    }

    /// Has the live calls of a caller ask again what is known. One that is too busy to listen goes on with what it knew.
    pub fn recollect(&self, caller: &str) {
        for live in self.live().values().filter(|live| live.caller.as_deref() == Some(caller)) {
            let _ = live.control.try_send(Control::Recollect);
        }
    }

    /// Answers a further offer of a live call: ICE restarts, the call goes on. `None`: there is no such live call.
    pub async fn reoffer(&self, call: &str, offer: String) -> Option<Result<String, OfferRefused>> {
        let live = self.live().get(call).cloned()?;
        Some(live.line.reoffer(offer).await)
    }

    /// The events of a live call from now on.
    pub fn listen(&self, call: &str) -> Option<broadcast::Receiver<Arc<str>>> {
        self.live().get(call).map(|live| live.events.subscribe())
    }

    /// What the media port has done so far, and what is alive on it.
    pub fn port_counts(&self) -> PortCounts {
        self.house.port.counts()
    }

    /// How many calls there may be at once.
    pub const fn lines(&self) -> usize {
        self.house.max_calls
    }

    /// How many calls are alive.
    pub fn count(&self) -> usize {
        self.live().len()
    }

    /// Ends every call and takes no more; returns when all rows are with the recorder.
    pub async fn shut_down(&self) {
        self.take_no_more();
        self.tasks.close();
        let live: Vec<Live> = self.live().values().cloned().collect();
        for call in live {
            let detail = "The server is shutting down.".into();
            let _ = call.control.send(Control::End { reason: EndReason::Shutdown, detail }).await;
        }
        self.tasks.wait().await;
    }

    pub(super) fn live(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Live>> {
        // No code between lock and unlock can panic half-way through a change; a poisoned map is still a map.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The persona, which says before its greeting that the call is recorded.
fn announcing(persona: &Arc<Persona>, words: &str) -> Arc<Persona> {
    let mut persona = Persona::clone(persona);
    persona.opening = format!("{words} {}", persona.opening).trim_end().to_owned();
    Arc::new(persona)
}

/// The persona, which greets nobody.
fn unopened(persona: &Arc<Persona>) -> Arc<Persona> {
    Arc::new(Persona { opening: String::new(), ..Persona::clone(persona) })
}

/// Runs a call to its end, whatever the end is: a panic closes this call and no other.
async fn watch_over(registry: Arc<Registry>, call: CallId, task: CallTask, line: OwnedSemaphorePermit, began: Instant) {
    let recorder = registry.house.recorder.clone();
    let outcome = AssertUnwindSafe(task.run()).catch_unwind().await;
    registry.live().remove(&call);
    drop(line);
    match outcome {
        Ok((reason, detail)) => tracing::info!(%call, reason = reason.as_str(), %detail, "call ended"),
        Err(_) => {
            tracing::error!(%call, "a fault in the call task ended this call; please report it with the lines above");
            recorder.record(Entry::CallClosed {
                call,
                ended_utc_ms: utc_ms(),
                duration_ms: began.elapsed().as_millis() as u64,
                reason: EndReason::Bug,
                detail: "A fault in the server ended the call.".into(),
                media: MediaTotals::default(),
            });
        }
    }
}
