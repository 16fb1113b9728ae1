//! The receiving half of a call: packets in, one [`Heard`] a tick out, and the open utterance for the recogniser.

use std::sync::Arc;

use super::echo::{Echo, EchoMeans};
use super::jitter::JitterSettings;
use super::receiver::{Receiver, ReceiverSettings};
use super::red::{RedCounts, Unpacker};
use super::rtp::RtpPacket;
use super::segment::{Heard, SegmentSettings, Segmenter, Utterance, VadWindow};
use crate::audio::codec::{CodecError, LineCodec};
use crate::audio::resample::UnsupportedRates;
use crate::audio::vad::Vad;
use crate::audio::{HEAR_FRAME, LINE_FRAME};
use crate::dialogue::floor::Hearing;
use crate::journal::MediaTotals;
use crate::time::{CallTime, TICK};

/// The ear's numbers; each comes from the configuration, which has the ranges.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EarSettings {
    pub jitter_min_ms: u32,
    pub jitter_max_ms: u32,
    pub stretch_speech: bool,
    pub vad_threshold: f32,
    pub onset_ms: u32,
    pub pre_roll_ms: u32,
    /// See [`SegmentSettings::part_ms`].
    pub part_ms: u32,
    /// See [`SegmentSettings::part_pause_ms`].
    pub part_pause_ms: u32,
}

/// Comfort noise (RFC 3389).
pub const NOISE_TYPE: u8 = 13;

/// Why there is no ear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Rates(#[from] UnsupportedRates),
}

/// One call's ear.
pub struct Ear {
    /// The payload type that the peers agreed on for sound.
    payload_type: u8,
    /// ... and for redundant audio, where they did.
    red: Option<u8>,
    unpacker: Unpacker,
    receiver: Receiver,
    vad: VadWindow,
    segmenter: Segmenter,
    echo: Echo,
    frame: [f32; HEAR_FRAME],
    sensed: Sensed,
}

/// What floating point and models made of a tick's sound: all that the sound itself decides. With these numbers a call is heard
/// again as it was, on any machine, without the detector's model, and without the agent's voice for the echo canceller.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensed {
    /// The voice detector's.
    pub probability: f32,
    pub echo_likelihood: f32,
    pub level_dbfs: f32,
    /// See [`Receiver::stretched`].
    pub stretched: i32,
}

impl Ear {
    /// An ear for one peer that sends Opus; `opus` is its payload type.
    ///
    /// # Errors
    /// When libopus gives no decoder: it is out of memory.
    pub fn new(settings: EarSettings, vad: Box<dyn Vad>, opus: u8) -> Result<Self, EarError> {
        let jitter = JitterSettings {
            min_ms: settings.jitter_min_ms,
            max_ms: settings.jitter_max_ms,
            packet_ms: TICK.as_millis() as u32,
        };
        let segment = SegmentSettings {
            onset_ms: settings.onset_ms,
            pre_roll_ms: settings.pre_roll_ms,
            part_ms: settings.part_ms,
            part_pause_ms: settings.part_pause_ms,
            ..SegmentSettings::with_threshold(settings.vad_threshold)
        };
        Ok(Self {
            payload_type: opus,
            red: None,
            unpacker: Unpacker::default(),
            receiver: Receiver::new(ReceiverSettings { jitter, stretch_speech: settings.stretch_speech })?,
            vad: VadWindow::new(vad),
            segmenter: Segmenter::new(segment),
            echo: Echo::new()?,
            frame: [0.0; HEAR_FRAME],
            sensed: Sensed::default(),
        })
    }

    /// Also reads redundant audio (RFC 2198), where the peers agreed on a payload type for it.
    #[must_use]
    pub fn with_redundancy(self, red: Option<u8>) -> Self {
        Self { red, ..self }
    }

    /// From here on this codec is heard, under this payload type, and no copies.
    ///
    /// # Errors
    /// When there is no decoder for it; the old one goes on then.
    pub fn speak(&mut self, codec: LineCodec, payload_type: u8) -> Result<(), EarError> {
        self.receiver.speak(codec)?;
        (self.payload_type, self.red) = (payload_type, None);
        Ok(())
    }

    /// A packet has arrived. Other payload types than the agreed one, alone or with copies, are not for the ear.
    pub fn packet(&mut self, at: CallTime, packet: RtpPacket) {
        if packet.payload_type == self.payload_type {
            self.unpacker.saw(&packet);
            self.receiver.packet(at, packet);
        } else if Some(packet.payload_type) == self.red {
            for packet in self.unpacker.open(&packet, self.payload_type) {
                self.receiver.packet(at, packet);
            }
        } else if self.says_silence(&packet) {
            self.receiver.noise(&packet);
        } else {
            self.receiver.other(&packet);
        }
    }

