//! One TOML file, one struct. Every value has a range; a file with faults is refused with all of them named at once.
//!
//! The file `duologue.example.toml` in the repository root is written from this module: a test keeps the two equal.

mod fault;
mod knob;
#[macro_use]
mod section;
mod doors;
mod export;
mod handover;
mod journal;
mod recording;
mod review;
mod sip;
mod traces;
mod turn_servers;
mod values;
mod webhook;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

pub use doors::Doors;
pub use export::Export;
pub use fault::{ConfigFaults, Fault};
pub use handover::Handover;
pub use journal::Journal;
pub use recording::Recording;
pub use review::Review;
pub use sip::Sip;
pub use traces::Traces;
pub use turn_servers::TurnServers;
pub use values::{
    AsrBackend, EchoCancelling, EventName, Extractor, HttpUrl, HumanLeaves, JudgeKind, KeepJournals, LlmBackend,
    LlmLayout, LogFormat, ModelRef, Origin, RecordCalls, SearchKind, Secret, SecretError, SipDigest, SpokenCodec,
    TtsBackend, TurnKind,
};
pub use webhook::Webhook;

/// Where a configuration is looked for when none is named.
pub const DEFAULT_FILE: &str = "duologue.toml";

sections! {
    /// All that can be set.
    pub struct Config {
        http: Http,
        media: Media,
        sip: Sip,
        floor: Floor,
        asr: Asr,
        turn: Turn,
        judge: Judge,
        llm: Llm,
        tts: Tts,
        personas: Personas,
        calls: Calls,
        handover: Handover,
        doors: Doors,
        turn_servers: TurnServers,
        webhook: Webhook,
        store: Store,
        recording: Recording,
        journal: Journal,
        review: Review,
        export: Export,
        memory: Memory,
        knowledge: Knowledge,
        search: Search,
        follow_ups: FollowUps,
        models: Models,
        log: Log,
        traces: Traces,
    }
}

section! {
    /// The web server: the call page, the API and the events.
    pub struct Http in "http" {
        /// Address and port. 127.0.0.1 is this machine only; browsers give the microphone to pages from
        /// localhost or over HTTPS, so a server for others stands behind a TLS proxy.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), (), "";
        /// Other sites whose pages may call this server, as in "https://app.example.org"; "*" is any site.
        /// The server's own page needs no entry.
        cors_origins: Vec<Origin> = Vec::new(), ListOf { most: 64, each: () }, "";
    }
}

section! {
    /// The media port and the jitter buffer.
    pub struct Media in "media" {
        /// One UDP port carries all calls, so that one hole in a firewall is enough. 0 is any free port.
        udp_port: u16 = 40_000, 0..=65_535, "";
        /// Addresses under which callers reach this machine, where they differ from its own (NAT, cloud).
        public_addresses: Vec<IpAddr> = Vec::new(), ListOf { most: 16, each: () }, "";
        /// The server has a public address and need not look for one: only for machines without NAT.
        ice_lite: bool = false, (), "";
        /// The least that the jitter buffer holds back. Less is quicker, more survives an unsteady network.
        jitter_min_ms: u32 = 20, 0..=200, "ms";
        /// The most that it may grow to before late packets are given up.
        jitter_max_ms: u32 = 240, 40..=1_000, "ms";
        /// What a caller's own jitter buffer and sound card hold back, until the client reports what it plays. It decides
        /// which words count as heard when the caller cuts in or hangs up.
        far_ear_ms: u32 = 100, 0..=1_000, "ms";
        /// How many earlier packets may go along with each while the caller's line loses them. Each costs the
        /// voice's bitrate once more (24 kb/s); 0 leaves it to Opus's own redundancy, which restores less.
        redundancy_most: u16 = 4, 0..=4, "packets";
        /// Shorten and lengthen speech by whole periods of the voice, so that the delay follows the network at once. false:
        /// speech is left as it came, and the delay changes only where nobody speaks.
        stretch_speech: bool = true, (), "";
        /// Takes the agent's own voice out of what comes back, and tells what is left of it from a caller
        /// (floor.echo_likelihood). "auto" does both where the client says that nobody else does, as `duologue call --echo`
        /// does and a browser whose own canceller is off; "off" does neither. Some 0.1 ms of CPU per call and 20 ms.
        echo_canceller: EchoCancelling = EchoCancelling::Auto, (), "";
    }
}

