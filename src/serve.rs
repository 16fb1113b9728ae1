//! Ring 3: a running server, put together in the order in which things can fail: configuration, personas, models, media
//! port, database, web. Every failure names itself and the way out before anything is served.

mod cast;
mod knowing;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::assembly::{self, AssemblyError};
use crate::bridge::{Bridges, Manners};
use crate::call::engines::Engines;
use crate::call::memory::MemoryHouse;
use crate::call::registry::{House, Registry};
use crate::config::{Config, Extractor, JudgeKind, KeepJournals, RecordCalls, SecretError};
use crate::dialogue::conversation::{
    ConversationSettings, DraftSettings, FollowUpSettings, Judging, Pace, SearchSettings, SourceSettings,
};
use crate::dialogue::endpoint::{EndWeights, EndpointSettings};
use crate::dialogue::floor::FloorSettings;
use crate::doors::audio_socket;
use crate::export::{self, KeyFault};
use crate::knowledge::shelves;
use crate::machine::MemorySettings;
use crate::media::ear::EarSettings;
use crate::media::far_ear::FarEarSettings;
use crate::peer::{Port, PortConfig, PortError};
use crate::recording::{Consent, Housekeeping, RecordingHouse, RecordingShelf};
use crate::replay::{JournalHouse, config_of};
use crate::search::{self, SearchHouse};
use crate::sip::{SipError, SipSettings, Switchboard};
use crate::store::{Store, StoreError};
use crate::traces::Tracer;
use crate::web::{self, Reviewers, Web};
use crate::webhook::{self, Courier};

