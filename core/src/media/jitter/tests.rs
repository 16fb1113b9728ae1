use bytes::Bytes;
use proptest::prelude::*;

use super::line::{Line, TOC, length_us, packet, packet_of};
use super::*;

fn line() -> Line {
    Line::new(JitterSettings::default())
}

#[test]
fn an_even_stream_plays_after_the_first_delay_and_then_without_a_gap() {
    let line = line().stiff().send(0..500, |_| Some(30)).run(10.0);
    // First arrival at 30 ms, pulled at 40; 40 ms of delay are reached at 80.
    assert!(line.picture().starts_with("wwwwPPPP"), "{}", line.picture());
    assert_eq!(line.played(), (0..496).collect::<Vec<u16>>());
    assert_eq!((line.stats().lost, line.stats().late, line.made_up()), (0, 0, Duration::ZERO));
    assert_eq!((line.buffer.waits().mean_ms(), line.buffer.waits().longest_ms()), (50, 50));
}

#[test]
fn the_delay_falls_to_what_the_network_needs() {
    let line = line().send(0..500, |_| Some(30)).run(9.9);
    let last = line.pulls.last().unwrap();
    let Pull::Packet(packet) = &last.1 else { panic!("{last:?}") };
    let sent_ms = u64::from(packet.sequence.wrapping_sub(65_530)) * 20;
    assert!(last.0.ms() - (sent_ms + 30) <= 30, "waits {} ms", last.0.ms() - sent_ms - 30);
    assert!((16_000..=40_000).contains(&line.shortened_us), "{}", line.shortened_us);
    let stats = line.stats();
    assert_eq!(stats.played + line.buffer.held() as u64, stats.received, "everything is played: {stats:?}");
    assert_eq!(line.lengthened_us, 0, "and it does not swing");
}

#[test]
fn packets_out_of_order_are_played_in_order() {
    let line = line().send(0..200, |n| Some(if n % 2 == 0 { 35 } else { 5 })).run(4.2);
    assert_eq!(line.played(), (0..200).collect::<Vec<u16>>());
    assert_eq!(line.stats().late, 0);
}

#[test]
fn a_lost_packet_is_recovered_from_the_next() {
    let line = line().stiff().send(0..100, |n| (n != 50).then_some(10)).with_copies().run(2.2);
    let picture = line.picture();
    assert_eq!(picture.matches('R').count(), 1, "{picture}");
    assert!(!picture.contains('C'), "{picture}");
    let at = picture.find('R').unwrap();
    let (Pull::Recover { next, length }, Pull::Packet(after)) = (&line.pulls[at].1, &line.pulls[at + 1].1) else {
        panic!()
    };
    assert_eq!((next, *length), (after, TICK), "and the next is played itself");
    assert_eq!(line.stats().lost, 1);
}

#[test]
fn where_the_next_carries_no_copy_a_lost_packet_is_concealed() {
    let line = line().stiff().send(0..100, |n| (n != 50).then_some(10)).run(2.2);
    assert!(line.picture().contains("PCPP") && !line.picture().contains('R'), "{}", line.picture());
    assert_eq!(line.stats().lost, 1);
}

#[test]
fn with_loss_and_copies_the_delay_leaves_room_for_the_next_packet() {
    let lossy = |n: u64| (n % 13 != 6 || n < 100).then_some(10);
    let with = line().send(0..2_000, lossy).with_copies().run(40.2);
    let without = line().send(0..2_000, lossy).run(40.2);
    let recovered = with.picture().matches('R').count();
    assert!((120..=150).contains(&recovered), "{recovered} of 146");
    let at = CallTime::from_ms(40_000);
    assert_eq!(with.buffer.target_delay(at) - without.buffer.target_delay(at), TICK);
    let even = line().send(0..2_000, |_| Some(10)).with_copies().run(40.2);
    assert_eq!(even.buffer.target_delay(at), without.buffer.target_delay(at), "no loss, no room");
}

#[test]
fn of_a_burst_the_last_is_recovered_and_the_others_are_concealed() {
    let line = line().stiff().send(0..100, |n| (!(50..53).contains(&n)).then_some(10)).with_copies().run(2.2);
    assert!(line.picture().contains("PCCRP"), "{}", line.picture());
    assert_eq!(line.stats().lost, 3);
}

