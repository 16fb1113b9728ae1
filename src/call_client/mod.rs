//! Ring 3: `duologue call`, a real caller: plays WAVs into a call, records both sides, tells how long it waited.
//!
//! [`ear`], [`feedback`] and [`conductor`] are pure; [`tape`] keeps the recording; [`conversation`] is the call itself, over any
//! [`crate::peer::Port`], in memory too; [`dial`] is the HTTP in front of it.

pub mod conductor;
pub mod conversation;
pub mod dial;
pub mod ear;
pub mod feedback;
pub mod tape;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::audio::LINE_RATE;
use crate::audio::resample::Resampler;
use crate::audio::wav;
use crate::media::network::Impairment;
use crate::peer::client::Caller;
use crate::peer::relay::{Relay, RelayConfig, RelayCounts};
use crate::peer::{OfferRefused, Peer, Port, PortConfig, PortError};
use conductor::Pace;
use conversation::{ConversationFault, Handset, Outcome, Utterance};
use dial::{DialFault, Dialled, dial};
use duologue_signaling::detour;
use ear::{Label, Response, Stretch, Summary};
use feedback::Feedback;

/// `duologue call`.
#[derive(Clone, Debug, clap::Args)]
pub struct CallArguments {
    /// WAV files, any rate: one turn each, in this order
    #[arg(required = true, value_name = "WAV")]
    pub wavs: Vec<PathBuf>,
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Who answers; the server's default otherwise
    #[arg(long)]
    pub persona: Option<String>,
    /// Who calls: a stable name, on which the server's memory hangs
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
    /// Record both sides here: caller left, agent right
    #[arg(long, value_name = "WAV")]
    pub out: Option<PathBuf>,
    /// Print JSON lines instead of words
    #[arg(long)]
    pub json: bool,
    /// Where the speech lies, as JSON: {"a.wav": [{"start_s": 0.4, "end_s": 2.1}]}; otherwise found by its level
    #[arg(long, value_name = "JSON")]
    pub labels: Option<PathBuf>,
    /// Level above which a WAV counts as speech
    #[arg(long, value_name = "DBFS", default_value_t = ear::SPEECH_DBFS, allow_negative_numbers = true)]
    pub speech_dbfs: f32,
    /// The next turn begins when the agent has answered and been silent for so long
    #[arg(long, value_name = "MS", default_value_t = 1600)]
    pub turn_gap_ms: u64,
    /// Let the agent greet before the first turn
    #[arg(long)]
    pub wait_for_agent: bool,
    /// Do not wait longer than this for an agent that says nothing
    #[arg(long, value_name = "S", default_value_t = 15.0)]
    pub patience_s: f64,
    /// Hang up after so many seconds, whatever is going on
    #[arg(long, value_name = "S")]
    pub hangup_after: Option<f64>,
    /// Play the agent with a fixed delay instead of as it arrives
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub playout_delay_ms: u64,
    /// Put a bad network between this caller and the server, both ways: loss=0.1,burst=3,jitter=0..60 and so on, as
    /// the options of `duologue relay`
    #[arg(long, value_name = "SPEC")]
    pub impair: Option<Impairment>,
    /// The seed of its trace
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub impair_seed: u64,
    /// Be a telephone without an echo canceller: send what is heard back, so many dB weaker and so many ms later, as in
    /// 10,120, and tell the server that nothing here cancels it
    #[arg(long, value_name = "DB,DELAY_MS", allow_hyphen_values = true)]
    pub echo: Option<Feedback>,
}

