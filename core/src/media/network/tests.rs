use proptest::prelude::*;

use super::*;

/// The fates of `packets` packets of `bytes` bytes, 20 ms apart.
fn trace(impairment: Impairment, seed: u64, packets: u64, bytes: usize) -> Vec<Fate> {
    let mut path = Path::new(impairment, seed, 0);
    (0..packets).map(|n| path.pass(CallTime::from_ms(n * 20), bytes)).collect()
}

fn losses(fates: &[Fate]) -> Vec<bool> {
    fates.iter().map(|fate| *fate == Fate::Lost).collect()
}

/// Lengths of the runs of losses.
fn bursts(lost: &[bool]) -> Vec<usize> {
    lost.split(|lost| !lost).map(<[bool]>::len).filter(|length| *length > 0).collect()
}

fn spec(text: &str) -> Impairment {
    text.parse().unwrap_or_else(|fault| panic!("{fault}"))
}

fn any_impairment() -> impl Strategy<Value = Impairment> {
    let ms = || (0_u64..400).prop_map(Duration::from_millis);
    let jitter = prop_oneof![
        Just(Jitter::None),
        (ms(), ms()).prop_map(|(a, b)| Jitter::Uniform { least: a.min(b), most: a.max(b) }),
        (ms(), ms()).prop_map(|(mean, deviation)| Jitter::Normal { mean, deviation }),
        ms().prop_map(|mean| Jitter::Exponential { mean }),
    ];
    let lossy = (0.0..=1.0_f64, prop::option::of(1.0..=100.0_f64));
    let shares = (0.0..=1.0_f64, 0.0..=1.0_f64, any::<bool>());
    (lossy, ms(), jitter, shares, prop::option::of(8_000_u32..1_000_000), ms()).prop_map(
        |((loss, burst), delay, jitter, (reorder, duplicate, keep_order), rate_bps, queue)| {
            let burst = burst.filter(|burst| loss <= burst / (burst + 1.0));
            let reorder = if keep_order { 0.0 } else { reorder };
            Impairment { loss, burst, delay, jitter, reorder, duplicate, keep_order, rate_bps, queue }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_seed_is_one_trace_and_another_seed_another(impairment in any_impairment(), seed in any::<u64>()) {
        prop_assert_eq!(trace(impairment, seed, 300, 160), trace(impairment, seed, 300, 160));
        if (0.1..0.9).contains(&impairment.loss) && impairment.burst.is_none() {
            let other = losses(&trace(impairment, seed ^ 1, 300, 160));
            prop_assert_ne!(losses(&trace(impairment, seed, 300, 160)), other);
        }
    }

    /// The clock and the sizes have no part in who is lost.
    #[test]
    fn the_trace_goes_by_the_packet_s_number(impairment in any_impairment(), seed in any::<u64>(), steps in prop::collection::vec((0_u64..100_000, 1_usize..1_400), 200)) {
        let mut path = Path::new(impairment, seed, 0);
        let mut at = CallTime::ZERO;
        let lost: Vec<bool> = steps.into_iter().map(|(after_us, bytes)| {
            at = at + Duration::from_micros(after_us);
            path.pass(at, bytes) == Fate::Lost
        }).collect();
        prop_assert_eq!(lost, losses(&trace(impairment, seed, 200, 160)));
    }

    #[test]
    fn nothing_leaves_before_it_came_and_order_is_kept_where_asked(impairment in any_impairment(), seed in any::<u64>()) {
        let mut latest = CallTime::ZERO;
        for (n, fate) in (0..).zip(trace(impairment, seed, 300, 160)) {
            if let Fate::Passes { at, again } = fate {
                prop_assert!(at >= CallTime::from_ms(n * 20) + impairment.delay);
                prop_assert!(again.is_none_or(|again| again > at));
                if impairment.keep_order {
                    prop_assert!(at >= latest);
                    latest = at;
                }
            }
        }
    }

    /// Of 20,000 packets the share lost is the asked one, within six standard deviations. With bursts the deviation is
    /// larger: the variance of the sum of a two-state chain is n p (1 - p) (1 + r) / (1 - r), where r is what is left of
    /// a state one step later.
    #[test]
    fn as_many_are_lost_as_asked(loss in 0.01..0.6_f64, burst in prop::option::of(1.6..8.0_f64), seed in any::<u64>()) {
        let impairment = Impairment { loss, burst, ..Impairment::default() };
        let count = 20_000.0;
        let realised = losses(&trace(impairment, seed, count as u64, 160)).iter().filter(|lost| **lost).count() as f64 / count;
        let kept = burst.map_or(0.0, |burst| 1.0 - 1.0 / burst - loss / (burst * (1.0 - loss)));
        let deviation = (loss * (1.0 - loss) * (1.0 + kept) / (1.0 - kept) / count).sqrt();
        prop_assert!((realised - loss).abs() < 6.0 * deviation, "{realised} for {loss}, deviation {deviation}");
    }

    #[test]
    fn bursts_are_as_long_as_asked(loss in 0.05..0.4_f64, burst in 2.0..6.0_f64, seed in any::<u64>()) {
        let impairment = Impairment { loss, burst: Some(burst), ..Impairment::default() };
        let lengths = bursts(&losses(&trace(impairment, seed, 40_000, 160)));
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        // A geometric length has a deviation of sqrt(burst * (burst - 1)).
        let deviation = (burst * (burst - 1.0) / lengths.len() as f64).sqrt();
        prop_assert!((mean - burst).abs() < 6.0 * deviation, "{mean} for {burst} in {} bursts", lengths.len());
    }

    /// No stretch of time carries more than the rate.
    #[test]
    fn the_rate_is_not_passed(rate_bps in 16_000_u32..200_000, bytes in 20_usize..600, seed in any::<u64>()) {
        let impairment = Impairment { rate_bps: Some(rate_bps), queue: USUAL_QUEUE, ..Impairment::default() };
        let fates = trace(impairment, seed, 500, bytes);
        let left: Vec<CallTime> = fates.iter().filter_map(|fate| match fate {
            Fate::Passes { at, .. } => Some(*at),
            _ => None,
        }).collect();
        let bits = (bytes + HEADER_BYTES) as f64 * 8.0;
        for (n, pair) in left.windows(2).enumerate() {
            let gap_s = pair[1].since(pair[0]).as_secs_f64();
            prop_assert!(gap_s + 2e-6 >= bits / f64::from(rate_bps), "packet {n}");
        }
        let offered_bps = bits * 50.0;
        if offered_bps > 1.2 * f64::from(rate_bps) {
            prop_assert!(fates.contains(&Fate::Overflowed), "what does not fit is lost");
        } else if offered_bps < f64::from(rate_bps) {
            prop_assert!(!fates.contains(&Fate::Overflowed));
        }
    }

    #[test]
    fn an_impairment_reads_back_as_it_was_written(impairment in any_impairment()) {
        let read: Impairment = impairment.to_string().parse().expect("its own text");
        prop_assert!((read.loss - impairment.loss).abs() < 1e-12);
        prop_assert_eq!(read.to_string(), impairment.to_string());
    }

    #[test]
    fn any_text_is_read_or_refused_in_words(text in "[a-z0-9=,.: ]{0,40}") {
        if let Err(fault) = text.parse::<Impairment>() {
            prop_assert!(!fault.to_string().is_empty());
        }
    }
}

#[test]
fn the_two_directions_of_a_network_are_two_traces() {
    let half = Impairment { loss: 0.5, ..Impairment::default() };
    let of = |stream| {
        let mut path = Path::new(half, 7, stream);
        (0..64).map(|n| path.pass(CallTime::from_ms(n), 100)).collect::<Vec<_>>()
    };
    assert_ne!(of(0), of(1));
}

#[test]
fn a_packet_held_back_is_overtaken() {
    let fates = trace(spec("reorder=0.2"), 3, 500, 160);
    let at = |fate: &Fate| if let Fate::Passes { at, .. } = fate { at.us() } else { 0 };
    let overtaken = fates.windows(2).filter(|pair| at(&pair[1]) < at(&pair[0])).count();
    assert!((40..=130).contains(&overtaken), "{overtaken} of 500");
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    for (text, says) in [
        ("loss=2", "a share of 0 to 1"),
        ("lose=0.2", "there are: loss"),
        ("loss", "there are: loss"),
        ("burst=0.5,loss=0.1", "1 to 100 packets"),
        ("loss=0.9,burst=3", "raise burst or lower loss"),
        ("jitter=60..0", "FROM..TO"),
        ("jitter=normal:5", "FROM..TO"),
        ("order=keep,reorder=0.1", "exclude each other"),
        ("rate=10", "8000 bits a second"),
        ("delay=NaN", "0 to 10000 ms"),
    ] {
        let fault = text.parse::<Impairment>().expect_err(text).to_string();
        assert!(fault.contains(says), "{text}: {fault}");
    }
    assert_eq!(spec("jitter=60"), spec("jitter=0..60"));
    assert_eq!(spec(""), Impairment { queue: USUAL_QUEUE, ..Impairment::default() });
}