#[test]
fn a_long_hole_is_silence_and_the_delay_after_it_is_as_before() {
    let line = line().stiff().send(0..200, |n| (!(50..80).contains(&n)).then_some(10)).run(4.2);
    let picture = line.picture();
    let hole = picture.trim_start_matches('w').trim_matches('P');
    assert!(hole.starts_with("CCCg") && hole.len() == 30 && !hole.contains('w'), "{picture}");
    assert_eq!((line.stats().lost, line.stats().dropped), (30, 0));
}

#[test]
fn a_slow_packet_is_waited_for_and_not_lost() {
    // All packets from the 50th on take 100 ms more.
    let line = line().stiff().send(0..100, |n| Some(if n < 50 { 10 } else { 110 })).run(2.4);
    assert_eq!(line.played(), (0..100).collect::<Vec<u16>>());
    assert_eq!((line.stats().lost, line.stats().late), (0, 0));
    assert_eq!(line.made_up(), CONCEAL_MOST);
}

#[test]
fn a_late_packet_is_counted_and_dropped() {
    let line = line().send(0..100, |n| Some(if n == 50 { 130 } else { 10 })).run(2.2);
    assert!(!line.played().contains(&50));
    assert_eq!((line.stats().late, line.stats().lost), (1, 0), "late is not lost");
    assert_eq!(line.outcomes.iter().filter(|outcome| **outcome == PushOutcome::Late).count(), 1);
}

#[test]
fn after_a_late_packet_the_delay_grows_at_once() {
    let line = line().send(0..200, |n| Some(if n % 40 == 39 { 110 } else { 10 })).run(4.2);
    assert!(line.stats().late <= 1, "only the first one: {:?}", line.stats());
    assert!(line.lengthened_us >= 40_000, "{}", line.lengthened_us);
    assert!(line.buffer.target_delay(CallTime::from_ms(4_000)) >= Duration::from_millis(100));
}

#[test]
fn duplicates_are_counted_and_played_once() {
    let line = line().send(0..100, |_| Some(10)).send(0..100, |n| Some(15 + n % 90)).run(2.4);
    assert_eq!(line.played(), (0..100).collect::<Vec<u16>>());
    assert_eq!(line.stats().duplicate, 100);
}

#[test]
fn a_silence_of_the_sender_is_no_loss() {
    // Discontinuous transmission: one-byte packets 400 ms apart, numbers in sequence, timestamps running on.
    let mut line = line().send(0..50, |_| Some(10));
    let mut number = 50;
    for (n, at_ms) in (1_000..3_000).step_by(400).enumerate() {
        let sent = packet(at_ms / 20);
        let silence = RtpPacket { sequence: packet(number).sequence, payload: Bytes::from_static(&[0x48]), ..sent };
        number = 51 + n as u64;
        line.network.push(((at_ms + 10) * 1_000, silence));
    }
    for n in 0..50 {
        let speech = RtpPacket { sequence: packet(number + n).sequence, ..packet(150 + n) };
        line.network.push(((150 + n) * 20_000 + 10_000, speech));
    }
    let line = line.run(4.2);
    assert_eq!((line.stats().lost, line.made_up()), (0, Duration::ZERO), "{}", line.picture());
    assert_eq!(line.stats().played, 105);
}

#[test]
fn a_stream_that_stops_and_comes_back_is_played_with_its_old_delay() {
    for pause_packets in [20, 100, 1_000] {
        let line = line().send(0..100, |_| Some(10));
        let mut line = line.send(100 + pause_packets..300 + pause_packets, |_| Some(10));
        // The sender's numbers run on, its clock too.
        for (_, packet) in line.network.iter_mut().skip(100) {
            packet.sequence = packet.sequence.wrapping_sub(pause_packets as u16);
        }
        let line = line.run((300 + pause_packets) as f64 * 0.02 + 0.2);
        assert_eq!(line.played(), (0..300).collect::<Vec<u16>>(), "pause of {pause_packets}");
        assert_eq!(line.stats().lost, 0);
        assert!(line.buffer.waits().mean_ms() <= 60, "{:?}", line.buffer.waits().mean_ms());
    }
}

