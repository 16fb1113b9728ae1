//! How well a call bears the echo of its own agent.
//!
//! `make bench-echo`: calls in virtual time, each with a room, a clock and a caller of its own. Read speech is the agent's and the
//! callers'; what the recogniser would say of an echo is the worst it can be.

mod call;
mod counts;
mod far_end;
mod material;
#[path = "../../tests/room/mod.rs"]
mod room;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use call::{Call, Plan};
use counts::{Counts, an_hour, share};
use duologue_core::audio::vad::SileroWeights;
use duologue_core::dialogue::floor::FloorSettings;
use duologue_core::media::echo::EchoMeans;
use room::Path;

const MODES: [(&str, EchoMeans); 4] = [
    ("neither", EchoMeans::NONE),
    ("canceller", EchoMeans { canceller: true, self_voice: false }),
    ("self-voice", EchoMeans { canceller: false, self_voice: true }),
    ("both", EchoMeans::BOTH),
];
const USAGE: &str = "make bench-echo
  --calls N        calls a delay (12), each with a room, a clock and a caller of its own
  --call-s N       speech of the agent in each, seconds (60)
  --mode NAME      only neither, canceller, self-voice or both
  --loss DB,...    how far the echo lies below the agent's voice (10)
  --delay MS,...   (0,40,120,300,400)
  --caller DBFS    the callers' level (-26; the agent's is -20)
  --threshold P    floor.echo_likelihood
  --agent FOLDER   the agent's voice: WAV files, a clause each
  --seed N         the first call's seed (1)
  --trace          every tick";

fn testdata() -> PathBuf {
    std::env::var_os("DUOLOGUE_TESTDATA")
        .map_or_else(|| FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata"), PathBuf::from)
}

fn models() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || FilePath::new(&std::env::var_os("HOME").unwrap_or_default()).join(".local/share");
    std::env::var_os("DUOLOGUE_MODELS").map_or_else(|| data.unwrap_or_else(home).join("duologue/models"), PathBuf::from)
}

struct Arguments(Vec<String>);

impl Arguments {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().position(|arg| arg == name).and_then(|at| self.0.get(at + 1)).map(String::as_str)
    }

    fn number(&self, name: &str, usual: f32) -> f32 {
        self.value(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
    }

    fn list(&self, name: &str, usual: &[f32]) -> Vec<f32> {
        self.value(name).map_or(usual.to_vec(), |list| list.split(',').filter_map(|n| n.parse().ok()).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|arg| arg == name)
    }
}

fn main() {
    let args = Arguments(std::env::args().skip(1).collect());
    if args.has("--help") {
        println!("{USAGE}");
        return;
    }
    let agent = args.value("--agent").map_or_else(|| testdata().join("ljspeech"), PathBuf::from);
    let clauses = material::agent(&agent);
    let clips = material::callers(&testdata().join("librispeech"), args.number("--caller", material::CALLER_DBFS));
    let weights = std::fs::read(models().join("silero_vad_16k_op15.onnx")).ok();
    let Some(weights) = weights.and_then(|file| SileroWeights::parse(&file).ok()).map(Arc::new) else {
        println!("The voice detector is not there: duologue models fetch --for-default");
        return;
    };
    if clauses.is_empty() || clips.is_empty() {
        println!("No speech in {}: set DUOLOGUE_TESTDATA.", testdata().display());
        return;
    }
    println!(
        "| echo | delay, ms | means | agent | false stops an hour | turns of nobody | doubts | interruptions missed | answers unheard | stop p50 / p95, ms | ear, us a tick |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let first_seed = args.number("--seed", 1.0) as u64;
    let delays = args.list("--delay", &[0.0, 40.0, 120.0, 300.0, 400.0]);
    for loss_db in args.list("--loss", &[10.0]) {
        for (name, means) in MODES.into_iter().filter(|(name, _)| args.value("--mode").is_none_or(|only| only == *name))
        {
            let mut all = Vec::new();
            for delay_ms in &delays {
                let calls = (0..args.number("--calls", 12.0) as u64).map(|n| {
                    let plan = Plan {
                        clauses: &clauses,
                        clips: &clips,
                        weights: &weights,
                        means,
                        path: Path {
                            loss_db,
                            delay_ms: *delay_ms as u32,
                            drift_ppm: if n % 2 == 0 { 100.0 } else { -100.0 },
                            room_ms: 168,
                        },
                        // Each delay has rooms of its own.
                        seed: first_seed * 10_000 + *delay_ms as u64 * 10 + n,
                        trace: args.has("--trace"),
                        early: n % 3 == 0,
                        threshold: match means.self_voice {
                            true => args.number("--threshold", FloorSettings::default().echo_likelihood),
                            false => 1.0,
                        },
                    };
                    Call::new(&plan).run((args.number("--call-s", 60.0) * 1_000.0) as u64)
                });
                let calls: Vec<Counts> = calls.collect();
                line(loss_db, &delay_ms.to_string(), name, &calls);
                all.extend(calls);
            }
            if delays.len() > 1 {
                line(loss_db, "all", name, &all);
            }
        }
    }
}

fn line(loss_db: f32, delay: &str, name: &str, calls: &[Counts]) {
    let mut sum = Counts::sum(calls.iter());
    sum.stop_ms.sort_unstable();
    sum.ear_us.sort_by(f32::total_cmp);
    let at = |part: usize| sum.stop_ms.get(sum.stop_ms.len().saturating_sub(1) * part / 100).copied().unwrap_or(0);
    println!(
        "| -{loss_db} dB | {delay} | {name} | {:.2} h, {} calls | {} | {} | {} | {} | {} | {} / {} | {:.0} |",
        sum.hours(),
        calls.len(),
        an_hour(calls, |call| call.false_stops),
        an_hour(calls, |call| call.ghost_turns),
        an_hour(calls, |call| call.doubts),
        share(sum.missed, sum.interruptions),
        share(sum.unheard, sum.answers),
        at(50),
        at(95),
        sum.ear_us.get(sum.ear_us.len() / 2).copied().unwrap_or(0.0),
    );
}