section! {
    /// Taking turns: when the caller has finished and when the caller interrupts.
    pub struct Floor in "floor" {
        /// How sure the voice detector must be that a frame is speech. Higher ignores more noise and more whispering.
        vad_threshold: f32 = 0.5, 0.1..=0.95, "";
        /// Speech needed before the caller holds the floor: shorter is a click or a breath.
        onset_ms: u32 = 90, 20..=500, "ms";
        /// Audio kept from before the onset, so that no first consonant is lost.
        pre_roll_ms: u32 = 300, 100..=1_000, "ms";
        /// The least silence that ends a turn. Less answers sooner and cuts off more thinkers.
        endpoint_ms: u32 = 240, 80..=2_000, "ms";
        /// Silence that ends a turn whatever anybody thinks. Not below endpoint_ms.
        endpoint_ceiling_ms: u32 = 1_500, 200..=5_000, "ms";
        /// The same after "hold on" or "let me think". At least endpoint_ceiling_ms counts.
        wait_ms: u32 = 2_000, 200..=10_000, "ms";
        /// The same while a number, a code or a date is being dictated. At least endpoint_ceiling_ms counts.
        dictation_ms: u32 = 1_800, 200..=10_000, "ms";
        /// The same where the words break off in the middle of a clause. At least endpoint_ceiling_ms counts.
        unfinished_ms: u32 = 2_000, 200..=10_000, "ms";
        /// A turn is over when silence, voice and words make it this likely. Higher waits longer.
        end_probability: f32 = 0.7, 0.5..=0.99, "";
        /// The reply to it is heard when they make it this likely. Meanwhile it is made ready, and a caller who goes on has
        /// heard nothing of it. At least end_probability counts.
        speak_probability: f32 = 0.985, 0.5..=0.999, "";
        /// Silence after which the words of the turn are recognised, ahead of the decision. At most endpoint_ms counts.
        tail_ms: u32 = 100, 60..=1_000, "ms";
        /// Silence after which the turn model is asked, ahead of the decision. At most endpoint_ms counts.
        ask_ms: u32 = 140, 60..=1_000, "ms";
        /// Replies that are drafted for one turn while it is only probably over; 0 begins none before the end. A draft that
        /// turns out right is an answer without a wait; one that does not is thrown away unheard.
        drafts: u32 = 3, 0..=8, "drafts";
        /// A turn this likely to be over is drafted for. Lower is earlier and wastes more.
        draft_probability: f32 = 0.4, 0.05..=0.99, "";
        /// So is one that will be over within so long if the caller stays silent: about what a reply takes.
        draft_ahead_ms: u32 = 500, 0..=2_000, "ms";
        /// Words from before the last so much of a turn are good enough to draft from.
        draft_lag_ms: u32 = 160, 0..=1_000, "ms";
        /// A caller who talks for longer than this in one turn is cut in on, politely.
        longest_turn_s: u32 = 120, 10..=3_600, "s";
        /// The agent keeps a floor that it took in this way for so long over the caller.
        insist_ms: u32 = 700, 100..=5_000, "ms";
        /// Caller speech that takes back a reply of which nothing was heard yet.
        resume_ms: u32 = 120, 20..=1_000, "ms";
        /// So much of a sound over the agent, and it is softer.
        duck_ms: u32 = 40, 20..=1_000, "ms";
        /// How much softer the agent is from the moment a sound is heard over it, until it is clear what the sound is.
        duck_db: f32 = -18.0, -60.0..=0.0, "dB";
        /// So much of that sound, and the agent is silent until it is clear. Less stops sooner for real interruptions and
        /// leaves more holes for coughs and "mm-hm".
        hold_ms: u32 = 100, 60..=1_000, "ms";
        /// So much of it, and the recogniser is asked for its words.
        words_ms: u32 = 160, 60..=1_000, "ms";
        /// So much of it stops the agent when it must be decided and no words are known. Not below onset_ms.
        barge_in_ms: u32 = 300, 60..=2_000, "ms";
        /// Words of so much of it are believed while it goes on; of less, when it is over.
        sure_ms: u32 = 400, 60..=2_000, "ms";
        /// A sound that begins so soon after the agent has is the caller going on with his turn: the agent is silent at once.
        collide_ms: u32 = 300, 0..=1_000, "ms";
        /// Quiet after a sound that was no turn, and the agent goes on.
        reject_ms: u32 = 200, 60..=2_000, "ms";
        /// The longest doubt: then it is decided by what is known.
        decide_ms: u32 = 700, 200..=2_000, "ms";
        /// A sound that goes on after it was found not to be meant is doubted again after so much more of it.
        again_ms: u32 = 400, 100..=5_000, "ms";
        /// A voice so far below the caller's usual level is somebody in the background.
        background_db: f32 = 8.0, 3.0..=40.0, "dB";
        /// A sound this likely to be the agent's own voice is not the caller's.
        echo_likelihood: f32 = 0.6, 0.05..=1.0, "";
        /// Who has stopped the agent and hears nothing of its answer for so long after the end of the turn hears a phrase first
        /// ("Right."), never twice in a row. 0: never.
        transition_ms: u32 = 900, 0..=5_000, "ms";
        /// Of a sound over the agent, so much that was clearly not the agent's voice makes it the caller's, whatever follows: in the
        /// pauses of somebody who talks over the agent nothing but an echo is heard.
        others_ms: u32 = 140, 20..=1_000, "ms";
    }
}