#[test]
fn a_jump_of_the_senders_clock_does_not_stop_the_stream() {
    for jump in [1_u32 << 31, 48_000 * 3_600, 0_u32.wrapping_sub(48_000 * 3_600), 0_u32.wrapping_sub(48_000 * 2)] {
        let mut line = line().send(0..200, |_| Some(10));
        for (_, packet) in line.network.iter_mut().skip(100) {
            packet.timestamp = packet.timestamp.wrapping_add(jump);
        }
        let line = line.run(4.4);
        assert_eq!(line.played(), (0..200).collect::<Vec<u16>>(), "jump of {jump}: {}", line.picture());
        assert!(line.buffer.waits().mean_ms() <= 70, "{:?}", line.buffer.waits().mean_ms());
    }
}

#[test]
fn another_source_takes_over_with_its_second_packet() {
    let mut line = line().send(0..100, |_| Some(10));
    for (n, (_, packet)) in line.network.iter_mut().enumerate().skip(50) {
        packet.ssrc = 8;
        packet.sequence = 300 + n as u16;
        packet.timestamp = packet.timestamp.wrapping_mul(77);
    }
    let line = line.run(2.4);
    assert_eq!(line.outcomes[50..53], [PushOutcome::Foreign, PushOutcome::NewStream, PushOutcome::Accepted]);
    let stats = line.stats();
    assert_eq!((stats.received, stats.foreign, stats.lost, stats.late), (100, 0, 0, 0));
    assert_eq!(stats.played + stats.dropped, 100);
    assert!(stats.dropped <= 4, "only what the old source had in the buffer");
}

#[test]
fn a_stray_packet_of_another_source_changes_nothing() {
    let mut line = line().send(0..100, |_| Some(10));
    for n in 0..10 {
        line.network.push((n * 200_000, RtpPacket { ssrc: 99, ..packet(3 * n) }));
        line.network.push((n * 200_000 + 1, RtpPacket { sequence: 20_000 + 7 * n as u16, ..packet(n) }));
    }
    line.network.sort_by_key(|(at, _)| *at);
    let line = line.run(2.4);
    // The very first packet on the line was the stray one: two of the true stream took it over.
    assert_eq!(line.stats().played + line.stats().dropped, 101);
    assert_eq!(line.stats().foreign, 19);
}

#[test]
fn packets_of_other_durations_are_played_without_a_gap() {
    for (packet_ms, _) in TOC {
        let mut line = line();
        let count = 2_000 / u64::from(packet_ms);
        for n in 0..count {
            let sent_us = (n + 1) * u64::from(packet_ms) * 1_000;
            if n != count / 2 {
                line.network.push((sent_us + 10_000, packet_of(packet_ms, n)));
            }
        }
        let line = line.run(2.3);
        let stats = line.stats();
        assert_eq!((stats.played, stats.lost), (count - 1, 1), "{packet_ms} ms");
        // 60 ms behind a lost packet are waited for, and that is concealed too.
        let surplus = line.made_up() - Duration::from_millis(u64::from(packet_ms));
        assert!(surplus <= TICK, "{packet_ms} ms: {}", line.picture());
        let sound: u64 = line.stream().iter().filter(|(_, p)| *p != Pull::Wait).map(|(_, p)| length_us(p)).sum();
        assert_eq!(Duration::from_micros(sound), Duration::from_millis(count * u64::from(packet_ms)) + surplus);
    }
}

#[test]
fn a_burst_after_a_standstill_keeps_no_more_than_the_longest_delay() {
    // For a second nothing comes, then all of it at once.
    let line = line().send(0..300, |n| Some(if (100..150).contains(&n) { (150 - n) * 20 + 10 } else { 10 })).run(3.2);
    assert!(line.buffer.held() <= 18);
    assert!((30..=40).contains(&line.stats().dropped), "{:?}", line.stats());
    assert_eq!(line.stats().lost, 0);
}

