//! The tables of docs/BENCHMARKS.md, with bootstrap intervals, and the CSV beside them.

use std::fmt::Write as _;

use super::recipe::Kind;
use super::score::{Over, Row};

const RESAMPLES: usize = 1_000;

/// A figure and its 95 % interval.
struct Figure {
    value: f32,
    low: f32,
    high: f32,
}

/// Of the samples themselves, and of a thousand drawings from them with replacement, always the same drawings.
fn figure<T: Copy>(samples: &[T], of: impl Fn(&[T]) -> f32) -> Option<Figure> {
    if samples.is_empty() {
        return None;
    }
    let mut seed = 1u64;
    let mut drawn: Vec<f32> = (0..RESAMPLES)
        .map(|_| {
            let again: Vec<T> = samples
                .iter()
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    samples[(seed >> 33) as usize % samples.len()]
                })
                .collect();
            of(&again)
        })
        .collect();
    drawn.sort_by(f32::total_cmp);
    Some(Figure { value: of(samples), low: drawn[RESAMPLES / 40], high: drawn[RESAMPLES - 1 - RESAMPLES / 40] })
}

fn percentile(samples: &[f32], p: f32) -> f32 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted[((sorted.len() - 1) as f32 * p).round() as usize]
}

fn millis(samples: &[f32], p: f32) -> String {
    figure(samples, |samples| percentile(samples, p))
        .map_or("-".into(), |f| format!("{:.0} ({:.0} to {:.0})", f.value, f.low, f.high))
}

fn share(samples: &[bool]) -> String {
    let of = |samples: &[bool]| 100.0 * samples.iter().filter(|yes| **yes).count() as f32 / samples.len() as f32;
    figure(samples, of).map_or("-".into(), |f| format!("{:.1} % ({:.1} to {:.1})", f.value, f.low, f.high))
}