    /// Comfort noise has this payload type where the clock is of 8 kHz, agreed on or not (RFC 3551, table 4).
    fn says_silence(&self, packet: &RtpPacket) -> bool {
        packet.payload_type == NOISE_TYPE && self.receiver.is_of_8_khz()
    }

    /// From here on this is done about the echo of our voice; nothing at first.
    pub fn mind_echo(&mut self, means: EchoMeans) {
        self.echo.mind(means);
    }

    /// Whether the echo of our voice is taken out of what is heard.
    pub const fn cancels_echo(&self) -> bool {
        self.echo.means().canceller
    }

    /// What went out in this tick, as it was sent: ducked, faded and silent frames included. Once a tick, after
    /// [`Self::tick`]: none of it can come back before the next.
    pub fn played(&mut self, frame: &[f32; LINE_FRAME]) {
        self.echo.played(frame);
    }

    /// Hears the next 20 ms. Once a tick.
    pub fn tick(&mut self, at: CallTime) -> Hearing {
        self.listen(at).hearing()
    }

    /// As [`Self::tick`], with everything that is known of the frame.
    pub fn listen(&mut self, at: CallTime) -> Heard {
        self.receiver.frame(at, &mut self.frame);
        let echo_likelihood = self.echo.hear(&mut self.frame);
        let probability = self.vad.feed(&self.frame);
        let heard = self.segmenter.feed(at, &self.frame, probability);
        self.receiver.judged(&self.frame, !heard.speech && probability < QUIET_PROBABILITY);
        let stretched = self.receiver.stretched();
        self.sensed = Sensed { probability, echo_likelihood, level_dbfs: heard.level_dbfs, stretched };
        Heard { probability, echo_likelihood, ..heard }
    }

    /// Hears the next 20 ms again, as they were: the packets are the same, and so is what was made of their sound.
    pub fn tick_as(&mut self, at: CallTime, sensed: Sensed) -> Hearing {
        self.receiver.frame_as(at, sensed.stretched, &mut self.frame);
        let Sensed { probability, echo_likelihood, level_dbfs, .. } = sensed;
        let heard = self.segmenter.feed(at, &self.frame, probability);
        self.receiver.judged(&self.frame, !heard.speech && probability < QUIET_PROBABILITY);
        self.sensed = sensed;
        // With another threshold there may be speech now where there was none, whose level nobody noted.
        let level_dbfs = if heard.level_dbfs == 0.0 || level_dbfs == 0.0 { heard.level_dbfs } else { level_dbfs };
        Heard { probability, echo_likelihood, level_dbfs, ..heard }.hearing()
    }

    /// What was made of the last tick's sound.
    pub const fn sensed(&self) -> Sensed {
        self.sensed
    }

    /// What was heard in the last tick: 320 samples.
    pub fn frame(&self) -> &[f32] {
        &self.frame
    }

    /// The open utterance so far; empty when there is none.
    pub fn utterance(&self) -> Arc<[f32]> {
        self.segmenter.audio()
    }

    /// How it sounds so far: the last 8 s of it, parts that were cut off included.
    pub fn turn_audio(&self) -> Arc<[f32]> {
        self.segmenter.turn_audio()
    }

    /// Where the open utterance ends, in samples of everything heard.
    pub const fn heard(&self) -> u64 {
        self.segmenter.heard()
    }

    /// Ends the open utterance; what is heard from here on belongs to the next.
    pub fn close_utterance(&mut self) {
        self.segmenter.take();
    }

    /// Ends the open utterance and hands it over.
    pub fn take_utterance(&mut self) -> Option<Utterance> {
        self.segmenter.take()
    }

    /// The beginning of an utterance that the recogniser need not hear again: see [`Segmenter::take_part`].
    pub fn take_part(&mut self) -> Option<Utterance> {
        self.segmenter.take_part()
    }

    /// The receiving side of the call's totals.
    pub fn totals(&self) -> MediaTotals {
        self.receiver.totals()
    }

    /// What redundancy has brought back so far.
    pub fn redundancy(&self) -> RedCounts {
        self.unpacker.counts()
    }

    /// Packets and where the sound came from.
    pub const fn receiver(&self) -> &Receiver {
        &self.receiver
    }
}