#[test]
fn over_an_hour_of_drifting_clocks_the_delay_neither_creeps_nor_runs_dry() {
    for ppm in [-200_i64, -30, 200] {
        let mut line = line();
        for n in 0..180_000_u64 {
            let sent_us = (n * 20_000) as i64;
            let jitter_us = (n * 7_919 % 13_000) as i64;
            line.network.push(((sent_us - sent_us * ppm / 1_000_000 + jitter_us + 10_000) as u64, packet(n)));
        }
        let line = line.run(3_598.0);
        let stats = line.stats();
        assert_eq!(
            (stats.lost, stats.late, stats.dropped, line.made_up()),
            (0, 0, 0, Duration::ZERO),
            "{ppm} ppm: {stats:?}"
        );
        let waits = line.buffer.waits();
        assert!(waits.mean_ms() <= 40 && waits.longest_ms() <= 60, "{ppm} ppm: {} ms", waits.mean_ms());
        // 200 ppm are 720 ms in an hour. They are stretched away, and little else is.
        let net_ms = (line.lengthened_us as i64 - line.shortened_us as i64) / 1_000;
        assert!((net_ms + ppm * 36 / 10).abs() <= 60, "{ppm} ppm: {net_ms} ms");
        assert!(line.lengthened_us + line.shortened_us < 2_000_000, "{ppm} ppm: {} us", line.lengthened_us);
        let told = i64::from(line.buffer.drift_ppm().unwrap());
        assert!((told - ppm).abs() <= 10, "{ppm} told as {told}");
    }
}

#[test]
fn settings_out_of_range_are_brought_into_range() {
    for settings in [
        JitterSettings { min_ms: 500, max_ms: 100, packet_ms: 0 },
        JitterSettings { min_ms: u32::MAX, max_ms: u32::MAX, packet_ms: u32::MAX },
        JitterSettings { min_ms: 0, max_ms: 0, packet_ms: 20 },
    ] {
        let line = Line::new(settings).send(0..100, |_| Some(10)).run(5.0);
        assert_eq!(line.stats().played + line.stats().dropped, 100, "{settings:?} {:?}", line.stats());
    }
}

/// Any packet; often near the one before it.
fn any_packet() -> impl Strategy<Value = (u64, RtpPacket)> {
    let payload = prop_oneof![
        Just(vec![0x48, 1, 2]),
        Just(vec![0x48]),
        Just(vec![0x58, 1, 2, 3]),
        prop::collection::vec(any::<u8>(), 0..4)
    ];
    let number = prop_oneof![4 => 0_u16..60, 1 => any::<u16>()];
    let timestamp = prop_oneof![4 => (0_u32..60).prop_map(|n| n * 960), 1 => any::<u32>()];
    (0_u64..60_000, number, timestamp, 0_u32..2, payload).prop_map(|(after_us, sequence, timestamp, ssrc, payload)| {
        let payload = Bytes::from(payload);
        (after_us, RtpPacket { payload_type: 111, sequence, timestamp, ssrc, marker: false, payload })
    })
}

