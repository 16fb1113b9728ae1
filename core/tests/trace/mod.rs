//! A caller, a network with seeded weather, and a receiver's clock, in virtual time. Shared by tests and benchmarks.
#![allow(dead_code, reason = "each test binary uses its own part")]

use bytes::Bytes;
use duologue_core::audio::HEAR_FRAME;
use duologue_core::audio::resample::Resampler;
use duologue_core::audio::{HEAR_RATE, LINE_RATE};
use duologue_core::media::jitter::JitterSettings;
use duologue_core::media::receiver::{Receiver, ReceiverSettings};
use duologue_core::media::rtp::RtpPacket;
use duologue_core::time::CallTime;

/// A packet and when it was sent, or arrived: microseconds.
pub type Timed = (u64, RtpPacket);

/// Numbers that look random and are the same for the same seed: Steele, Lea and Flood's splitmix, 2014.
#[derive(Clone, Debug)]
pub struct Draw(pub u64);

impl Draw {
    /// 0.0..1.0
    pub fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What the network does to packets, each on its own but for bursts of loss.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Share of the packets that are lost: 0.0..1.0.
    pub loss: f64,
    /// Mean length of a burst of losses, in packets (Gilbert and Elliott's model with total loss in the bad state); up to 1:
    /// each packet on its own.
    pub burst: f64,
    /// A packet takes 10 ms and up to this more, evenly: those far enough apart overtake each other.
    pub jitter_ms: f64,
    /// Share of the packets that come twice.
    pub doubled: f64,
    /// How much faster than ours the sender's clock runs, parts per million.
    pub drift_ppm: i64,
}

/// What arrives of these packets, in the order of arrival.
pub fn travel(sent: &[Timed], weather: Weather, seed: u64) -> Vec<Timed> {
    let mut draw = Draw(seed);
    let (mut bad, mut arrived) = (false, Vec::new());
    for (sent_us, packet) in sent {
        let out_of = if weather.burst > 1.0 {
            // The share of time in the bad state is the loss; it is left with one over the mean length.
            let leave = 1.0 / weather.burst;
            let enter = leave * weather.loss / (1.0 - weather.loss).max(1e-9);
            bad = if bad { draw.share() >= leave } else { draw.share() < enter };
            bad
        } else {
            draw.share() < weather.loss
        };
        // A fast clock's packets come early, the more the longer it runs.
        let ours_us = (*sent_us as i64 - (*sent_us as i64 * weather.drift_ppm) / 1_000_000) as u64;
        for copy in [!out_of, !out_of && draw.share() < weather.doubled] {
            let way_us = 10_000 + (draw.share() * weather.jitter_ms * 1_000.0) as u64;
            if copy {
                arrived.push((ours_us + way_us, packet.clone()));
            }
        }
    }
    arrived.sort_by_key(|(at, _)| *at);
    arrived
}

/// How a caller's packets are made.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    /// 10, 20, 40 or 60.
    pub packet_ms: u32,
    /// In-band copies for an expected loss of this many per cent; 0: none.
    pub expected_loss: u8,
    /// Sends nothing while it hears nothing.
    pub dtx: bool,
    pub ssrc: u32,
    pub first_sequence: u16,
    pub first_timestamp: u32,
}

impl Default for Speaker {
    fn default() -> Self {
        // Both numbers wrap early.
        Self {
            packet_ms: 20,
            expected_loss: 10,
            dtx: false,
            ssrc: 7,
            first_sequence: 65_500,
            first_timestamp: u32::MAX - 20_000,
        }
    }
}

impl Speaker {
    /// Speaks this (16 kHz mono) at 24 kb/s; each packet leaves when its sound is over.
    pub fn speak(&self, sound: &[f32]) -> Vec<Timed> {
        let mut encoder =
            opus::Encoder::new(LINE_RATE, opus::Channels::Mono, opus::Application::Voip).expect("an encoder");
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).expect("a bitrate");
        encoder.set_complexity(5).expect("a complexity");
        encoder.set_signal(opus::Signal::Voice).expect("a signal");
        encoder.set_inband_fec(self.expected_loss > 0).expect("copies");
        encoder.set_packet_loss_perc(i32::from(self.expected_loss)).expect("a loss");
        encoder.set_dtx(self.dtx).expect("DTX");
        let mut line = Vec::new();
        let mut up = Resampler::new(HEAR_RATE, LINE_RATE).expect("two rates");
        up.push(sound, &mut line);
        up.flush(&mut line);
        let samples = (self.packet_ms * LINE_RATE / 1_000) as usize;
        let (mut sequence, mut silent, mut sent) = (self.first_sequence, false, Vec::new());
        for (n, frame) in line.chunks_exact(samples).enumerate() {
            let payload = Bytes::from(encoder.encode_vec_float(frame, 1_275).expect("a packet"));
            // As browsers do: of the packets that only say "still nothing", the first is sent.
            let nothing = payload.len() <= 2;
            if nothing && silent {
                continue;
            }
            silent = nothing;
            let timestamp = self.first_timestamp.wrapping_add((n * samples) as u32);
            let packet = RtpPacket { payload_type: 111, sequence, timestamp, ssrc: self.ssrc, marker: false, payload };
            sent.push(((n as u64 + 1) * u64::from(self.packet_ms) * 1_000, packet));
            sequence = sequence.wrapping_add(1);
        }
        sent
    }
}

/// A receiver and what came out of it.
pub struct Listener {
    pub receiver: Receiver,
    pub heard: Vec<f32>,
    now_us: u64,
    arrived: usize,
}

impl Listener {
    pub fn new(jitter: JitterSettings, stretch_speech: bool) -> Self {
        let receiver = Receiver::new(ReceiverSettings { jitter, stretch_speech }).expect("a decoder");
        Self { receiver, heard: Vec::new(), now_us: 0, arrived: 0 }
    }

    /// One with the settings of a call.
    pub fn usual() -> Self {
        Self::new(JitterSettings { min_ms: 20, max_ms: 240, packet_ms: 20 }, true)
    }

    /// Listens to these packets, from the first tick on, for so many ticks more. `quiet` says of a frame whether nobody
    /// speaks in it.
    pub fn listen(&mut self, network: &[Timed], ticks: u64, quiet: impl Fn(&[f32]) -> bool) {
        for _ in 0..ticks {
            while let Some((at, packet)) = network.get(self.arrived).filter(|(at, _)| *at <= self.now_us) {
                self.receiver.packet(CallTime::from_us(*at), packet.clone());
                self.arrived += 1;
            }
            let mut frame = [0.0; HEAR_FRAME];
            self.receiver.frame(CallTime::from_us(self.now_us), &mut frame);
            self.receiver.judged(&frame, quiet(&frame));
            self.heard.extend(frame);
            self.now_us += 20_000;
        }
    }

    /// Every sample that came in has gone out, or is still there.
    pub fn accounted_for(&self) -> bool {
        let sound = self.receiver.counts();
        let packets = self.receiver.jitter().stats();
        let became = packets.played
            + packets.dropped
            + packets.late
            + packets.duplicate
            + packets.foreign
            + self.receiver.jitter().held() as u64;
        sound.adds_up(self.receiver.left()) && packets.received == became && sound.heard == self.heard.len() as u64
    }
}

/// Root mean square in decibels below full scale.
pub fn level_dbfs(sound: &[f32]) -> f32 {
    duologue_core::audio::level::level_dbfs(sound)
}

/// A frame below -52 dBFS: nobody speaks. The detector of tests, in which a voice is loud and a room is not.
pub fn hushed(frame: &[f32]) -> bool {
    level_dbfs(frame) < -52.0
}
