//! A recording keeps the call's time, whatever happens to its ticks.

use super::*;
use crate::audio::{HEAR_FRAME, LINE_FRAME, LINE_RATE};
use crate::time::{CallTime, TICK};

/// Ticks of ten minutes.
const TICKS: u64 = 10 * 60 * 50;
/// Between two clicks: ten seconds.
const BETWEEN: u64 = 500;

/// A click of 5 ms in the middle of a tick.
fn click<const N: usize>() -> [f32; N] {
    std::array::from_fn(|n| if n >= N / 2 && n < N / 2 + N / 4 { if n % 2 == 0 { 0.8 } else { -0.8 } } else { 0.0 })
}

/// Where it is loud, in milliseconds of the file: the first moment of each click.
fn clicks(side: &[f32]) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    for (n, _) in side.iter().enumerate().filter(|(_, sample)| sample.abs() > 0.1) {
        let ms = n as u64 * 1_000 / u64::from(LINE_RATE);
        if found.last().is_none_or(|last| ms > last + 1_000) {
            found.push(ms);
        }
    }
    found
}

/// Clicks on both sides every ten seconds, while one tick in fifty never comes and once the call's task stands still for seven
/// seconds: ten minutes later each click lies where it was.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_lie_where_they_were_though_ticks_are_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = RecordingHouse::open(folder.path(), Consent::Silent).expect("a house");
    let mut tape = house.begin(&"one".to_owned(), "porter", 0);
    let began = 37;
    for n in began..began + TICKS {
        let clicking = n % BETWEEN == 0;
        if !clicking && (n % 50 == 7 || (9_010..9_360).contains(&n)) {
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
    let [caller, agent] = read(&folder.path().join(file_of(&"one".to_owned()))).expect("readable");
    let there: Vec<u64> =
        (1..).map(|k| k * BETWEEN).take_while(|n| *n < began + TICKS).map(|n| (n - began) * 20 + 10).collect();
    for (side, found) in [("caller", clicks(&caller)), ("agent", clicks(&agent))] {
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
