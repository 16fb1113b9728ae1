//! A recording keeps the call's time, whatever happens to its ticks.

use super::*;
use crate::audio::{HEAR_FRAME, LINE_FRAME, LINE_RATE};
use crate::time::{CallTime, TICK};

/// Ticks of an hour.
const TICKS: u64 = 60 * 60 * 50;
/// Between two clicks: ten seconds.
const BETWEEN: u64 = 500;

/// A click of 5 ms in the middle of a tick.
fn click<const N: usize>() -> [f32; N] {
    std::array::from_fn(|n| if n >= N / 2 && n < N / 2 + N / 4 { if n % 2 == 0 { 0.8 } else { -0.8 } } else { 0.0 })
}

/// The moments at which both sides become loud, in milliseconds of the file: the first of each click. An hour is looked through
/// packet by packet, since all of it at once takes more than a gigabyte.
fn clicks(path: &std::path::Path) -> [Vec<u64>; 2] {
    let (mut found, mut at) = ([Vec::new(), Vec::new()], 0);
    let hear = |found: &mut Vec<u64>, side: &[f32], at: u64| {
        for (n, _) in side.iter().enumerate().filter(|(_, sample)| sample.abs() > 0.1) {
            let ms = (at + n as u64) * 1_000 / u64::from(LINE_RATE);
            if found.last().is_none_or(|last| ms > last + 1_000) {
                found.push(ms);
            }
        }
    };
    let (skip, _) = super::ogg_file::for_each_packet(path, |caller, agent| {
        hear(&mut found[0], caller, at);
        hear(&mut found[1], agent, at);
        at += caller.len() as u64;
    })
    .expect("readable");
    // What a decoder gives before the first sample is not played.
    let early_ms = skip as u64 * 1_000 / u64::from(LINE_RATE);
    found.map(|side| side.into_iter().map(|ms| ms.saturating_sub(early_ms)).collect())
}

/// Clicks on both sides every ten seconds, while one tick in fifty never comes, the call's task stands still for seven seconds three
/// times, and the caller is silent for five minutes: an hour later each click lies where it was.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_lie_where_they_were_though_ticks_are_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = RecordingHouse::open(folder.path(), Consent::Silent).expect("a house");
    let mut tape = house.begin(&"one".to_owned(), "porter", 0);
    let began = 37;
    for n in began..began + TICKS {
        let clicking = n % BETWEEN == 0;
        let stalls = [9_010, 90_010, 170_010].iter().any(|from| (*from..from + 350).contains(&n));
        // A hold: nothing comes, and time goes on.
        let held = (120_010..134_990).contains(&n);
        if held || !clicking && (n % 50 == 7 || stalls) {
            continue;
        }
        let heard = if clicking { click::<HEAR_FRAME>() } else { [0.0; HEAR_FRAME] };
        let sent = if clicking { click::<LINE_FRAME>() } else { [0.0; LINE_FRAME] };
        let first = tape.tick(CallTime::ZERO + TICK * n as u32, &heard, &sent);
        assert_eq!(first, n == began);
        if n % 10_000 == 0 {
            house.settle();
        }
    }
    assert_eq!(tape.started_ms(), began * 20);
    let kept = tape.finish().await.expect("a file");
    assert_eq!((kept.duration_ms, kept.lost_ms), (TICKS * 20, 0));
    let [caller, agent] = clicks(&folder.path().join(file_of(&"one".to_owned())));
    let there = (1..).map(|k| k * BETWEEN).take_while(|n| *n < began + TICKS);
    let there: Vec<u64> = there.filter(|n| !(120_010..134_990).contains(n)).map(|n| (n - began) * 20 + 10).collect();
    for (side, found) in [("caller", caller), ("agent", agent)] {
        assert_eq!(found.len(), there.len(), "{side}: {found:?}");
        for (found, there) in found.iter().zip(&there) {
            assert!(found.abs_diff(*there) <= 20, "{side}: a click at {there} ms lies at {found} ms");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_connects_and_one_that_is_discarded_leave_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = RecordingHouse::open(folder.path(), Consent::Tone).expect("a house");
    assert_eq!(house.begin(&"never".to_owned(), "porter", 0).finish().await, None);
    let mut tape = house.begin(&"unwanted".to_owned(), "porter", 0);
    let sent = [0.0; LINE_FRAME];
    tape.tick(CallTime::ZERO, &[0.0; HEAR_FRAME], &sent);
    tape.discard();
    // The thread works in order: when this one is done, so is the other.
    let mut after = house.begin(&"after".to_owned(), "porter", 0);
    after.tick(CallTime::ZERO, &[0.0; HEAR_FRAME], &sent);
    after.finish().await.expect("a file");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["after.ogg"]);
}
