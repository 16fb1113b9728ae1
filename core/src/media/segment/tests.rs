use proptest::prelude::*;

use super::*;

/// A segmenter fed from a picture: one character a frame, `#` speech, `+` half sure, `.` silence.
struct Room {
    segmenter: Segmenter,
    frames: u64,
    heard: Vec<Heard>,
    input: Vec<f32>,
}

/// Every sample tells where it came from; silence is quieter than speech.
fn frame(number: u64, loud: bool) -> [f32; HEAR_FRAME] {
    std::array::from_fn(|n| {
        let sample = (number * HEAR_FRAME as u64 + n as u64) as f32;
        if loud { 0.1 + sample * 1e-8 } else { sample * 1e-8 }
    })
}

impl Room {
    fn new(settings: SegmentSettings) -> Self {
        Self { segmenter: Segmenter::new(settings), frames: 0, heard: Vec::new(), input: Vec::new() }
    }

    fn hear(&mut self, picture: &str) -> Heard {
        for c in picture.chars().filter(|c| !c.is_whitespace()) {
            let probability = match c {
                '#' => 0.9,
                '+' => 0.4,
                _ => 0.05,
            };
            let frame = frame(self.frames, c != '.');
            self.frames += 1;
            self.input.extend_from_slice(&frame);
            self.heard.push(self.segmenter.feed(CallTime::from_ms(self.frames * 20), &frame, probability));
        }
        *self.heard.last().unwrap()
    }

    /// The frame in which something happened, counted from 1.
    fn when(&self, what: impl Fn(&Heard) -> bool) -> Option<usize> {
        self.heard.iter().position(what).map(|frame| frame + 1)
    }

    fn take(&mut self) -> Utterance {
        self.segmenter.take().expect("an open utterance")
    }
}

fn room() -> Room {
    Room::new(SegmentSettings::default())
}

#[test]
fn speech_begins_after_ninety_milliseconds_and_ends_after_a_hundred() {
    let mut room = room();
    room.hear(".......... ########## ..........");
    assert_eq!(room.when(|heard| heard.onset), Some(15), "the fifth frame of speech");
    assert_eq!(room.when(|heard| heard.offset), Some(25), "the fifth frame after it");
    let on = &room.heard[14];
    assert_eq!((on.speech, on.speech_ms, on.silence_ms), (true, 100, 0));
    let end = room.heard.last().unwrap();
    assert_eq!((end.speech, end.speech_ms, end.silence_ms), (false, 0, 200));
    assert_eq!(end.speech_end, CallTime::from_ms(400));
}

#[test]
fn a_click_is_no_onset_and_does_not_end_a_silence() {
    let mut room = room();
    room.hear("########## ..........");
    let during = room.hear("##");
    assert_eq!(during.silence_ms, 200, "stands still while it may become speech");
    let after = room.hear(".");
    assert_eq!(after.silence_ms, 260, "and has gone on all the while");
    assert_eq!(room.heard.iter().filter(|heard| heard.onset).count(), 1);
}

#[test]
fn a_sagging_probability_keeps_speech_going_but_does_not_begin_it() {
    let mut room = room();
    room.hear("++++++++++++++++++++");
    assert_eq!(room.when(|heard| heard.speech), None);
    room.hear("##### ++++++++++");
    let end = room.heard.last().unwrap();
    assert_eq!((end.speech, end.silence_ms), (true, 0));
    assert_eq!(end.speech_end, CallTime::from_ms(500), "the last frame that was sure");
}

#[test]
fn the_utterance_begins_with_the_pre_roll_and_keeps_its_pauses() {
    let mut room = room();
    room.hear(&".".repeat(100));
    room.hear("########## .................... ########## ..........");
    let utterance = room.take();
    assert!(utterance.first_sample <= 85 * 320, "300 ms before frame 100");
    assert!(utterance.first_sample >= 60 * 320, "and not much more");
    assert_eq!(utterance.audio[..], room.input[utterance.first_sample as usize..][..utterance.audio.len()]);
    let end = utterance.first_sample as usize + utterance.audio.len();
    assert_eq!(end, 150 * 320, "the pause is in it, and 200 ms after the last word");
    assert_eq!(utterance.speech_end, CallTime::from_ms(140 * 20));
    assert_eq!(utterance.speech_ms, 400);
    assert_eq!(utterance.began, CallTime::from_ms(utterance.first_sample / 16));
    assert!(
        (utterance.level_dbfs - level::dbfs(0.1)).abs() < 0.5,
        "the level of speech alone: {}",
        utterance.level_dbfs
    );
}