/// Why a call could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    #[error("cannot read {path}: {why}")]
    Wav { path: PathBuf, why: String },
    #[error("no speech in {path}: nothing in it is above {above_dbfs} dBFS; set --speech-dbfs or give --labels")]
    NoSpeech { path: PathBuf, above_dbfs: f32 },
    #[error("cannot read the labels in {path}: {why}")]
    Labels { path: PathBuf, why: String },
    #[error("{option} is {value}: it must be a number of seconds, not negative")]
    Seconds { option: &'static str, value: f64 },
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Offer(#[from] OfferRefused),
    #[error(transparent)]
    Dial(#[from] DialFault),
    #[error(transparent)]
    Conversation(#[from] ConversationFault),
    #[error("cannot put a bad network between: {0}")]
    Impair(String),
    #[error("cannot write {path}: {why}")]
    Record { path: PathBuf, why: String },
}

/// Makes the call and prints what happened.
///
/// # Errors
/// When it cannot be made or recorded.
pub async fn run(args: CallArguments) -> Result<(Vec<Response>, Summary), CallFault> {
    let utterances = utterances(&args)?;
    let pace = pace(&args)?;
    let port = Port::bind(PortConfig::local(SocketAddr::from(([0, 0, 0, 0], 0)))).await?;
    let caller = Caller::new(&port).await?;
    let offer = match args.impair {
        // The server must have no way around the relay.
        Some(_) => detour::without_candidates(caller.offer()),
        None => caller.offer().to_owned(),
    };
    let dialled =
        dial(&args.url, [("persona", args.persona.as_deref()), ("caller", args.caller.as_deref())], &offer).await?;
    let (mut peer, relay) = match connect(&args, caller, &dialled.answer).await {
        Ok(connected) => connected,
        Err(fault) => {
            dialled.hang_up().await;
            return Err(fault);
        }
    };
    let set = Handset { playout_delay: Duration::from_millis(args.playout_delay_ms), echo: args.echo };
    let told = |at: Duration, text: &str| print_event(args.json, at, text);
    let outcome = conversation::converse(&mut peer, &utterances, pace, set, told).await;
    dialled.hang_up().await;
    peer.close().await;
    let relayed = match relay {
        Some(relay) => Some(relay.stop().await),
        None => None,
    };
    let outcome = outcome?;
    if let Some(path) = &args.out {
        record(path, &outcome)?;
    }
    let responses = ear::responses(&outcome.turns, outcome.agent.sound());
    let summary = ear::summary(&responses);
    let setup = Setup::of(&dialled, &outcome);
    print_outcome(args.json, &outcome, setup, &responses, &summary);
    if let Some(counts) = relayed {
        print_relayed(args.json, &counts);
    }
    Ok((responses, summary))
}

/// How long it took to be connected, from the offer's being sent on, in milliseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Setup {
    /// The answer was there.
    answered_ms: f64,
    /// ICE and DTLS were up.
    connected_ms: f64,
    /// The first packet of the agent's sound had come.
    first_packet_ms: Option<f64>,
}

impl Setup {
    fn of(dialled: &Dialled, outcome: &Outcome) -> Self {
        let ms = |at: Instant| at.duration_since(dialled.asked).as_secs_f64() * 1_000.0;
        let first_packet_ms = outcome.first_packet.map(ms);
        Self { answered_ms: ms(dialled.answered), connected_ms: ms(outcome.connected), first_packet_ms }
    }
}

/// Takes the answer and connects, by way of a relay where a bad network is asked for.
async fn connect(args: &CallArguments, caller: Caller, answer: &str) -> Result<(Peer, Option<Relay>), CallFault> {
    let Some(impairment) = args.impair else { return Ok((caller.answered(answer).await?, None)) };
    let candidates = detour::candidates(answer);
    // A server on this machine is reached over loopback; any other by its first address.
    let nearest = candidates.iter().find(|to| to.ip().is_loopback() && to.is_ipv4()).or(candidates.first());
    let to = *nearest.ok_or_else(|| CallFault::Impair("the answer has no address for UDP".to_owned()))?;
    let config = RelayConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        to,
        there: impairment,
        back: impairment,
        seed: args.impair_seed,
        spare_setup: false,
    };
    let relay = Relay::start(config).await.map_err(|why| CallFault::Impair(why.to_string()))?;
    let peer = caller.answered(&detour::through(answer, relay.local_addr())).await?;
    Ok((peer, Some(relay)))
}

fn pace(args: &CallArguments) -> Result<Pace, CallFault> {
    let seconds = |option: &'static str, value: f64| {
        Duration::try_from_secs_f64(value).map_err(|_| CallFault::Seconds { option, value })
    };
    Ok(Pace {
        turn_gap: Duration::from_millis(args.turn_gap_ms),
        wait_for_agent: args.wait_for_agent,
        patience: seconds("--patience-s", args.patience_s)?,
        hang_up_after: args.hangup_after.map(|value| seconds("--hangup-after", value)).transpose()?,
    })
}

fn utterances(args: &CallArguments) -> Result<Vec<Utterance>, CallFault> {
    let labels = args.labels.as_deref().map(labels).transpose()?.unwrap_or_default();
    args.wavs.iter().map(|path| utterance(path, &labels, args.speech_dbfs)).collect()
}