section! {
    /// Speech to text. A model is an id from `duologue models list`, a path or a URL.
    pub struct Asr in "asr" {
        /// Who recognises; "scripted" plays a text and needs no model.
        backend: AsrBackend = AsrBackend::Whisper, (), "";
        /// The model for words while the caller still speaks: quick, and corrected later.
        partial_model: ModelRef = ModelRef::Id("whisper-tiny.en".into()), (), "";
        /// The model for the final transcript. "auto" is whisper-base from 4 cores on, whisper-tiny.en below.
        final_model: ModelRef = ModelRef::Auto, (), "";
        /// Threads of one recognition; 0 chooses by the machine.
        threads: u16 = 0, 0..=64, "threads";
        /// A turn that goes on after a pause is heard in parts once it is so long: then the words after the pause are all that
        /// is left to recognise at its end. Less answers sooner after long turns and errs more; 30000 never cuts at a pause.
        part_ms: u32 = 3_000, 1_000..=30_000, "ms";
        /// The shortest pause to part a turn at.
        part_pause_ms: u32 = 140, 60..=2_000, "ms";
    }
}

section! {
    /// Hearing whether a turn is complete.
    pub struct Turn in "turn" {
        /// "none" goes by silence alone, which answers later or interrupts more.
        model: TurnKind = TurnKind::SmartTurn, (), "";
    }
}

section! {
    /// Choosing what to do with a turn: answer, stay silent, ...
    pub struct Judge in "judge" {
        /// "tuned" is the trained judge, which also refuses, deflects, keeps silent and cuts in, as the persona leans (without
        /// its model the rules judge); "rules" answers honestly and waits when asked to; "llm" asks the language model, which
        /// takes longer.
        kind: JudgeKind = JudgeKind::Tuned, (), "";
        /// The folder of a head of your own, as `duologue judge train --head FOLDER` writes it, instead of the shipped one.
        head: Option<PathBuf> = None, Optional { each: (), example: "\"my-judge\"" }, "";
        /// A judge that takes longer is not waited for: the rules decide.
        limit_ms: u32 = 400, 20..=10_000, "ms";
        /// An answer that is put off comes after so much quiet.
        delay_ms: u32 = 4_000, 500..=30_000, "ms";
    }
}