/// Below this the sound may be stretched anyhow, and is the room's: an onset is not missed by it, since the detector's
/// probability has risen before it is confirmed.
const QUIET_PROBABILITY: f32 = 0.2;

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::audio::opus::{OpusEncoder, OpusSettings};
    use crate::audio::vad::EnergyVad;
    use crate::audio::{HEAR_RATE, LINE_FRAME, LINE_RATE};
    use crate::media::red::Repeats;

    const SETTINGS: EarSettings = EarSettings {
        jitter_min_ms: 20,
        jitter_max_ms: 240,
        stretch_speech: true,
        vad_threshold: 0.5,
        onset_ms: 90,
        pre_roll_ms: 300,
        part_ms: 3_000,
        part_pause_ms: 140,
    };

    /// A second of hum, a second of a voice-like sound, a second of hum: as packets.
    fn packets() -> Vec<RtpPacket> {
        let mut encoder = OpusEncoder::new(OpusSettings::default()).unwrap();
        let sample = |n: usize| {
            let t = n as f32 / LINE_RATE as f32;
            let voice: f32 = (1..=10).map(|k| (t * 150.0 * k as f32 * TAU).sin() / k as f32).sum();
            if (1.0..2.0).contains(&t) { voice * 0.2 } else { (t * 50.0 * TAU).sin() * 1e-4 }
        };
        let packet = |n: usize| RtpPacket {
            payload_type: 111,
            sequence: n as u16,
            timestamp: (n * LINE_FRAME) as u32,
            ssrc: 1,
            marker: false,
            payload: encoder.encode(&std::array::from_fn(|k| sample(n * LINE_FRAME + k))).unwrap(),
        };
        (0..150).map(packet).collect()
    }

    /// Plays the packets, each 10 ms after it was sent but for the lost ones; gives what was heard, tick by tick.
    fn heard(ear: &mut Ear, lost: impl Fn(usize) -> bool) -> Vec<Heard> {
        let packets = packets();
        let tick = |n: usize| {
            if let Some(packet) = packets.get(n).filter(|_| !lost(n)) {
                ear.packet(CallTime::from_ms(n as u64 * 20 + 10), packet.clone());
            }
            ear.listen(CallTime::from_ms(n as u64 * 20 + 20))
        };
        (0..155).map(tick).collect()
    }

    fn ear() -> Ear {
        Ear::new(SETTINGS, Box::new(EnergyVad::default()), 111).unwrap()
    }

    #[test]
    fn a_voice_on_the_line_is_heard_and_kept() {
        let mut ear = ear();
        let heard = heard(&mut ear, |_| false);
        let onset = heard.iter().find(|heard| heard.onset).expect("an onset");
        assert!((1_050..1_300).contains(&onset.at.ms()), "{onset:?}");
        let end = heard.iter().rfind(|heard| heard.offset).expect("an offset");
        assert!((2_050..2_400).contains(&end.at.ms()), "{end:?}");
        let utterance = ear.take_utterance().expect("an utterance");
        assert!((1.2..2.2).contains(&(utterance.audio.len() as f32 / HEAR_RATE as f32)));
        assert!(utterance.began < onset.at - std::time::Duration::from_millis(300));
        assert!(ear.utterance().is_empty());
    }

    #[test]
    fn lost_packets_are_counted_and_the_voice_goes_on() {
        let mut ear = ear();
        let heard = heard(&mut ear, |n| n % 10 == 9);
        assert_eq!(heard.iter().filter(|heard| heard.onset).count(), 1, "no loss tears the voice apart");
        let totals = ear.totals();
        assert_eq!((totals.packets_received, totals.packets_lost), (135, 14), "the last is not known to be lost");
        let repaired = totals.frames_recovered + totals.frames_concealed;
        assert!((14..=18).contains(&repaired), "{totals:?}");
        assert!(totals.frames_recovered >= 4, "the voice's; hum has no copies: {totals:?}");
    }

    /// Every third packet lost, each sent again with the next: nothing is missing, and nothing is guessed at.
    #[test]
    fn what_is_lost_comes_back_with_the_packet_after_it() {
        let mut ear = ear().with_redundancy(Some(63));
        let mut repeats = Repeats::default();
        for (n, packet) in packets().into_iter().enumerate() {
            let (payload, _) = repeats.pack(111, packet.timestamp, &packet.payload, &[1]);
            if n % 3 != 1 {
                ear.packet(CallTime::from_ms(n as u64 * 20 + 10), RtpPacket { payload_type: 63, payload, ..packet });
            }
            ear.listen(CallTime::from_ms(n as u64 * 20 + 20));
        }
        let totals = ear.totals();
        assert_eq!((totals.packets_received, totals.packets_lost, totals.frames_recovered), (150, 0, 0));
        assert_eq!(ear.redundancy().recovered, 50);
    }

    #[test]
    fn other_payload_types_are_not_for_the_ear() {
        let mut ear = ear();
        ear.packet(CallTime::ZERO, RtpPacket { payload_type: 110, ..packets().remove(0) });
        assert_eq!(ear.totals().packets_received, 0);
    }
}
