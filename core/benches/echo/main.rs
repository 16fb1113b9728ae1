//! How well a call bears the echo of its own agent.
mod call;
mod material;
#[path = "../../tests/room/mod.rs"]
mod room;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use call::{Call, Counts, Mode, Plan};
use duologue_core::audio::vad::SileroWeights;
use room::Path;

const MODES: [Mode; 4] = [
    Mode { name: "neither", canceller: false, self_voice: false },
    Mode { name: "canceller", canceller: true, self_voice: false },
    Mode { name: "self-voice", canceller: false, self_voice: true },
    Mode { name: "both", canceller: true, self_voice: true },
];
/// A call is this much speech of the agent; then another caller in another room.
const CALL_S: f32 = 120.0;

fn testdata() -> PathBuf {
    std::env::var_os("DUOLOGUE_TESTDATA")
        .map_or_else(|| FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata"), PathBuf::from)
}

fn models() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || FilePath::new(&std::env::var_os("HOME").unwrap_or_default()).join(".local/share");
    std::env::var_os("DUOLOGUE_MODELS").map_or_else(|| data.unwrap_or_else(home).join("duologue/models"), PathBuf::from)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, default: f32| value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let agent = value("--agent").map_or_else(|| testdata().join("ljspeech"), PathBuf::from);
    let clauses = material::agent(&agent);
    let clips = material::callers(&testdata().join("librispeech"));
    let file = models().join("silero_vad_16k_op15.onnx");
    let weights =
        Arc::new(SileroWeights::parse(&std::fs::read(&file).expect("the Silero VAD")).expect("the Silero VAD"));
    let only = value("--mode");
    let losses: Vec<f32> =
        value("--loss").map_or(vec![10.0], |l| l.split(',').filter_map(|n| n.parse().ok()).collect());
    let delays: Vec<u32> =
        value("--delay").map_or(vec![0, 40, 120, 300, 400], |l| l.split(',').filter_map(|n| n.parse().ok()).collect());
    let call_ms = (number("--call-s", CALL_S) * 1_000.0) as u64;
    let minutes = number("--minutes", 4.0);
    let drift_ppm = number("--ppm", 100.0);
    let first_seed = number("--seed", 1.0) as u64;
    let trace = args.iter().any(|arg| arg == "--trace");
    println!(
        "{:10} {:>5} {:>5} {:>7} {:>8} {:>8} {:>8} {:>14} {:>6} {:>6} {:>6}",
        "mode", "loss", "delay", "agent", "stops/h", "ghosts/h", "doubts/h", "missed", "p50", "p95", "us"
    );
    for mode in MODES.iter().filter(|mode| only.as_deref().is_none_or(|only| only == mode.name)) {
        for &loss_db in &losses {
            let mut sum = Counts::default();
            for &delay_ms in &delays {
                let mut counts = Counts::default();
                let calls = (minutes * 60_000.0 / call_ms as f32).ceil() as u64;
                for n in 0..calls {
                    let plan = Plan {
                        clauses: &clauses,
                        clips: &clips,
                        weights: &weights,
                        mode: *mode,
                        path: Path { loss_db, delay_ms, drift_ppm, room_ms: 168 },
                        seed: first_seed * 1000 + n,
                        trace,
                        early: args.iter().any(|arg| arg == "--early"),
                    };
                    counts.add(Call::new(&plan).run(call_ms.min((minutes * 60_000.0) as u64)));
                }
                line(mode.name, loss_db, &delay_ms.to_string(), &mut counts);
                sum.add(counts);
            }
            if delays.len() > 1 {
                line(mode.name, loss_db, "all", &mut sum);
            }
        }
    }
}

fn line(mode: &str, loss: f32, delay: &str, counts: &mut Counts) {
    let hours = counts.agent_ms as f32 / 3.6e6;
    counts.stop_ms.sort_unstable();
    counts.ear_us.sort_by(f32::total_cmp);
    let at =
        |part: usize| counts.stop_ms.get((counts.stop_ms.len().saturating_sub(1)) * part / 100).copied().unwrap_or(0);
    let us = counts.ear_us.get(counts.ear_us.len() / 2).copied().unwrap_or(0.0);
    println!(
        "{mode:10} {loss:5} {delay:>5} {:5.1} m {:8.1} {:8.1} {:8.1} {:4} of {:4} {:2.0}% {:6} {:6} {us:6.0}",
        hours * 60.0,
        counts.false_stops as f32 / hours,
        counts.ghost_turns as f32 / hours,
        counts.doubts as f32 / hours,
        counts.missed,
        counts.interruptions,
        100.0 * counts.missed as f32 / counts.interruptions.max(1) as f32,
        at(50),
        at(95),
    );
}