pub fn tables(rows: &[Row], policies: &[&'static str]) -> String {
    let mut out = String::new();
    let is_turn = |row: &&Row| !row.kind.is_over_agent();
    for (name, keep) in [
        ("all turns", (|_| true) as fn(&Row) -> bool),
        ("recordings of people only", |row| !row.synthetic),
        ("questions without a pause", |row| row.kind == Kind::Turn),
        ("turns with hesitations", |row| row.kind == Kind::Hesitate),
        ("dictated digits", |row| row.kind == Kind::Dictate),
    ] {
        let rows: Vec<&Row> = rows.iter().filter(is_turn).filter(|row| keep(row)).collect();
        turns(&mut out, name, &rows, policies);
    }
    barge_in(&mut out, rows, policies);
    selectivity(&mut out, rows, policies);
    out
}

fn turns(out: &mut String, name: &str, rows: &[&Row], policies: &[&'static str]) {
    let _ = writeln!(
        out,
        "\n| {name} | response p50, ms | p95 | p99 | judged over p50, ms | pauses cut into, heard | under 200 ms | before the last word was over | unanswered |"
    );
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|---|");
    for policy in policies {
        let rows: Vec<&&Row> = rows.iter().filter(|row| row.policy == *policy).collect();
        let latency: Vec<f32> = rows.iter().filter_map(|row| row.latency_ms).collect();
        let judged: Vec<f32> = rows.iter().filter_map(|row| row.endpoint_ms).collect();
        let pauses: usize = rows.iter().map(|row| row.pauses).sum();
        let each = |count: fn(&Row) -> usize| -> Vec<bool> {
            let cut: usize = rows.iter().map(|row| count(row)).sum();
            (0..pauses).map(|n| n < cut).collect()
        };
        let early: Vec<bool> = latency.iter().map(|ms| *ms < 0.0).collect();
        let silent = rows.iter().filter(|row| row.latency_ms.is_none()).count();
        let _ = writeln!(
            out,
            "| {policy} | {} | {} | {} | {} | {} of {pauses} | {} | {} | {silent} of {} |",
            millis(&latency, 0.5),
            millis(&latency, 0.95),
            millis(&latency, 0.99),
            millis(&judged, 0.5),
            share(&each(|row| row.cut_heard)),
            share(&each(|row| row.cut_brief)),
            share(&early),
            rows.len(),
        );
    }
}

fn overs<'a>(rows: &'a [Row], policy: &'a str, kind: Kind) -> impl Iterator<Item = Over> + 'a {
    rows.iter().filter(move |row| row.policy == policy && row.kind == kind).filter_map(|row| row.over)
}

fn barge_in(out: &mut String, rows: &[Row], policies: &[&'static str]) {
    let _ = writeln!(
        out,
        "\n| interruptions | yield | softer by 6 dB, p50 ms | p95 | silent, p50 ms | p95 | from the onset of the voice, p50 ms | p95 |"
    );
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|");
    for policy in policies {
        let all: Vec<Over> = overs(rows, policy, Kind::Interrupt).collect();
        let duck: Vec<f32> = all.iter().filter_map(|over| over.duck_ms).collect();
        let stop: Vec<f32> = all.iter().filter_map(|over| over.stop_ms).collect();
        let voice: Vec<f32> = all.iter().filter_map(|over| over.voice_ms).collect();
        let yielded: Vec<bool> = all.iter().map(|over| over.stopped).collect();
        let _ = writeln!(
            out,
            "| {policy} | {} of {} | {} | {} | {} | {} | {} | {} |",
            share(&yielded),
            all.len(),
            millis(&duck, 0.5),
            millis(&duck, 0.95),
            millis(&stop, 0.5),
            millis(&stop, 0.95),
            millis(&voice, 0.5),
            millis(&voice, 0.95),
        );
    }
}

fn selectivity(out: &mut String, rows: &[Row], policies: &[&'static str]) {
    let kinds = [Kind::Backchannel, Kind::Side, Kind::Noise, Kind::Echo];
    let _ = writeln!(
        out,
        "\n| selectivity: the agent goes on | backchannels | background voices | noises | own echo | echo stops an agent-hour | all but echo | hole left, p50 ms | p95 |"
    );
    let _ = writeln!(out, "|---|---|---|---|---|---|---|---|---|");
    for policy in policies {
        let mut cells = Vec::new();
        let (mut together, mut holes) = (Vec::new(), Vec::new());
        for kind in kinds {
            let all: Vec<Over> = overs(rows, policy, kind).collect();
            let kept: Vec<bool> = all.iter().map(|over| !over.stopped).collect();
            if kind != Kind::Echo {
                together.extend(kept.iter().copied());
                holes.extend(all.iter().filter(|over| !over.stopped).map(|over| over.hole_ms));
            }
            cells.push(format!("{} of {}", share(&kept), all.len()));
            if kind == Kind::Echo {
                let hours = all.iter().map(|over| over.sounding_ms).sum::<f32>() / 3_600_000.0;
                let stops: usize = all.iter().map(|over| over.stops).sum();
                cells.push(format!("{:.0}", stops as f32 / hours.max(1e-6)));
            }
        }
        let _ = writeln!(
            out,
            "| {policy} | {} | {} | {} | {} |",
            cells.join(" | "),
            share(&together),
            millis(&holes, 0.5),
            millis(&holes, 0.95)
        );
    }
}

pub fn csv(rows: &[Row]) -> String {
    let mut out =
        "scene,half,kind,synthetic,policy,latency_ms,endpoint_ms,pauses,cut_heard,cut_brief,stopped,stop_ms,voice_ms,duck_ms,hole_ms,trace\n"
            .to_owned();
    for row in rows {
        let number = |value: Option<f32>| value.map_or(String::new(), |value| format!("{value:.0}"));
        let over = row.over;
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},\"{}\"",
            row.scene,
            row.half,
            row.kind.name(),
            row.synthetic,
            row.policy,
            number(row.latency_ms),
            number(row.endpoint_ms),
            row.pauses,
            row.cut_heard,
            row.cut_brief,
            over.map_or(String::new(), |over| over.stopped.to_string()),
            number(over.and_then(|over| over.stop_ms)),
            number(over.and_then(|over| over.voice_ms)),
            number(over.and_then(|over| over.duck_ms)),
            number(over.map(|over| over.hole_ms)),
            row.trace.replace('"', "'"),
        );
    }
    out
}
