//! Our own voice is told from a caller's, in a room, late, weak and distorted, and over it.

mod room;

use duologue_core::audio::HEAR_FRAME;
use duologue_core::audio::echo::EchoCanceller;
use duologue_core::audio::level::level_dbfs;
use duologue_core::media::self_voice::SelfVoice;
use proptest::prelude::*;
use room::voice::{AGENT, CALLER, speech};
use room::{Dice, Path, Room};

const PATH: Path = Path { loss_db: 10.0, delay_ms: 120, drift_ppm: 100.0, room_ms: 64 };

/// A tick of a call as the ear has it.
#[derive(Clone, Copy, Debug)]
struct Tick {
    likelihood: f32,
    heard_dbfs: f32,
    near_dbfs: f32,
}

/// Plays `agent` into a room and `caller` into its microphone. Whatever is shorter is followed by silence.
fn listen(path: Path, agent: &[f32], caller: &[f32], cancel: bool) -> (Vec<Tick>, SelfVoice) {
    let mut dice = Dice(7);
    let mut room = Room::new(path, &mut dice);
    let mut own = SelfVoice::new();
    let mut canceller = cancel.then(EchoCanceller::new);
    let ticks = agent.len().max(caller.len()) / HEAR_FRAME;
    let mut waiting = [0.0; HEAR_FRAME];
    let tick = |n: usize| {
        let microphone = waiting;
        let mut clean = microphone;
        if let Some(canceller) = &mut canceller {
            canceller.clean(&mut clean);
        }
        let likelihood = own.hear(&microphone, cancel.then_some(&clean));
        let said = frame(agent, n);
        if let Some(canceller) = &mut canceller {
            canceller.played(&said);
        }
        own.played(&said);
        room.hear(&said, &mut waiting);
        let near = frame(caller, n);
        for (sample, near) in waiting.iter_mut().zip(&near) {
            *sample += near + (dice.roll() - 0.5) * 1e-3;
        }
        // What is heard in this tick was sent in the one before.
        let before = n.checked_sub(1).map_or([0.0; HEAR_FRAME], |n| frame(caller, n));
        Tick { likelihood, heard_dbfs: level_dbfs(&clean), near_dbfs: level_dbfs(&before) }
    };
    ((0..ticks).map(tick).collect(), own)
}

fn frame(sound: &[f32], n: usize) -> [f32; HEAR_FRAME] {
    let mut frame = [0.0; HEAR_FRAME];
    let rest = sound.get(n * HEAR_FRAME..).unwrap_or_default();
    frame.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    frame
}

fn silence(seconds: usize) -> Vec<f32> {
    vec![0.0; seconds * 16_000]
}

/// The share of the ticks for which something holds.
fn share<'a>(ticks: impl Iterator<Item = &'a Tick>, holds: impl Fn(&Tick) -> bool) -> f32 {
    let (mut all, mut held) = (0, 0);
    for tick in ticks {
        all += 1;
        held += u32::from(holds(tick));
    }
    held as f32 / all.max(1) as f32
}

fn is_loud(tick: &&Tick) -> bool {
    tick.heard_dbfs > -50.0
}

#[test]
fn an_echo_is_our_own_voice_at_any_strength_and_delay() {
    let agent = speech(AGENT, 6.0);
    for (loss_db, delay_ms) in [(0.0, 40), (10.0, 0), (10.0, 400), (20.0, 120), (30.0, 300)] {
        let (ticks, own) = listen(Path { loss_db, delay_ms, ..PATH }, &agent, &[], false);
        let told = share(ticks[50..].iter().filter(is_loud), |tick| tick.likelihood > 0.6);
        assert!(told > 0.98, "-{loss_db} dB, {delay_ms} ms: {told}");
        let delay = own.delay().expect("it is known").as_millis() as i64;
        let expected = i64::from(delay_ms) + 20;
        assert!((delay - expected).abs() <= 20, "{delay} ms for {expected}");
    }
}

#[test]
fn so_is_what_a_canceller_leaves_of_it() {
    let (ticks, _) = listen(PATH, &speech(AGENT, 6.0), &[], true);
    let told = share(ticks[50..].iter().filter(is_loud), |tick| tick.likelihood > 0.6);
    assert!(told > 0.98, "{told}");
}

#[test]
fn the_first_words_that_come_back_are_known_within_a_few_ticks() {
    for seed in 10..15 {
        let agent = speech(room::voice::Speaker { seed, ..AGENT }, 2.0);
        let (ticks, _) = listen(PATH, &agent, &[], false);
        let missed = ticks.iter().filter(is_loud).filter(|tick| tick.likelihood < 0.6).count();
        assert!(missed <= 9, "{missed} ticks of voice {seed} are taken for a caller");
    }
}