section! {
    /// The language model that writes the replies.
    pub struct Llm in "llm" {
        /// "embedded" needs no server and no key; "ollama" and "openai" (anything that speaks that API: vLLM,
        /// llama-server, a cloud) are clients; "scripted" plays a text.
        backend: LlmBackend = LlmBackend::Embedded, (), "";
        /// embedded: an id from `duologue models list`, a path or a URL of a GGUF file. ollama, openai: the server's
        /// name for it. scripted: the path of a script, as personas/demo-script.yaml, which is used unless set.
        model: ModelRef = ModelRef::Id("qwen2.5-0.5b".into()), (), "";
        /// embedded: "chat" is message by message, as the model's template has it; "transcript" is one telephone call
        /// that the model writes down, which keeps small models in character; "auto" is what suits the model.
        layout: LlmLayout = LlmLayout::Auto, (), "";
        /// Where the server is. ollama: http://127.0.0.1:11434 unless set. openai: needed, with its /v1.
        url: Option<HttpUrl> = None, Optional { each: (), example: "\"http://127.0.0.1:11434\"" }, "";
        /// The environment variable that holds the API key.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"OPENAI_API_KEY\"" }, "";
        /// The file that holds the API key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/llm-key\"" }, "";
        /// No first word within this long: the agent apologises instead of leaving the caller in silence.
        first_token_timeout_ms: u32 = 8_000, 500..=60_000, "ms";
        /// A reply that stops for this long is given up; what was said stands.
        stall_timeout_ms: u32 = 4_000, 500..=60_000, "ms";
    }
}

section! {
    /// Text to speech.
    pub struct Tts in "tts" {
        /// Who speaks; "scripted" is a tone per word and needs no model.
        backend: TtsBackend = TtsBackend::Piper, (), "";
        /// The voice, where the persona names none: an id from `duologue models list`, a path or a URL.
        voice: ModelRef = ModelRef::Id("piper-joe".into()), (), "";
        /// Threads of one synthesis; 0 chooses by the machine.
        threads: u16 = 0, 0..=64, "threads";
    }
}

section! {
    /// Who the agent is: Markdown files with a YAML head.
    pub struct Personas in "personas" {
        /// The folder with one file per persona.
        dir: PathBuf = PathBuf::from("personas"), (), "";
        /// Who answers where the caller asks for nobody: the file's name without ".md".
        default: String = "porter".into(), Text { most: 64 }, "";
    }
}

section! {
    /// How many calls, and how long.
    pub struct Calls in "calls" {
        /// Calls at once; the next one is told to come back later instead of slowing the others.
        max: u32 = 16, 1..=10_000, "calls";
        /// The longest call.
        max_minutes: u32 = 60, 1..=1_440, "minutes";
        /// How long calls may go on when the server is to stop (SIGTERM, Ctrl-C). Meanwhile no more are taken: `/readyz` and OPTIONS
        /// answer 503, so that others send calls elsewhere. A second signal ends them at once; so does 0.
        drain_s: u32 = 0, 0..=86_400, "s";
        /// Threads that infer at once, over all models and all calls; what is waited for longest goes first. 0 is the
        /// machine's cores.
        inference_threads: u16 = 0, 0..=256, "threads";
    }
}

section! {
    /// The SQLite file with every call in it; docs/SQL.md says what is where.
    pub struct Store in "store" {
        /// The file. Its folder must be writable: SQLite keeps two more files beside it.
        path: PathBuf = PathBuf::from("duologue.db"), (), "";
    }
}

section! {
    /// What is remembered of callers who give a name, across calls; `duologue caller` shows and erases it.
    pub struct Memory in "memory" {
        /// false: nothing is learned and nothing recollected; what is there stays.
        enabled: bool = true, (), "";
        /// What is known of a caller may take so much of the prompt. More knows more, and is read more slowly at the
        /// beginning of a call.
        digest_chars: u32 = 600, 100..=4_000, "characters";
        /// "rules" finds what is said plainly, in English; "llm" asks the language model as well, after the turn and while nobody
        /// waits for it. What it finds counts only in the caller's own words.
        extractor: Extractor = Extractor::Rules, (), "";
        /// A question that a remembered fact answers by itself ("What did I do yesterday?"), or one that the caller has told in this
        /// call, is answered with it, in English, without the language model; the turn's reason in SQL is "remembered".
        answers: bool = true, (), "";
        /// Facts and earlier words that are recalled for one turn, beside what is known from the beginning.
        recalled: u32 = 3, 0..=16, "lines";
    }
}