pub use cast::load_personas;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("personas: {0}")]
    Personas(String),
    #[error("search: {0}")]
    Search(#[from] search::SearchFault),
    #[error(transparent)]
    Engines(#[from] AssemblyError),
    #[error(transparent)]
    Media(#[from] PortError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sip(#[from] SipError),
    #[error("{0}")]
    Recording(String),
    #[error(transparent)]
    Key(#[from] SecretError),
    #[error("traces: {0}")]
    Traces(String),
    #[error("webhooks: {0}")]
    Webhooks(String),
    #[error(transparent)]
    SigningKey(#[from] KeyFault),
    #[error("HTTP port {} is in use: stop the other program (`ss -tlpn 'sport = :{}'` names it) or set http.listen in duologue.toml", .0.port(), .0.port())]
    HttpInUse(SocketAddr),
    #[error("cannot listen for HTTP on {listen}: {why}")]
    Http { listen: SocketAddr, why: std::io::Error },
    #[error("cannot listen for AudioSocket on {listen}: {why}; set doors.audio_socket to another address")]
    AudioSocket { listen: SocketAddr, why: std::io::Error },
}

/// A server that takes calls.
pub struct Server {
    pub http: SocketAddr,
    pub media: SocketAddr,
    pub registry: Arc<Registry>,
    /// Present where telephones can call.
    pub telephones: Option<Switchboard>,
    /// Where Asterisk's AudioSocket is taken, where it is.
    pub audio_socket: Option<SocketAddr>,
    store: Store,
    stop: CancellationToken,
    web: JoinHandle<()>,
    /// Reads what personas know from files, in the background.
    indexing: JoinHandle<()>,
    keeping: JoinHandle<()>,
    asterisk: Option<JoinHandle<()>>,
    /// Sends traces, where somebody collects them.
    tracing: Option<JoinHandle<()>>,
    /// Sends webhooks, where somebody takes them.
    hooks: Option<webhook::Sending>,
}

impl Server {
    /// Loads, warms, binds, serves.
    ///
    /// # Errors
    /// The first thing that cannot be had; nothing is left running then.
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        let personas = load_personas(&config.personas.dir, &config.personas.default)?;
        let web = search::provider(&config.search)?;
        let sip = SipSettings::of(&config.sip)?;
        let listener = listen(config.http.listen).await?;
        let asterisk = asterisk(config).await?;
        let port = Port::bind(media_port(config)).await?;
        let (store, tracing) = traced(config, Store::open(&config.store.path).await?)?;
        let (store, hooks) = told(config, store)?;
        let engines = assembly::assemble(config, cast::beginnings(&personas, &config.personas.default)).await?;
        let (knowledge, learner) = knowing::house(config, &store, engines.embedder.clone());
        let shelves = shelves(&config.personas.dir, personas.iter().map(AsRef::as_ref));
        let shelf = config.recording.shelf()?;
        let recording = recording_house(config, &shelf)?;
        let (http, media) = (listener.local_addr().unwrap_or(config.http.listen), port.local_addr());
        let registry = Registry::new(House {
            port,
            conversation: judged(conversation_settings(config), &engines),
            engines,
            recorder: store.recorder(),
            store: store.reader(),
            personas,
            default_persona: config.personas.default.clone(),
            ear: ear_settings(config),
            redundancy_most: config.media.redundancy_most as u8,
            knowledge,
            web: web.map(|provider| SearchHouse { provider, results: config.search.results as usize }),
            memory: memory_house(config, &store),
            echo_canceller: config.media.echo_canceller,
            recording,
            journal: journal_house(config, &shelf)?,
            max_calls: config.calls.max as usize,
            longest_call: Duration::from_secs(u64::from(config.calls.max_minutes) * 60),
        });
        let telephones = telephones(sip, &registry).await?;
        let router = web::router(Web {
            registry: registry.clone(),
            store: store.reader(),
            doors: doors(config)?,
            bridges: bridges(config, &registry, telephones.as_ref()),
            ice_servers: ice_servers(config)?,
            page: PathBuf::from("client/dist"),
            recordings: shelf.clone(),
            export: export::house(config, shelf.clone())?,
            reviewers: reviewers(config, http)?,
            origins: config.http.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        });
        let stop = CancellationToken::new();
        let web = tokio::spawn(answer(listener, router, stop.clone()));
        let indexing = tokio::spawn(knowing::read_in(config.store.path.clone(), shelves, learner));
        let keeping = tokio::spawn(housekeeping(config, shelf, &store).run());
        let audio_socket = asterisk.as_ref().and_then(|listener| listener.local_addr().ok());
        let serve = |listener| tokio::spawn(audio_socket::serve(listener, registry.clone(), stop.clone()));
        let asterisk = asterisk.map(serve);
        Ok(Self {
            http,
            media,
            registry,
            telephones,
            audio_socket,
            store,
            stop,
            web,
            indexing,
            keeping,
            asterisk,
            tracing,
            hooks,
        })
    }

    /// Takes no more calls, and returns when those that it has are over.
    pub async fn drain(&self) {
        self.registry.take_no_more();
        if let Some(telephones) = &self.telephones {
            telephones.leave().await;
        }
        self.registry.empty().await;
    }

    /// Ends every call, writes every row, stops.
    pub async fn stop(self) {
        self.registry.shut_down().await;
        if let Some(telephones) = self.telephones {
            telephones.stop().await;
        }
        self.indexing.abort();
        self.keeping.abort();
        self.stop.cancel();
        // Listeners of ended calls close by themselves; an idle keep-alive connection is not waited for.
        if tokio::time::timeout(Duration::from_secs(2), self.web).await.is_err() {
            tracing::debug!("open web connections were cut");
        }
        if let Some(asterisk) = self.asterisk {
            let _ = asterisk.await;
        }
        if let Some(hooks) = self.hooks {
            hooks.finish().await;
        }
        let counts = self.store.close().await;
        drop(self.registry);
        if let Some(tracing) = self.tracing {
            // The last spans, where the collector takes them at once.
            let _sent = tokio::time::timeout(LAST_SPANS, tracing).await;
        }
        if counts.lost > 0 {
            tracing::warn!(lost = counts.lost, "rows that could not be kept");
        }
    }
}

/// Answers HTTP until it is stopped.
async fn answer(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    if let Err(fault) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%fault, "the web server stopped");
    }
}

/// Where the sound of browsers comes in.
fn media_port(config: &Config) -> PortConfig {
    PortConfig {
        listen: SocketAddr::new(config.http.listen.ip(), config.media.udp_port),
        public: config.media.public_addresses.clone(),
        ice_lite: config.media.ice_lite,
        loopback: true,
    }
}

/// Tells telephones that they may call, where they may.
async fn telephones(sip: Option<SipSettings>, registry: &Arc<Registry>) -> Result<Option<Switchboard>, ServeError> {
    Ok(match sip {
        Some(settings) => Some(Switchboard::start(settings, registry.clone()).await?),
        None => None,
    })
}

/// Who connects calls.
fn bridges(config: &Config, registry: &Arc<Registry>, telephones: Option<&Switchboard>) -> Bridges {
    Bridges::new(registry.clone(), telephones.map(Switchboard::dialler), Manners::from(&config.handover))
}

/// How long a server that stops waits for its collector.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// Has what is recorded become traces, where somebody collects them.
fn traced(config: &Config, store: Store) -> Result<(Store, Option<JoinHandle<()>>), ServeError> {
    let Some(endpoint) = &config.traces.endpoint else { return Ok((store, None)) };
    let (tracer, task) = Tracer::start(endpoint.as_str(), config.traces.content).map_err(ServeError::Traces)?;
    Ok((store.traced(tracer), Some(task)))
}

/// Has what happens in calls told elsewhere, where somebody wants to know.
fn told(config: &Config, store: Store) -> Result<(Store, Option<webhook::Sending>), ServeError> {
    let hook = &config.webhook;
    let (Some(url), Some(secret)) = (&hook.url, hook.secret()?) else { return Ok((store, None)) };
    let settings = webhook::Settings {
        url: url.as_str().to_owned(),
        key: webhook::Key::read(&secret).map_err(|fault| ServeError::Webhooks(fault.to_string()))?,
        events: hook.events.iter().map(|name| name.as_str()).collect(),
        patience: Duration::from_secs(u64::from(hook.patience_s)),
    };
    let (courier, sending) = Courier::start(settings, store.recorder()).map_err(ServeError::Webhooks)?;
    Ok((store.told(courier), Some(sending)))
}

/// Where the tuned judge's model is not there, the rules judge, and they are instant.
fn judged(mut conversation: ConversationSettings, engines: &Engines) -> ConversationSettings {
    conversation.judging.beside = engines.judge.is_some();
    conversation
}

/// Which doors are open beside the server's own, and for whom.
fn doors(config: &Config) -> Result<web::Doors, ServeError> {
    let doors = &config.doors;
    Ok(web::Doors {
        realtime: doors.realtime,
        whip: doors.whip,
        twilio: doors.twilio,
        key: doors.key()?,
        passes: web::Passes::default(),
        twilio_token: doors.twilio_token()?,
        twilio_url: doors.twilio_url.clone(),
    })
}

async fn asterisk(config: &Config) -> Result<Option<TcpListener>, ServeError> {
    let Some(listen) = config.doors.audio_socket else { return Ok(None) };
    TcpListener::bind(listen).await.map(Some).map_err(|why| ServeError::AudioSocket { listen, why })
}

fn ice_servers(config: &Config) -> Result<web::IceServers, ServeError> {
    let relays = &config.turn_servers;
    Ok(web::IceServers { urls: relays.urls.clone(), secret: relays.secret()?, valid_s: relays.valid_s })
}

/// Who may read everything.
fn reviewers(config: &Config, http: SocketAddr) -> Result<Reviewers, ServeError> {
    Ok(match config.review.key()? {
        Some(key) => Reviewers::Key(key),
        None if http.ip().is_loopback() => Reviewers::Anybody,
        None => Reviewers::Nobody,
    })
}

/// What calls remember of callers, where they do.
fn memory_house(config: &Config, store: &Store) -> Option<MemoryHouse> {
    let memory = &config.memory;
    memory.enabled.then(|| MemoryHouse {
        store: store.reader(),
        settings: MemorySettings {
            digest_chars: memory.digest_chars as usize,
            recalled: memory.recalled,
            asks_model: memory.extractor == Extractor::Llm,
        },
    })
}

/// Keeps the folder of recordings.
fn housekeeping(config: &Config, shelf: RecordingShelf, store: &Store) -> Housekeeping {
    let keep = config.recording.keep_days;
    Housekeeping {
        shelf,
        store: store.reader(),
        recorder: store.recorder(),
        keep: (keep > 0).then(|| Duration::from_secs(u64::from(keep) * 86_400)),
    }
}

/// Where calls are recorded, and how callers are told.
fn recording_house(config: &Config, shelf: &RecordingShelf) -> Result<Option<RecordingHouse>, ServeError> {
    let consent = match config.recording.calls {
        RecordCalls::Off => return Ok(None),
        RecordCalls::Silent => Consent::Silent,
        RecordCalls::Tone => Consent::Tone,
        RecordCalls::Announced => Consent::Announced(config.recording.announcement.clone()),
    };
    let house = RecordingHouse::open(&shelf.folder, consent).map_err(ServeError::Recording)?;
    Ok(Some(house.sealed_with(shelf.keys.new.clone())))
}

/// Where input journals are kept: beside the recordings.
fn journal_house(config: &Config, shelf: &RecordingShelf) -> Result<Option<JournalHouse>, ServeError> {
    if config.journal.calls == KeepJournals::Off || config.recording.calls == RecordCalls::Off {
        return Ok(None);
    }
    let house = JournalHouse::open(&shelf.folder, config_of(config)).map_err(ServeError::Recording)?;
    Ok(Some(house.sealed_with(shelf.keys.new.clone())))
}

async fn listen(at: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(at).await.map_err(|why| match why.kind() {
        std::io::ErrorKind::AddrInUse => ServeError::HttpInUse(at),
        _ => ServeError::Http { listen: at, why },
    })
}

/// The conversation's numbers as they are configured.
pub fn conversation_settings(config: &Config) -> ConversationSettings {
    let floor = &config.floor;
    ConversationSettings {
        floor: FloorSettings {
            resume_ms: floor.resume_ms,
            duck_ms: floor.duck_ms,
            duck_db: floor.duck_db,
            hold_ms: floor.hold_ms,
            words_ms: floor.words_ms,
            barge_in_ms: floor.barge_in_ms,
            sure_ms: floor.sure_ms,
            collide_ms: floor.collide_ms,
            reject_ms: floor.reject_ms,
            decide_ms: floor.decide_ms,
            again_ms: floor.again_ms,
            insist_ms: floor.insist_ms,
            background_db: floor.background_db,
            echo_likelihood: floor.echo_likelihood,
            others_ms: floor.others_ms,
        },
        endpoint: EndpointSettings {
            endpoint_ms: floor.endpoint_ms,
            ceiling_ms: floor.endpoint_ceiling_ms,
            wait_ms: floor.wait_ms.max(floor.endpoint_ceiling_ms),
            dictation_ms: floor.dictation_ms.max(floor.endpoint_ceiling_ms),
            unfinished_ms: floor.unfinished_ms.max(floor.endpoint_ceiling_ms),
            end_probability: floor.end_probability,
            speak_probability: floor.speak_probability.max(floor.end_probability),
            tail_ms: floor.tail_ms.min(floor.endpoint_ms),
            ask_ms: floor.ask_ms.min(floor.endpoint_ms),
            weights: EndWeights::default(),
        },
        draft: DraftSettings {
            most: floor.drafts,
            probability: floor.draft_probability,
            ahead_ms: floor.draft_ahead_ms,
            lag_ms: floor.draft_lag_ms,
        },
        pace: Pace { longest_turn_s: floor.longest_turn_s, ..Pace::default() },
        judging: Judging { beside: config.judge.kind != JudgeKind::Rules, delay_ms: config.judge.delay_ms },
        far_ear: FarEarSettings { buffer_ms: config.media.far_ear_ms },
        search: SearchSettings { provider: search::name(config.search.provider), budget_ms: config.search.budget_ms },
        follow_ups: FollowUpSettings { most: config.follow_ups.most, after_ms: config.follow_ups.after_ms },
        transition_ms: floor.transition_ms,
        answers: config.memory.enabled && config.memory.answers,
        sources: SourceSettings { chars: config.knowledge.chars as usize, wait_ms: config.knowledge.wait_ms },
    }
}

/// The ear's numbers as they are configured.
pub fn ear_settings(config: &Config) -> EarSettings {
    EarSettings {
        jitter_min_ms: config.media.jitter_min_ms,
        jitter_max_ms: config.media.jitter_max_ms,
        stretch_speech: config.media.stretch_speech,
        vad_threshold: config.floor.vad_threshold,
        onset_ms: config.floor.onset_ms,
        pre_roll_ms: config.floor.pre_roll_ms,
        part_ms: config.asr.part_ms,
        part_pause_ms: config.asr.part_pause_ms,
    }
}
