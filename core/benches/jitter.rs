//! The receiver over seeded traces: what is concealed, what it costs in delay and in CPU. `make bench-jitter` runs it and
//! scores the sound; the programs alone:
//!
//!   cargo bench --profile release -p duologue-core --bench jitter -- quality OUT SECONDS WAV...
//!   cargo bench --profile release -p duologue-core --bench jitter -- cost WAV...
//!
//! `quality` writes one WAV for each network (16 kHz, what was heard), the speech that went in, and a line of JSON for each
//! network on standard output. The networks are those of libwebrtc's measured figures in docs/BENCHMARKS.md.

#[path = "../tests/trace/mod.rs"]
mod trace;

use std::path::{Path, PathBuf};
use std::time::Instant;

use duologue_core::audio::HEAR_RATE;
use duologue_core::audio::vad::EnergyVad;
use duologue_core::audio::wav;
use duologue_core::media::ear::{Ear, EarSettings};
use duologue_core::time::CallTime;
use trace::{Speaker, Timed, Weather, travel};

const SEED: u64 = 20_260_105;

/// A network and the redundancy that a sender who hears of its loss would send.
const NETWORKS: [(&str, Weather, u8); 17] = [
    ("none", weather(0.0, 0.0, 0.0), 0),
    ("5 % loss", weather(0.05, 0.0, 0.0), 5),
    ("10 % loss", weather(0.1, 0.0, 0.0), 10),
    ("20 % loss", weather(0.2, 0.0, 0.0), 20),
    ("30 % loss", weather(0.3, 0.0, 0.0), 30),
    ("10 % loss, no FEC", weather(0.1, 0.0, 0.0), 0),
    ("20 % loss, no FEC", weather(0.2, 0.0, 0.0), 0),
    ("5 % loss in bursts", weather(0.05, 3.0, 0.0), 5),
    ("10 % loss in bursts", weather(0.1, 3.0, 0.0), 10),
    ("20 % loss in bursts", weather(0.2, 3.0, 0.0), 20),
    ("30 % loss in bursts", weather(0.3, 3.0, 0.0), 30),
    ("jitter 0 to 60 ms", weather(0.0, 0.0, 60.0), 0),
    ("jitter 0 to 120 ms", weather(0.0, 0.0, 120.0), 0),
    ("10 % loss, jitter 0 to 60 ms", weather(0.1, 0.0, 60.0), 10),
    ("20 % loss, jitter 0 to 60 ms", weather(0.2, 0.0, 60.0), 20),
    ("20 % loss, jitter 0 to 120 ms", weather(0.2, 0.0, 120.0), 20),
    (CHANGING, weather(0.0, 0.0, 120.0), 0),
];
/// In this one the weather comes and goes.
const CHANGING: &str = "jitter 0 to 120 ms in 8 s of every 40 s";

const fn weather(loss: f64, burst: f64, jitter_ms: f64) -> Weather {
    Weather { loss, burst, jitter_ms, doubled: 0.0, drift_ppm: 0 }
}

/// As calls have it, but for the detector, which needs no model here.
fn ear(stretch_speech: bool) -> Ear {
    let settings = EarSettings {
        jitter_min_ms: 20,
        jitter_max_ms: 240,
        stretch_speech,
        vad_threshold: 0.5,
        onset_ms: 90,
        pre_roll_ms: 300,
        part_ms: 3_000,
        part_pause_ms: 140,
    };
    Ear::new(settings, Box::new(EnergyVad::default()), 111).expect("an ear")
}

/// Four fifths of the time all is well.
fn changing(sent: &[Timed], weather: Weather) -> Vec<Timed> {
    let stretches = sent.chunk_by(|(a, _), (b, _)| a / 8_000_000 == b / 8_000_000).enumerate();
    let mut network: Vec<Timed> = stretches
        .flat_map(|(n, stretch)| travel(stretch, if n % 5 == 1 { weather } else { Weather::default() }, SEED))
        .collect();
    network.sort_by_key(|(at, _)| *at);
    network
}

/// Hears what arrives, tick by tick.
fn hear(ear: &mut Ear, network: &[Timed], ticks: usize) -> Vec<f32> {
    let (mut arrived, mut heard) = (0, Vec::with_capacity(ticks * 320));
    for n in 0..ticks as u64 {
        let now_us = n * 20_000;
        while let Some((at, packet)) = network.get(arrived).filter(|(at, _)| *at <= now_us) {
            ear.packet(CallTime::from_us(*at), packet.clone());
            arrived += 1;
        }
        ear.listen(CallTime::from_us(now_us));
        // Nobody takes the utterances here.
        ear.close_utterance();
        heard.extend(ear.frame());
    }
    heard
}