fn assert_counts_add_up(stats: JitterStats, held: usize) {
    let JitterStats { played, dropped, late, duplicate, foreign, .. } = stats;
    assert_eq!(stats.received, played + dropped + late + duplicate + foreign + held as u64, "{stats:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_packets_at_any_time_are_survived_and_counted(packets in prop::collection::vec(any_packet(), 0..300)) {
        let mut line = line();
        let mut at = 0;
        for (after_us, packet) in packets {
            at += after_us;
            line.network.push((at, packet));
        }
        let line = line.run(at as f64 / 1e6 + 1.0);
        assert_counts_add_up(line.stats(), line.buffer.held());
        prop_assert!(line.buffer.held() <= MOST_PACKETS);
        let steps_only = |pull: &Pull| !matches!(pull, Pull::Recover { length, .. } | Pull::Conceal { length }
            if length.is_zero() || length.as_micros() % 2_500 != 0 || *length > Duration::from_millis(60));
        prop_assert!(line.pulls.iter().all(|(_, pull)| steps_only(pull)));
    }

    #[test]
    fn each_packet_is_played_at_most_once_and_in_order(
        delays in prop::collection::vec(prop::option::weighted(0.9, 0_u64..400), 300),
        doubled in prop::collection::vec(prop::option::weighted(0.1, 0_u64..400), 300),
    ) {
        let line = line().send(0..300, |n| delays[n as usize]).send(0..300, |n| doubled[n as usize]).run(7.0);
        let played = line.played();
        prop_assert!(played.windows(2).all(|two| two[0] < two[1]), "{played:?}");
        let stats = line.stats();
        assert_counts_add_up(stats, 0);
        // Everything between the first and the last packet was played, dropped, late or lost.
        let (Some(first), Some(last)) = (played.first(), played.last()) else { return Ok(()) };
        let late_before = (0..*first).filter(|n| delays[usize::from(*n)].or(doubled[usize::from(*n)]).is_some()).count() as u64;
        let span = u64::from(last - first) + 1;
        let accounted = stats.played + stats.dropped + stats.late + stats.lost;
        prop_assert!(span <= accounted && accounted <= span + late_before, "{span} of {accounted}: {stats:?}");
    }

    #[test]
    fn without_loss_and_with_little_jitter_everything_is_played(
        delays in prop::collection::vec(0_u64..20, 500), phase in 0_u64..20,
    ) {
        // Less than a packet of jitter: nothing can overtake, so nothing may be lost.
        let line = line().send(0..500, |n| Some(delays[n as usize] + phase)).run(11.0);
        prop_assert_eq!(line.played(), (0..500).collect::<Vec<u16>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn with_much_jitter_nearly_everything_is_played_after_adaptation(
        delays in prop::collection::vec(0_u64..200, 1_500), seed in 0_usize..100,
    ) {
        let line = line().send(0..1_500, |n| Some(delays[(n as usize + seed) % delays.len()])).run(31.0);
        let missed = (250..1_500).filter(|n| line.played().binary_search(n).is_err()).count();
        prop_assert!(missed <= 25, "{missed} of 1250, {:?}", line.stats());
        prop_assert_eq!(line.stats().lost, 0);
    }
}

/// What comes out, tick by tick, of packets that are here 10 ms after they were sent, where numbers 20 to 27 are keys'.
fn with_keys(told: bool) -> (String, JitterStats) {
    let mut buffer = JitterBuffer::new(JitterSettings { min_ms: 20, max_ms: 240, packet_ms: 20 });
    let mut picture = String::new();
    for n in 0..60_u64 {
        let at = CallTime::from_ms(n * 20 + 10);
        let packet = packet(n);
        if (20..28).contains(&n) {
            if told {
                buffer.other(packet.ssrc, packet.sequence);
            }
        } else {
            buffer.push(at, packet);
        }
        picture.push(match buffer.pull(CallTime::from_ms(n * 20 + 20), Duration::ZERO) {
            Pull::Packet(_) => 'P',
            Pull::Recover { .. } => 'R',
            Pull::Conceal { .. } => 'C',
            Pull::Wait => 'w',
            Pull::Gone => 'g',
        });
    }
    (picture, buffer.stats())
}

#[test]
fn a_number_that_a_key_has_taken_is_not_lost() {
    let (untold, lost) = with_keys(false);
    assert_eq!(lost.lost, 8, "{untold}");
    let (told, stats) = with_keys(true);
    assert_eq!((stats.lost, stats.late, stats.dropped), (0, 0, 0), "{told}");
    assert!(told.trim_start_matches('w').ends_with(&"P".repeat(25)), "the sound goes on after it: {told}");
}

#[test]
fn packets_of_another_codec_begin_anew() {
    let mut buffer = JitterBuffer::new(JitterSettings::default());
    for n in 0..5 {
        buffer.push(CallTime::from_ms(n * 20), packet(n));
    }
    buffer.speak(LineCodec::Pcmu);
    assert_eq!((buffer.held(), buffer.stats().dropped), (0, 5));
    let alaw = RtpPacket { payload: vec![0xd5; 80].into(), ..packet(5) };
    assert_eq!(buffer.push(CallTime::from_ms(100), alaw), PushOutcome::Accepted);
    // 80 octets are 10 ms: two of them are a tick.
    assert!(matches!(buffer.pull(CallTime::from_ms(300), Duration::ZERO), Pull::Packet(_)));
    assert_eq!(
        shape_of(&RtpPacket { payload: vec![0; 80].into(), ..packet(0) }, LineCodec::Pcmu, buffer.settings).length,
        480
    );
}
