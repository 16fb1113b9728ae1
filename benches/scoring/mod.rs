//! What the benchmarks of hearing share: texts, and how far what was heard is from them.
// Each benchmark is a crate of its own and uses a part of this.
#![allow(dead_code)]

use std::path::Path;
use std::time::Duration;

/// Recordings and their texts; `HEARING_EVERY=3` takes every third.
pub fn spoken() -> Vec<(String, String)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/testdata/manifest.jsonl");
    let every = std::env::var("HEARING_EVERY").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let Ok(lines) = std::fs::read_to_string(manifest) else { return Vec::new() };
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|entry| entry["kind"] == "asr" && entry["rate"] == 16_000 && entry["channels"] == 1)
        .filter_map(|entry| Some((entry["path"].as_str()?.to_owned(), entry["text"].as_str()?.to_owned())))
        .step_by(every)
        .collect()
}

/// Lower case, letters and digits only, the usual abbreviations and numbers written out.
pub fn normal(text: &str) -> Vec<String> {
    const SMALL: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let bare: String = text
        .to_lowercase()
        .replace(['\'', '’'], "")
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    bare.split_whitespace()
        .map(|word| match word {
            "mr" => "mister".into(),
            "mrs" => "missus".into(),
            "dr" => "doctor".into(),
            "st" => "saint".into(),
            _ => match word.parse::<usize>() {
                Ok(number) if number < SMALL.len() => SMALL[number].into(),
                _ => word.to_owned(),
            },
        })
        .collect()
}

/// Levenshtein's distance in words.
pub fn distance(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in heard.iter().enumerate() {
            let change = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[heard.len()]
}

/// Two seconds of each kind of noise at several levels.
pub fn noises() -> Vec<(String, Vec<f32>)> {
    let mut seed = 1u32;
    let mut white = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut all = vec![("digital silence".to_owned(), vec![0.0; 32_000])];
    for level in [0.001f32, 0.01, 0.1] {
        let mut slow = 0.0f32;
        all.push((format!("hiss at {level}"), (0..32_000).map(|_| level * white()).collect()));
        let rumble = (0..32_000).map(|_| {
            slow = 0.98 * slow + 0.2 * white();
            level * slow
        });
        all.push((format!("rumble at {level}"), rumble.collect()));
        let hum = (0..32_000).map(|i| level * (i as f32 * 0.0196).sin() + 0.1 * level * white());
        all.push((format!("hum at {level}"), hum.collect()));
        let click = (0..32_000).map(|i| if i % 8_000 < 80 { level * 5.0 * white() } else { 0.001 * white() });
        all.push((format!("clicks at {level}"), click.collect()));
        let breath = (0..32_000).map(|i| {
            let swell = (i as f32 * 0.000_2).sin().max(0.0).powi(2);
            level * swell * white()
        });
        all.push((format!("breath at {level}"), breath.collect()));
        let tune = (0..32_000).map(|i| {
            let note = [0.16, 0.2, 0.24, 0.32][i / 4_000 % 4];
            level * (i as f32 * note).sin() * (1.0 - (i % 4_000) as f32 / 4_000.0)
        });
        all.push((format!("tune at {level}"), tune.collect()));
    }
    all
}

/// CPU time of all threads of this process so far, to the scheduler's own precision.
pub fn cpu_time() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let spent = |thread: std::fs::DirEntry| {
        let schedstat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(spent).sum())
}