/// The speech of these files, one after the other, repeated to this length.
fn speech(files: &[PathBuf], seconds: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for file in files {
        let mut reader = hound::WavReader::open(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert_eq!((reader.spec().sample_rate, reader.spec().channels), (HEAR_RATE, 1), "{}", file.display());
        all.extend(reader.samples::<i16>().map(|sample| f32::from(sample.expect("a sample")) / 32_768.0));
        if all.len() >= seconds * HEAR_RATE as usize {
            break;
        }
    }
    assert!(!all.is_empty(), "no speech");
    all.into_iter().cycle().take(seconds * HEAR_RATE as usize).collect()
}

fn write(path: &Path, sound: &[f32]) {
    let file = std::fs::File::create(path).expect("a file");
    wav::write_mono(std::io::BufWriter::new(file), HEAR_RATE, sound).expect("written");
}

fn quality(out: &Path, seconds: usize, files: &[PathBuf]) {
    let spoken = speech(files, seconds);
    write(&out.join("spoken.wav"), &spoken);
    for (n, (name, weather, expected_loss)) in NETWORKS.iter().enumerate() {
        let sent = Speaker { expected_loss: *expected_loss, ..Speaker::default() }.speak(&spoken);
        let network = if *name == CHANGING { changing(&sent, *weather) } else { travel(&sent, *weather, SEED) };
        for stretch_speech in [true, false] {
            let mut ear = ear(stretch_speech);
            let heard = hear(&mut ear, &network, sent.len() + 10);
            let file = format!("heard-{n:02}-{}.wav", if stretch_speech { "stretched" } else { "plain" });
            write(&out.join(&file), &heard);
            let (counts, packets, waits) =
                (ear.receiver().counts(), ear.receiver().jitter().stats(), ear.receiver().jitter().waits());
            let percent = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
            println!(
                "{{\"network\":\"{name}\",\"stretch\":{stretch_speech},\"file\":\"{file}\",\"lost\":{:.2},\"late\":{:.2},\
                 \"concealed\":{:.2},\"recovered\":{:.2},\"stretched\":{:.2},\"delay_ms\":{},\"p95_ms\":{},\"most_ms\":{}}}",
                percent((sent.len() - network.len()) as u64, sent.len() as u64),
                percent(packets.late, sent.len() as u64),
                percent(counts.concealed, counts.heard),
                percent(counts.recovered, counts.heard),
                percent(counts.shortened + counts.lengthened, counts.heard),
                waits.mean_ms(),
                waits.p95_ms(),
                waits.longest_ms(),
            );
        }
    }
}

/// CPU of a tick, in turns with and without stretching, so that a busy machine disturbs both alike.
fn cost(files: &[PathBuf]) {
    const SECONDS: usize = 60;
    const ROUNDS: usize = 9;
    let spoken = speech(files, SECONDS);
    for (name, weather, expected_loss) in [NETWORKS[0], NETWORKS[12], NETWORKS[14]] {
        let sent = Speaker { expected_loss, ..Speaker::default() }.speak(&spoken);
        let network = travel(&sent, weather, SEED);
        let mut took = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for stretch in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let mut ear = ear(stretch == 1);
                let began = Instant::now();
                let heard = hear(&mut ear, &network, sent.len());
                took[stretch].push(began.elapsed().as_secs_f64() * 1e6 * 320.0 / heard.len() as f64);
            }
        }
        let [plain, stretched] = took.map(|mut took| {
            took.sort_by(f64::total_cmp);
            (took[ROUNDS / 2], took[0], took[ROUNDS - 1])
        });
        println!(
            "{name}: {:.1} us a tick without stretching speech ({:.1} to {:.1}), {:.1} us with it ({:.1} to {:.1}): {:+.1} %",
            plain.0,
            plain.1,
            plain.2,
            stretched.0,
            stretched.1,
            stretched.2,
            100.0 * (stretched.0 / plain.0 - 1.0)
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let files = |from: usize| arguments[from..].iter().map(PathBuf::from).collect::<Vec<_>>();
    match arguments.first().map(String::as_str) {
        Some("quality") if arguments.len() > 3 => {
            quality(Path::new(&arguments[1]), arguments[2].parse().expect("seconds"), &files(3));
        }
        Some("cost") if arguments.len() > 1 => cost(&files(1)),
        _ => eprintln!("usage: jitter quality OUT SECONDS WAV... | jitter cost WAV...   (16 kHz mono)"),
    }
}