#[test]
fn a_partial_is_all_of_the_utterance_so_far() {
    let mut room = room();
    assert!(room.segmenter.audio().is_empty());
    room.hear(".......... ####");
    assert!(room.segmenter.audio().is_empty(), "not confirmed yet");
    room.hear("#");
    assert_eq!(room.segmenter.audio()[..], room.input[..], "the whole 200 ms before it are pre-roll");
    room.hear("##");
    assert_eq!(room.segmenter.audio()[..], room.input[..]);
    assert_eq!(room.take().audio[..], room.input[..]);
}

#[test]
fn what_begins_while_an_utterance_is_taken_belongs_to_the_next() {
    let mut room = room();
    room.hear("########## .............................. ###");
    let first = room.take();
    room.hear("#######");
    let second = room.take();
    let end = first.first_sample as usize + first.audio.len();
    assert!(end >= 20 * 320, "200 ms after the last word of the first");
    assert_eq!(second.first_sample as usize, end, "nothing lost between the two");
    assert!(second.first_sample <= 25 * 320, "300 ms before the first sound of the second");
}

#[test]
fn an_utterance_taken_from_somebody_who_speaks_goes_on_in_the_next() {
    let mut room = room();
    room.hear("##########");
    let first = room.take();
    assert_eq!(first.audio.len(), room.input.len());
    let heard = room.hear("#####");
    assert!(heard.speech && !heard.onset, "it is still the same speech");
    assert_eq!(room.take().audio[..], room.input[first.audio.len()..]);
    assert!(room.segmenter.take().is_some_and(|empty| empty.audio.is_empty()));
}

#[test]
fn a_caller_who_never_stops_is_cut_where_it_is_quietest() {
    let mut room = room();
    // 30 s of speech, with a breath of 60 ms three seconds before its end.
    room.hear(&"#".repeat(1_350));
    room.hear("...");
    let heard = room.hear(&"#".repeat(147));
    assert!(heard.part && heard.speech);
    let part = room.segmenter.take_part().unwrap();
    let end = part.first_sample as usize + part.audio.len();
    assert!((1_350 * 320..1_353 * 320).contains(&end), "cut at {} ms", end / 16);
    assert_eq!(part.speech_end, CallTime::from_ms(end as u64 / 16));
    let rest = room.take();
    assert_eq!(rest.first_sample as usize, end);
    assert_eq!([&part.audio[..], &rest.audio[..]].concat(), room.input);
    assert_eq!(room.segmenter.take_part(), None);
}

#[test]
fn parts_that_nobody_takes_are_bounded() {
    let mut room = Room::new(SegmentSettings { longest_ms: 2_000, ..SegmentSettings::default() });
    room.hear(&"#".repeat(5_000));
    assert!(room.segmenter.audio().len() <= samples(2_000));
    let parts = std::iter::from_fn(|| room.segmenter.take_part()).count();
    assert_eq!(parts, MOST_PARTS);
}

/// Answers with the first sample of its window.
struct FirstSample(Vec<f32>);