fn labels(path: &Path) -> Result<BTreeMap<String, Vec<Label>>, CallFault> {
    let fault = |why: String| CallFault::Labels { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|why| fault(why.to_string()))?;
    serde_json::from_str(&text).map_err(|why| fault(why.to_string()))
}

fn utterance(path: &Path, labels: &BTreeMap<String, Vec<Label>>, above_dbfs: f32) -> Result<Utterance, CallFault> {
    let fault = |why: String| CallFault::Wav { path: path.to_owned(), why };
    let file = File::open(path).map_err(|why| fault(why.to_string()))?;
    let read = wav::read(BufReader::new(file)).map_err(|why| fault(why.to_string()))?;
    let mut resampler = Resampler::new(read.rate_hz, LINE_RATE).map_err(|why| fault(why.to_string()))?;
    let mut sound = Vec::new();
    resampler.push(&read.into_mono(), &mut sound);
    resampler.flush(&mut sound);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let speech = match labels.get(&name) {
        Some(labels) => labels.iter().copied().map(Stretch::from).collect(),
        None => ear::stretches(&sound, above_dbfs, ear::TURN_PAUSE),
    };
    if speech.is_empty() {
        return Err(CallFault::NoSpeech { path: path.to_owned(), above_dbfs });
    }
    Ok(Utterance { sound, speech })
}

fn record(path: &Path, outcome: &Outcome) -> Result<(), CallFault> {
    let fault = |why: String| CallFault::Record { path: path.to_owned(), why };
    let file = File::create(path).map_err(|why| fault(why.to_string()))?;
    wav::write_stereo(BufWriter::new(file), LINE_RATE, outcome.caller.sound(), outcome.agent.sound())
        .map_err(|why| fault(why.to_string()))
}

fn print_event(as_json: bool, at: Duration, text: &str) {
    if as_json {
        let event = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        println!("{}", json!({ "at_ms": at.as_millis() as u64, "event": event }));
    } else {
        println!("{:8.3}  {text}", at.as_secs_f64());
    }
}

fn print_outcome(as_json: bool, outcome: &Outcome, setup: Setup, responses: &[Response], summary: &Summary) {
    let received = outcome.received;
    let latest_ms = outcome.latest_send.as_millis() as u64;
    let gone = outcome.gone.as_ref().map(ToString::to_string);
    if as_json {
        for response in responses {
            println!("{}", json!({ "response": response }));
        }
        println!(
            "{}",
            json!({
                "summary": summary, "received": received, "sent": outcome.packets_sent, "latest_send_ms": latest_ms,
                "setup": setup, "gone": gone,
            })
        );
        return;
    }
    println!("\nturn  speech end  first sound   response");
    for response in responses {
        let end = response.speech_end_ms as f64 / 1000.0;
        match (response.first_sound_ms, response.response_ms) {
            (Some(first), Some(time)) => {
                println!("{:4}  {end:8.2} s  {:9.2} s  {time:+6} ms", response.turn, first as f64 / 1000.0);
            }
            _ => println!("{:4}  {end:8.2} s          -      no answer", response.turn),
        }
    }
    let figure = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    println!(
        "response at the ear: p50 {}, p95 {}, worst {} over {} of {} turns; {} cut in",
        figure(summary.p50_ms),
        figure(summary.p95_ms),
        figure(summary.worst_ms),
        summary.answered,
        summary.turns,
        summary.cut_ins,
    );
    println!(
        "answered after {:.0} ms, connected after {:.0} ms, first packet after {}; {} packets sent, the latest {latest_ms} ms late; \
         {} received, {} restored, {} lost, {} late{}",
        setup.answered_ms,
        setup.connected_ms,
        setup.first_packet_ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms:.0} ms")),
        outcome.packets_sent,
        received.packets,
        received.recovered,
        received.lost,
        received.late,
        gone.map(|why| format!("; {why}")).unwrap_or_default(),
    );
}

fn print_relayed(as_json: bool, counts: &RelayCounts) {
    if as_json {
        println!("{}", json!({ "relay": counts }));
        return;
    }
    for (way, path) in [("to the server", counts.rtp_there), ("from the server", counts.rtp_back)] {
        let lost = path.lost + path.overflowed;
        println!("relay, {way}: {} packets of audio, {lost} of them lost, {} doubled", path.offered, path.duplicated);
    }
}