#[test]
fn a_caller_over_the_agent_s_voice_is_heard() {
    let agent = speech(AGENT, 8.0);
    let caller = [silence(5), speech(CALLER, 3.0)].concat();
    for (cancel, delay_ms) in [(false, 40), (false, 300), (true, 120)] {
        let (ticks, _) = listen(Path { delay_ms, ..PATH }, &agent, &caller, cancel);
        let over = ticks[260..].iter().filter(|tick| tick.near_dbfs > -32.0);
        let heard = share(over, |tick| tick.likelihood < 0.6);
        assert!(heard > 0.8, "canceller {cancel}, {delay_ms} ms: {heard}");
    }
}

#[test]
fn a_caller_in_the_agent_s_first_second_is_heard() {
    let caller = [silence(1)[..9_600].to_vec(), speech(CALLER, 3.0)].concat();
    for cancel in [false, true] {
        let (ticks, _) = listen(PATH, &speech(AGENT, 4.0), &caller, cancel);
        let over = ticks[32..150].iter().filter(|tick| tick.near_dbfs > -32.0);
        let heard = share(over, |tick| tick.likelihood < 0.6);
        assert!(heard > 0.6, "canceller {cancel}: {heard}");
    }
}

#[test]
fn the_end_of_an_echo_is_still_our_voice_and_a_caller_after_it_is_not() {
    let agent = speech(AGENT, 6.0);
    let caller = [silence(7), speech(CALLER, 3.0)].concat();
    let (ticks, _) = listen(Path { delay_ms: 400, ..PATH }, &agent, &caller, false);
    let tail = share(ticks[300..322].iter().filter(is_loud), |tick| tick.likelihood > 0.6);
    assert!(tail > 0.9, "{tail}");
    let heard = share(ticks[355..].iter(), |tick| tick.likelihood == 0.0);
    assert_eq!(heard, 1.0);
}

#[test]
fn a_loudspeaker_that_is_turned_up_is_believed_within_a_second() {
    let quiet: Vec<f32> = speech(AGENT, 8.0);
    let mut room = Room::new(PATH, &mut Dice(7));
    let mut own = SelfVoice::new();
    let mut waiting = [0.0; HEAR_FRAME];
    let mut taken_for_a_caller = 0;
    for n in 0..quiet.len() / HEAR_FRAME {
        let likelihood = own.hear(&waiting, None);
        taken_for_a_caller += u32::from(n > 200 && level_dbfs(&waiting) > -50.0 && likelihood < 0.6);
        let said = frame(&quiet, n);
        own.played(&said);
        room.hear(&said, &mut waiting);
        // Ten decibels more from the fourth second on.
        waiting.iter_mut().for_each(|sample| *sample *= if n < 200 { 1.0 } else { 3.2 });
    }
    assert!(taken_for_a_caller < 50, "{taken_for_a_caller} ticks of 20 ms");
}

#[test]
fn who_hears_nothing_of_us_is_never_taken_for_us() {
    // A headset: no echo at all, the caller speaks over the agent. These voices have one rhythm, and nothing tells them apart while
    // both begin in the same tick: he begins a second later.
    let caller = [silence(1), speech(CALLER, 5.0)].concat();
    let (ticks, own) = listen(Path { loss_db: 90.0, ..PATH }, &speech(AGENT, 6.0), &caller, false);
    let heard = share(ticks.iter().filter(|tick| tick.near_dbfs > -32.0), |tick| tick.likelihood < 0.6);
    assert!(heard > 0.95, "{heard}");
    assert_eq!(own.delay(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is played: silence on the microphone is not our voice, and not anybody's.
    #[test]
    fn silence_is_nobody(frames in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, HEAR_FRAME), 1..60)) {
        let mut own = SelfVoice::new();
        for frame in &frames {
            prop_assert_eq!(own.hear(&[0.0; HEAR_FRAME], None), 0.0);
            own.played(frame.as_slice().try_into().expect("a frame"));
        }
    }

    /// Numbers that are none, and sounds that are too loud, do no harm.
    #[test]
    fn it_is_a_probability_whatever_is_heard(
        frames in prop::collection::vec((any::<f32>(), any::<f32>(), any::<u8>()), 1..80),
    ) {
        let mut own = SelfVoice::new();
        for (played, heard, clean) in frames {
            let clean = [heard / f32::from(clean); HEAR_FRAME];
            let likelihood = own.hear(&[heard; HEAR_FRAME], Some(&clean));
            prop_assert!((0.0..=0.99).contains(&likelihood), "{}", likelihood);
            own.played(&[played; HEAR_FRAME]);
        }
    }
}