impl Vad for FirstSample {
    fn probability(&mut self, frame: &[f32; VAD_FRAME]) -> f32 {
        self.0.push(frame[0]);
        if frame[0] == 0.0 { f32::NAN } else { frame[0] }
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

#[test]
fn windows_of_a_detector_follow_on_from_each_other_whatever_the_frames() {
    let mut windows = VadWindow::new(Box::new(FirstSample(Vec::new())));
    let sound: Vec<f32> = (0..3_200).map(|n| n as f32 / 3_200.0).collect();
    let newest: Vec<f32> = sound.chunks(HEAR_FRAME).map(|frame| windows.feed(frame)).collect();
    let at = |sample: usize| sample as f32 / 3_200.0;
    // The window from 0 answers nonsense, which counts as silence.
    let expected = [0.0, 0.0, 0.0, at(512), at(1_024), at(1_024), at(1_536), at(2_048), at(2_048), at(2_560)];
    assert_eq!(newest, expected);
    windows.reset();
    assert_eq!(windows.feed(&sound[..100]), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_sample_is_in_one_utterance_or_was_silence(
        runs in prop::collection::vec((0_usize..3, 1_usize..60), 1..30),
        taken in prop::collection::vec(any::<bool>(), 30),
        longest_ms in prop::sample::select(vec![2_000_u32, 30_000]),
        pre_roll_ms in 0_u32..500,
    ) {
        let mut room = Room::new(SegmentSettings { longest_ms, pre_roll_ms, ..SegmentSettings::default() });
        let mut utterances = Vec::new();
        for ((kind, frames), take) in runs.iter().zip(taken) {
            for _ in 0..*frames {
                room.hear(["#", "+", "."][*kind]);
                utterances.extend(room.segmenter.take_part());
            }
            if take {
                utterances.extend(room.segmenter.take());
            }
        }
        utterances.extend(room.segmenter.take());
        let mut end = 0;
        for utterance in &utterances {
            let first = utterance.first_sample as usize;
            prop_assert!(first >= end, "nothing twice");
            end = first + utterance.audio.len();
            prop_assert_eq!(&utterance.audio[..], &room.input[first..end], "contiguous, as it came in");
            prop_assert!(utterance.audio.len() <= samples(longest_ms) + samples(pre_roll_ms) * 2 + 3 * HEAR_FRAME);
            prop_assert!(utterance.speech_end <= CallTime::from_ms(end as u64 / 16));
        }
        // Every frame of speech is in one of them, and so is the pre-roll of every onset.
        for (n, heard) in room.heard.iter().enumerate() {
            let covered = |sample: usize| utterances.iter().any(|utterance| {
                (utterance.first_sample as usize..utterance.first_sample as usize + utterance.audio.len()).contains(&sample)
            });
            if heard.speech && heard.silence_ms == 0 {
                prop_assert!(covered(n * HEAR_FRAME));
            }
            if heard.onset {
                let before = (n + 1) * HEAR_FRAME - samples(heard.speech_ms);
                prop_assert!((before.saturating_sub(samples(pre_roll_ms))..before).step_by(80).all(covered));
            }
        }
    }
}

/// Three seconds of speech, a pause, speech again.
fn spoken_on_after(pause: &str) -> Room {
    let mut room = room();
    room.hear(&"#".repeat(150));
    room.hear(pause);
    room.hear(&"#".repeat(50));
    room
}

#[test]
fn what_lies_before_a_pause_that_is_spoken_on_after_is_a_part() {
    let mut room = spoken_on_after("..........");
    let part = room.segmenter.take_part().expect("a part");
    assert_eq!(part.voiced_until, 150 * HEAR_FRAME as u64);
    assert_eq!(part.audio.len(), 155 * HEAR_FRAME, "to the middle of the pause");
    let rest = room.take();
    assert_eq!([&part.audio[..], &rest.audio[..]].concat(), room.input);
}

#[test]
fn a_pause_shorter_than_the_setting_parts_nothing() {
    let mut room = spoken_on_after("......");
    assert_eq!(room.segmenter.take_part(), None, "120 ms");
    assert!(spoken_on_after(".......").segmenter.take_part().is_some(), "140 ms");
}

#[test]
fn a_turn_too_short_to_part_stays_whole() {
    let mut room = room();
    room.hear(&"#".repeat(100));
    room.hear("..........");
    room.hear(&"#".repeat(100));
    assert_eq!(room.segmenter.take_part(), None);
    room.hear("..........");
    room.hear(&"#".repeat(10));
    assert!(room.segmenter.take_part().is_some(), "by the next pause it is long enough");
}

#[test]
fn whoever_judges_the_sound_of_a_turn_hears_it_across_its_parts() {
    let mut room = spoken_on_after("..........");
    assert_eq!(room.segmenter.turn_audio()[..], room.input);
    room.hear(&"#".repeat(300));
    assert_eq!(room.segmenter.turn_audio()[..], room.input[room.input.len() - 8 * HEAR_RATE as usize..]);
    room.take();
    assert!(spoken_on_after("").segmenter.turn_audio().len() == 200 * HEAR_FRAME);
}
