//! The receiving half of a call: packets in, one [`Heard`] a tick out, and the open utterance for the recogniser.

use std::sync::Arc;

use super::echo::Echo;
use super::jitter::{JitterBuffer, JitterSettings, JitterStats, Pull, PushOutcome};
use super::rtp::RtpPacket;
use super::segment::{Heard, SegmentSettings, Segmenter, Utterance, VadWindow};
use crate::audio::opus::{OpusDecoder, OpusError};
use crate::audio::resample::UnsupportedRates;
use crate::audio::vad::Vad;
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME};
use crate::dialogue::floor::Hearing;
use crate::journal::MediaTotals;
use crate::time::{CallTime, TICK};

/// The ear's numbers; each comes from the configuration, which has the ranges.
#[derive(Clone, Copy, Debug)]
pub struct EarSettings {
    pub jitter_min_ms: u32,
    pub jitter_max_ms: u32,
    pub vad_threshold: f32,
    pub onset_ms: u32,
    pub pre_roll_ms: u32,
    /// A voice this likely to be our own is not the caller's: 0.0..=1.0; 1.0 takes every echo for a caller.
    pub echo_likelihood: f32,
}

/// Why there is no ear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarError {
    #[error(transparent)]
    Codec(#[from] OpusError),
    #[error(transparent)]
    Rates(#[from] UnsupportedRates),
}

/// One call's ear.
pub struct Ear {
    /// The payload type that the peers agreed on for Opus.
    opus: u8,
    jitter: JitterBuffer,
    decoder: OpusDecoder,
    vad: VadWindow,
    segmenter: Segmenter,
    echo: Echo,
    echo_likelihood: f32,
    /// Decoded and not heard yet: less than a tick, or what is left of a longer packet.
    decoded: Vec<f32>,
    frame: [f32; HEAR_FRAME],
    /// Nobody was heard in the last tick.
    quiet: bool,
}

impl Ear {
    /// An ear for one peer; `opus` is the payload type of Opus agreed with it.
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
            ..SegmentSettings::with_threshold(settings.vad_threshold)
        };
        Ok(Self {
            opus,
            jitter: JitterBuffer::new(jitter),
            decoder: OpusDecoder::new(HEAR_RATE)?,
            vad: VadWindow::new(vad),
            segmenter: Segmenter::new(segment),
            echo: Echo::new()?,
            echo_likelihood: settings.echo_likelihood,
            decoded: Vec::new(),
            frame: [0.0; HEAR_FRAME],
            quiet: true,
        })
    }

    /// A packet has arrived. Other payload types than Opus are not for the ear.
    pub fn packet(&mut self, at: CallTime, packet: RtpPacket) {
        if packet.payload_type == self.opus && self.jitter.push(at, packet) == PushOutcome::NewStream {
            self.decoder.reset();
        }
    }

    /// Cancels the echo of our voice from here on, or stops doing so.
    pub fn cancel_echo(&mut self, on: bool) {
        self.echo.cancel(on);
    }

    /// What went out in this tick, as it was sent: ducked, faded and silent frames included. Once a tick, after
    /// [`Self::tick`]: none of it can come back before the next.
    pub fn played(&mut self, frame: &[f32; LINE_FRAME]) {
        self.echo.played(frame);
    }

    /// What is known of the echo.
    pub fn echo(&self) -> &Echo {
        &self.echo
    }

    /// Hears the next 20 ms. Once a tick.
    pub fn tick(&mut self, at: CallTime) -> Hearing {
        self.listen(at).hearing()
    }

    /// As [`Self::tick`], with everything that is known of the frame.
    pub fn listen(&mut self, at: CallTime) -> Heard {
        while self.decoded.len() < HEAR_FRAME {
            match self.jitter.pull(at, self.quiet) {
                Pull::Packet(packet) => self.decoder.decode(&packet.payload, &mut self.decoded),
                Pull::Recover { next, length } => self.decoder.recover(&next.payload, length, &mut self.decoded),
                Pull::Conceal { length } => self.decoder.conceal(length, &mut self.decoded),
                Pull::Wait => {
                    self.decoded.resize(HEAR_FRAME, 0.0);
                    break;
                }
            };
        }
        self.frame.copy_from_slice(&self.decoded[..HEAR_FRAME]);
        self.decoded.drain(..HEAR_FRAME);
        let echo_likelihood = self.echo.hear(&mut self.frame);
        let probability = self.vad.feed(&self.frame);
        let callers = if echo_likelihood < self.echo_likelihood { probability } else { 0.0 };
        let heard = self.segmenter.feed(at, &self.frame, callers);
        self.quiet = !heard.speech && probability < QUIET_PROBABILITY;
        Heard { probability, echo_likelihood, ..heard }
    }

    /// What was heard in the last tick: 320 samples.
    pub fn frame(&self) -> &[f32] {
        &self.frame
    }

    /// The open utterance so far; empty when there is none.
    pub fn utterance(&self) -> Arc<[f32]> {
        self.segmenter.audio()
    }

    /// Ends the open utterance; what is heard from here on belongs to the next.
    pub fn close_utterance(&mut self) {
        self.segmenter.take();
    }

    /// Ends the open utterance and hands it over.
    pub fn take_utterance(&mut self) -> Option<Utterance> {
        self.segmenter.take()
    }

    /// The beginning of an utterance that grew too long for the recogniser: see [`Segmenter::take_part`].
    pub fn take_part(&mut self) -> Option<Utterance> {
        self.segmenter.take_part()
    }

    /// The receiving side of the call's totals.
    pub fn totals(&self) -> MediaTotals {
        self.jitter.stats().totals()
    }

    /// Everything that is counted of the packets.
    pub fn stats(&self) -> JitterStats {
        self.jitter.stats()
    }
}

/// Below this the jitter buffer may leave out or repeat 20 ms: an onset is not missed by it, since the detector's
/// probability has risen before it is confirmed.
const QUIET_PROBABILITY: f32 = 0.2;

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::audio::LINE_RATE;
    use crate::audio::opus::{OpusEncoder, OpusSettings};
    use crate::audio::vad::EnergyVad;

    const SETTINGS: EarSettings = EarSettings {
        jitter_min_ms: 20,
        jitter_max_ms: 240,
        vad_threshold: 0.5,
        onset_ms: 90,
        pre_roll_ms: 300,
        echo_likelihood: 0.6,
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
        assert_eq!(totals.frames_recovered, 14);
    }

    #[test]
    fn other_payload_types_are_not_for_the_ear() {
        let mut ear = ear();
        ear.packet(CallTime::ZERO, RtpPacket { payload_type: 110, ..packets().remove(0) });
        assert_eq!(ear.totals().packets_received, 0);
    }
}