section! {
    /// What personas know from files (`knowledge:` in their heads); `duologue knowledge` reads them in and shows them.
    pub struct Knowledge in "knowledge" {
        /// Passages that are quoted to the model for one turn; 0 quotes none.
        passages: u32 = 3, 0..=8, "passages";
        /// What is quoted may take so much of the prompt. More knows more, and is read more slowly before the answer.
        chars: u32 = 500, 100..=4_000, "characters";
        /// A reply waits so long for what is looked up (a few milliseconds as a rule), then goes without.
        wait_ms: u32 = 200, 0..=1_000, "ms";
    }
}

section! {
    /// Asking the web, for personas that may (`search: true` in their heads) and words that want it ("look up", today's weather). The
    /// agent says "Let me look." meanwhile. What was searched for goes to the provider.
    pub struct Search in "search" {
        /// "searxng" is an instance of your own (url), "serper" needs a key; "none" asks nobody.
        provider: SearchKind = SearchKind::None, (), "";
        /// The provider's address. Unless set: http://127.0.0.1:8888 for searxng, https://google.serper.dev for serper.
        url: Option<HttpUrl> = None, Optional { each: (), example: "\"http://127.0.0.1:8888\"" }, "";
        /// The environment variable that holds the key; the key itself never stands here.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"SERPER_API_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/serper-key\"" }, "";
        /// The answer waits so long for the search, then goes on without.
        budget_ms: u32 = 1_500, 200..=10_000, "ms";
        /// Pages that are quoted to the model, as far as knowledge.chars allows.
        results: u32 = 4, 1..=10, "pages";
    }
}

section! {
    /// Questions that the caller could ask next, proposed after an answer for a screen to show. The language model thinks of
    /// them while nobody speaks.
    pub struct FollowUps in "follow_ups" {
        /// Questions after one answer, for clients that say that they show some, as the call page does; 0 proposes none to anybody.
        most: u32 = 3, 0..=5, "questions";
        /// They are thought of when nobody has spoken for so long.
        after_ms: u32 = 600, 0..=10_000, "ms";
    }
}

section! {
    /// Where model files are kept.
    pub struct Models in "models" {
        /// The folder; unless set, $DUOLOGUE_MODELS, else $XDG_DATA_HOME/duologue/models, else
        /// ~/.local/share/duologue/models.
        dir: Option<PathBuf> = None, Optional { each: (), example: "\"/var/lib/duologue/models\"" }, "";
    }
}

section! {
    /// What the server says about itself on its standard error.
    pub struct Log in "log" {
        /// "text" for people, "json" for log collectors.
        format: LogFormat = LogFormat::Text, (), "";
        /// What is logged, in the syntax of RUST_LOG, which wins over this where it is set.
        filter: String = "info".into(), Text { most: 1_000 }, "";
    }
}

