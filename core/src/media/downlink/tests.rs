use proptest::prelude::*;

use super::*;
use crate::audio::opus::OpusEncoder;
use crate::media::network::{Fate, Impairment, Path};
use crate::media::red::{MOST_COPIES, OLDEST};
use crate::time::TICK;

const BOTH: DownlinkSettings = DownlinkSettings { red: true, most: 4 };

fn at(ms: u64) -> CallTime {
    CallTime::from_ms(ms)
}

/// Five seconds' worth of packets with this share lost, as a browser tells of them.
fn told(loss: f32) -> LinkReport {
    let rtt = Some(Duration::from_millis(40));
    LinkReport { expected: 250, lost: (250.0 * loss).round() as u32, jitter: Duration::from_millis(2), rtt }
}

/// The level after each of these reports, five seconds apart.
fn levels(losses: &[f32]) -> Vec<Level> {
    let mut downlink = Downlink::new(BOTH);
    let level = |(n, loss): (u64, &f32)| {
        downlink.report(at(5_000 * n), &told(*loss));
        downlink.level()
    };
    (1..).zip(losses).map(level).collect()
}

#[test]
fn before_anything_is_known_each_packet_goes_twice() {
    assert_eq!(Downlink::new(BOTH).plan().copies, [1]);
    assert!(Downlink::new(DownlinkSettings { most: 0, ..BOTH }).plan().copies.is_empty());
}

#[test]
fn the_first_report_of_a_clean_line_ends_the_copies() {
    assert_eq!(levels(&[0.0]), [0]);
}

#[test]
fn a_bad_line_is_answered_with_the_first_report_that_tells_of_it() {
    assert_eq!(levels(&[0.0, 0.0, 0.2]), [0, 0, 4]);
    assert_eq!(levels(&[0.05]), [2]);
}

#[test]
fn a_line_that_is_good_again_is_trusted_slowly() {
    let losses = [&[0.2, 0.2][..], &[0.0; 14]].concat();
    let levels = levels(&losses);
    assert_eq!(levels[..4], [4, 4, 4, 4], "ten seconds of calm first: {levels:?}");
    assert_eq!(levels.last(), Some(&0), "{levels:?}");
    assert!(levels.windows(2).all(|pair| pair[0] - pair[1] <= 1), "a rung at a time: {levels:?}");
}

#[test]
fn a_lost_packet_or_two_are_no_loss() {
    let mut downlink = Downlink::new(BOTH);
    downlink.report(at(1_000), &LinkReport { expected: 50, ..told(0.0) });
    for n in 2..12 {
        downlink.report(at(1_000 * n), &LinkReport { expected: 50, lost: u32::from(n % 5 == 0) * 2, ..told(0.0) });
        assert_eq!(downlink.level(), 0, "second {n}");
    }
}

#[test]
fn reports_that_no_longer_come_are_lost_ones() {
    let mut downlink = Downlink::new(BOTH);
    downlink.tick(at(60_000));
    assert_eq!(downlink.level(), UNKNOWN, "a side that never reports says nothing by it");
    downlink.report(at(60_000), &told(0.0));
    downlink.tick(at(75_000));
    assert_eq!(downlink.level(), 0);
    downlink.tick(at(76_100));
    assert_eq!(downlink.level(), ABSENT);
    assert!(downlink.plan().hold() >= Duration::from_millis(40));
}

#[test]
fn who_cannot_read_copies_gets_redundancy_inside_the_packet() {
    let mut downlink = Downlink::new(DownlinkSettings { red: false, ..BOTH });
    assert!(downlink.plan().copies.is_empty());
    downlink.report(at(5_000), &told(0.2));
    let plan = downlink.plan();
    assert_eq!((plan.copies, plan.opus.fec, plan.opus.expected_loss_percent), (&[][..], true, 25));
    let mut reads = Downlink::new(BOTH);
    reads.report(at(5_000), &told(0.2));
    assert!(!reads.plan().opus.fec, "who can gets the bits for the voice");
}

#[test]
fn a_queue_that_fills_takes_the_copies_back() {
    let mut downlink = Downlink::new(BOTH);
    downlink.report(at(5_000), &told(0.1));
    assert_eq!(downlink.level(), 3);
    let slow = LinkReport { rtt: Some(Duration::from_millis(400)), ..told(0.1) };
    downlink.report(at(10_000), &slow);
    assert_eq!((downlink.level(), downlink.plan().opus.bitrate_bps), (1, 16_000));
    for n in 3..8 {
        downlink.report(at(5_000 * n), &told(0.1));
    }
    assert_eq!(downlink.level(), 3, "the queue has drained and the noise is still there");
}

#[test]
fn round_trips_that_jitter_are_no_queue() {
    let mut downlink = Downlink::new(BOTH);
    for n in 1..20 {
        let rtt = Some(Duration::from_millis(20 + 97 * n % 220));
        downlink.report(at(5_000 * n), &LinkReport { rtt, jitter: Duration::from_millis(40), ..told(0.2) });
        assert_eq!(downlink.level(), 4);
    }
}

/// What a path makes of the packets that a plan sends, reported every five seconds; the level after each report.
fn over(impairment: &str, seconds: u64) -> Vec<(Level, f32)> {
    let impairment: Impairment = impairment.parse().expect("an impairment");
    let mut path = Path::new(impairment, 11, 0);
    let mut downlink = Downlink::new(BOTH);
    let (mut report, mut queued) = (LinkReport::default(), Duration::ZERO);
    let mut seen = Vec::new();
    for n in 1..=seconds * 50 {
        let now = at(n * 20);
        let plan = downlink.plan();
        // Payload, the copies with their headers, RTP and SRTP.
        let voice = plan.opus.bitrate_bps as usize / 400;
        let bytes = voice + plan.copies.len() * (voice + 4) + 1 + 12 + 10;
        report.expected += 1;
        match path.pass(now, bytes) {
            Fate::Passes { at, .. } => queued = at.since(now),
            _ => report.lost += 1,
        }
        if n % 250 == 0 {
            report.rtt = Some(Duration::from_millis(20) + queued);
            downlink.report(now, &report);
            seen.push((downlink.level(), report.loss()));
            report = LinkReport::default();
        }
    }
    seen
}

#[test]
fn noise_is_answered_with_copies_and_slowness_is_not() {
    let noisy = over("loss=0.2", 60);
    assert!(noisy.iter().all(|(level, _)| *level == 4), "{noisy:?}");
    let slow = over("rate=56000,queue=400", 120);
    assert!(slow.iter().filter(|(level, _)| *level > 1).count() <= 2, "{slow:?}");
    assert!(slow[4..].iter().all(|(_, loss)| *loss < 0.05), "{slow:?}");
}

/// A policer drops what is over the rate and queues nothing: only the loss itself tells.
#[test]
fn copies_that_overflow_a_line_without_a_queue_are_found_out() {
    let seen = over("rate=70000,queue=20,loss=0.05", 180);
    let over_half: usize = seen.iter().filter(|(_, loss)| *loss > 0.4).count();
    assert!(over_half <= 5, "{seen:?}");
}

fn any_report() -> impl Strategy<Value = (u64, LinkReport)> {
    let times = (0_u64..20_000, prop::option::of(0_u64..3_000), 0_u64..2_000);
    let counts = prop_oneof![4 => (0_u32..600, 0_u32..600), 1 => (any::<u32>(), any::<u32>())];
    (times, counts).prop_map(|((after, rtt, jitter), (expected, lost))| {
        let rtt = rtt.map(Duration::from_millis);
        (after, LinkReport { expected, lost, jitter: Duration::from_millis(jitter), rtt })
    })
}

proptest! {
    /// Whatever is reported, the plan can be carried out: libopus takes its settings, RFC 2198 its copies.
    #[test]
    fn every_plan_can_be_carried_out(reports in prop::collection::vec(any_report(), 0..40), red: bool, most in 0_u8..=9) {
        let mut downlink = Downlink::new(DownlinkSettings { red, most });
        let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        let mut now = CallTime::ZERO;
        for (after, report) in reports {
            now = now + Duration::from_millis(after);
            downlink.tick(now);
            downlink.report(now, &report);
            let plan = downlink.plan();
            prop_assert!(plan.copies.len() <= MOST_COPIES.min(usize::from(most)));
            prop_assert!(red || plan.copies.is_empty());
            prop_assert!(plan.copies.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(plan.copies.iter().all(|distance| (1..=OLDEST).contains(distance)));
            prop_assert!(plan.hold() <= 5 * TICK);
            prop_assert!(encoder.tune(plan.opus).is_ok());
        }
    }

    /// A steady line settles on one level, and a worse one on no lower one.
    #[test]
    fn more_loss_is_never_answered_with_less(a in 0.0..0.29_f32, b in 0.0..0.29_f32) {
        let settled = |loss: f32| {
            let levels = levels(&[loss; 12]);
            (levels[1..].iter().all(|level| *level == levels[0]), levels[0])
        };
        let ((calm_a, low), (calm_b, high)) = (settled(a.min(b)), settled(a.max(b)));
        prop_assert!(calm_a && calm_b);
        prop_assert!(low <= high);
    }

    /// A loss that hovers about a threshold does not change the sound with every report.
    #[test]
    fn a_level_is_not_left_for_a_little_less(rung in 0_usize..4, wobbles in prop::collection::vec(0.7..1.1_f32, 30)) {
        let threshold = LOSS_FOR_LEVEL[rung];
        let losses: Vec<f32> = [1.3].iter().chain(&wobbles).map(|wobble| threshold * wobble).collect();
        let levels = levels(&losses);
        prop_assert!(levels.iter().all(|level| *level == levels[0]), "{levels:?}");
    }
}