impl Config {
    /// Reads `path`, or `./duologue.toml` where none is named and it exists, or takes the defaults.
    ///
    /// # Errors
    /// Every fault of the file at once: each names the key, its value and what is allowed.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigFaults> {
        let path = match path {
            Some(path) => path,
            None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path).map_err(|error| ConfigFaults::unreadable(path, &error))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a configuration from `text`; `origin` is what faults call it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigFaults> {
        let mut reader = section::Reader::new(text);
        let config = Self::read(&mut reader);
        if reader.faults.is_empty() {
            config.cross_check(&mut reader.faults);
        }
        reader.faults.sort_by_key(|fault| fault.line);
        if reader.faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigFaults { origin: origin.into(), faults: reader.faults })
        }
    }

    /// What no single value shows: pairs that must agree.
    fn cross_check(&self, faults: &mut Vec<Fault>) {
        let (floor, media, llm) = (&self.floor, &self.media, &self.llm);
        let mut refuse = |path: &str, value: String, allowed: String| {
            faults.push(Fault { path: path.into(), line: None, value, allowed });
        };
        if floor.endpoint_ceiling_ms < floor.endpoint_ms {
            let least = format!("at least floor.endpoint_ms, {} ms", floor.endpoint_ms);
            refuse("floor.endpoint_ceiling_ms", floor.endpoint_ceiling_ms.to_string(), least);
        }
        if floor.barge_in_ms < floor.onset_ms {
            let least = format!("at least floor.onset_ms, {} ms", floor.onset_ms);
            refuse("floor.barge_in_ms", floor.barge_in_ms.to_string(), least);
        }
        if media.jitter_max_ms <= media.jitter_min_ms {
            let least = format!("more than media.jitter_min_ms, {} ms", media.jitter_min_ms);
            refuse("media.jitter_max_ms", media.jitter_max_ms.to_string(), least);
        }
        let (search, doors, hook) = (&self.search, &self.doors, &self.webhook);
        for (name, env, file) in [
            ("llm.key", &llm.key_env, &llm.key_file),
            ("search.key", &search.key_env, &search.key_file),
            ("doors.key", &doors.key_env, &doors.key_file),
            ("doors.twilio_token", &doors.twilio_token_env, &doors.twilio_token_file),
            ("webhook.secret", &hook.secret_env, &hook.secret_file),
        ] {
            if let (Some(_), Some(file)) = (env, file) {
                let value = format!("{:?}", file.display().to_string());
                refuse(&format!("{name}_file"), value, format!("only one of {name}_env and {name}_file"));
            }
        }
        if hook.url.is_some() && hook.secret_env.is_none() && hook.secret_file.is_none() {
            let needed = "needed with webhook.url, as in \"DUOLOGUE_WEBHOOK_SECRET\"";
            refuse("webhook.secret_env", "(not set)".into(), needed.into());
        }
        if search.provider == SearchKind::Serper && search.key_env.is_none() && search.key_file.is_none() {
            let needed = "needed with search.provider = \"serper\", as in \"SERPER_API_KEY\"";
            refuse("search.key_env", "(not set)".into(), needed.into());
        }
        if llm.backend == LlmBackend::Openai && llm.url.is_none() {
            refuse(
                "llm.url",
                "(not set)".into(),
                "needed with llm.backend = \"openai\", as in \"http://127.0.0.1:8000/v1\"".into(),
            );
        }
        if matches!(llm.model, ModelRef::Auto) {
            refuse("llm.model", "\"auto\"".into(), "the name of a model".into());
        }
        if matches!(self.tts.voice, ModelRef::Auto) {
            refuse("tts.voice", "\"auto\"".into(), "the name of a voice".into());
        }
    }

    /// It as a file, whole.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// The example file: every key with its default, its unit, its range and the reason for it.
    pub fn example() -> String {
        let head = "# duologue.toml: the settings of a duologue server. Copy this file to duologue.toml and keep the lines that\n\
                    # you change: what is left out has the value shown here. `duologue check` names every fault at once.\n\
                    # Relative paths start from the folder that the server is started in.\n";
        let mut out = head.to_owned();
        Self::default().write(&mut out);
        out
    }
}

impl Llm {
    /// The server's address: as set, or Ollama's own port. `None` with the embedded and the scripted back end.
    pub fn server_url(&self) -> Option<String> {
        match (self.backend, &self.url) {
            (LlmBackend::Embedded | LlmBackend::Scripted, _) => None,
            (_, Some(url)) => Some(url.as_str().to_owned()),
            (_, None) => Some("http://127.0.0.1:11434".to_owned()),
        }
    }

    /// The API key, from the environment or the file that the configuration names; `None` where it names neither.
    ///
    /// # Errors
    /// When the variable or the file is not there, is empty or is unreadable; the text names which.
    pub fn key(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.key_env, &self.key_file) {
            (Some(name), _) => Secret::from_env("llm.key_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("llm.key_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Search {
    /// The key, from the environment or the file that the configuration names; `None` where it names neither.
    ///
    /// # Errors
    /// As [`Llm::key`].
    pub fn key(&self) -> Result<Option<Secret>, SecretError> {
        match (&self.key_env, &self.key_file) {
            (Some(name), _) => Secret::from_env("search.key_env", name).map(Some),
            (None, Some(file)) => Secret::from_file("search.key_file", file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Models {
    /// The folder that model files are kept in.
    pub fn folder(&self) -> PathBuf {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        self.dir.clone().or_else(|| from("DUOLOGUE_MODELS")).unwrap_or_else(|| {
            let data = from("XDG_DATA_HOME")
                .or_else(|| from("HOME").map(|home| home.join(".local/share")))
                .unwrap_or_else(|| PathBuf::from("."));
            data.join("duologue/models")
        })
    }
}

#[cfg(test)]
mod tests;
