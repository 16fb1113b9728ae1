//! The telephone's receiver: packets in, 20 ms of sound out each tick, whatever the network did.
//!
//! Jitter buffer, decoder, time-stretch and comfort noise, and the joints between them. Every sample that goes out came from
//! a packet, was recovered, concealed, added by stretching or is comfort noise, and is counted as that ([`SoundCounts`]).

use std::time::Duration;

use super::jitter::{JitterBuffer, JitterSettings, Pull, PushOutcome, Wish};
use super::rtp::RtpPacket;
use crate::audio::codec::{CodecError, LineCodec, LineDecoder};
use crate::audio::comfort::ComfortNoise;
use crate::audio::opus::Origin;
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_RATE, level, stretch};
use crate::journal::MediaTotals;
use crate::time::{CallTime, TICK};

/// The receiver's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverSettings {
    pub jitter: JitterSettings,
    /// False: the delay changes only where nobody speaks.
    pub stretch_speech: bool,
}

/// Where the sound came from, in samples at 16 kHz. What came in, plus `lengthened`, less `shortened`, is what was heard and
/// what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundCounts {
    pub packets: u64,
    /// From the copy in the packet after a lost one.
    pub recovered: u64,
    /// Made up for lost and slow packets, from what was heard before or, after 60 ms of that, as comfort noise.
    pub concealed: u64,
    /// While nothing was to be heard: the sender has not begun, or paused.
    pub comfort: u64,
    pub lengthened: u64,
    pub shortened: u64,
    pub heard: u64,
}

impl SoundCounts {
    /// True when what came in is what went out and what is `left`.
    pub const fn adds_up(&self, left: usize) -> bool {
        let came = self.packets + self.recovered + self.concealed + self.comfort + self.lengthened;
        came == self.heard + self.shortened + left as u64
    }
}

/// Concealment past this says nothing: it fades into comfort noise within a tick.
const FADE_AFTER: Duration = Duration::from_millis(60);
/// The fade out, in samples: a tick.
const FADE_OUT: usize = HEAR_FRAME;
/// The fade in, 5 ms: it takes the edge off a beginning, and no consonant.
const FADE_IN: usize = HEAR_RATE as usize / 200;
/// How alike two places of speech must be to be joined (see [`stretch`]).
const ALIKE: f32 = 0.85;
/// In haste: a rough joint is better than packets that come too late.
const ALIKE_ENOUGH: f32 = 0.6;
/// Where nobody speaks any two places will do.
const ANYHOW: f32 = -1.0;
/// A frame up to this much above the room's level, 6 dB, is room.
const ROOM: f32 = 2.0;
/// And one below -66 dBFS is, whatever the room.
const HUSH: f32 = 5e-4;
/// Joints in speech are at least so far apart: the tempo then changes by at most a fifth.
const JOINT_EVERY: Duration = Duration::from_millis(60);

/// See the module's words.
pub struct Receiver {
    settings: ReceiverSettings,
    jitter: JitterBuffer,
    decoder: LineDecoder,
    /// 48 kHz ticks in one of the codec's RTP clock.
    line_ticks: u32,
    comfort: ComfortNoise,
    /// Not heard yet: less than a tick, or what is left of a longer packet.
    sound: Vec<f32>,
    /// How much of the decoder is heard, 0.0..=1.0; the rest is comfort noise.
    open: f32,
    /// Concealed since the last packet.
    made_up: Duration,
    /// The number of the sample, counted from the first that was heard, up to which something was made up.
    made_until: u64,
    /// Nobody was heard in the last tick.
    quiet: bool,
    joined: CallTime,
    /// See [`Self::stretched`].
    stretched: i32,
    counts: SoundCounts,
}

impl Receiver {
    /// For one peer that sends Opus.
    ///
    /// # Errors
    /// When libopus gives no decoder: it is out of memory.
    pub fn new(settings: ReceiverSettings) -> Result<Self, CodecError> {
        Ok(Self {
            settings,
            jitter: JitterBuffer::new(settings.jitter),
            decoder: LineDecoder::new(LineCodec::Opus)?,
            line_ticks: LineCodec::Opus.line_ticks(),
            comfort: ComfortNoise::default(),
            sound: Vec::new(),
            open: 0.0,
            made_up: Duration::ZERO,
            made_until: 0,
            quiet: true,
            joined: CallTime::ZERO,
            stretched: 0,
            counts: SoundCounts::default(),
        })
    }

    /// From here on packets are of this codec.
    ///
    /// # Errors
    /// When there is no decoder for it; the old one goes on then.
    pub fn speak(&mut self, codec: LineCodec) -> Result<(), CodecError> {
        let decoder = LineDecoder::new(codec)?;
        self.fade_away();
        self.jitter.speak(codec);
        (self.decoder, self.line_ticks) = (decoder, codec.line_ticks());
        Ok(())
    }

    /// A packet of the codec has arrived, with a timestamp of the codec's clock.
    pub fn packet(&mut self, at: CallTime, packet: RtpPacket) -> PushOutcome {
        // Both wrap at 2^32, and so does their product.
        let timestamp = packet.timestamp.wrapping_mul(self.line_ticks);
        let outcome = self.jitter.push(at, RtpPacket { timestamp, ..packet });
        if outcome == PushOutcome::NewStream {
            self.fade_away();
            self.decoder.reset();
        }
        outcome
    }

    /// Whether the codec's RTP clock is that of telephones.
    pub const fn is_of_8_khz(&self) -> bool {
        self.line_ticks == LINE_RATE / 8_000
    }

    /// A packet that is no sound has arrived from the same sender.
    pub fn other(&mut self, packet: &RtpPacket) {
        self.jitter.other(packet.ssrc, packet.sequence);
    }

    /// The sender says that it is silent now, and how loud its room is (RFC 3389, section 3). What else it says, the spectrum of a room
    /// heard up to 4 kHz, is none of the one that is heard here.
    pub fn noise(&mut self, packet: &RtpPacket) {
        self.jitter.silence(packet.ssrc, packet.sequence);
        if let Some(level) = packet.payload.first() {
            // The first bit is none of the level's.
            self.comfort.told(level & 0x7f);
        }
    }

    /// The old voice fades; the new one begins when it has its delay.
    fn fade_away(&mut self) {
        if self.open > 0.0 {
            self.made_up = FADE_AFTER;
            self.conceal(TICK);
        }
    }

    /// The next 20 ms. Once a tick.
    pub fn frame(&mut self, at: CallTime, out: &mut [f32; HEAR_FRAME]) {
        self.fill(at);
        self.stretched = self.stretch(at);
        self.give(at, out);
    }

    /// As [`Self::frame`], stretched by so many samples whatever it sounds like: as it was when this was heard live.
    pub fn frame_as(&mut self, at: CallTime, stretched: i32, out: &mut [f32; HEAR_FRAME]) {
        self.fill(at);
        if self.may_stretch() {
            self.jitter.wish(at, self.at_hand());
        }
        self.stretched = self.stretch_by(at, stretched);
        self.give(at, out);
    }

    /// By how many samples the last frame was made longer, or, below zero, shorter.
    pub const fn stretched(&self) -> i32 {
        self.stretched
    }

    fn give(&mut self, at: CallTime, out: &mut [f32; HEAR_FRAME]) {
        if self.stretched != 0 {
            self.fill(at);
        }
        for (out, sample) in out.iter_mut().zip(&self.sound) {
            // Opus made of noise can be louder than full scale.
            *out = sample.clamp(-1.0, 1.0);
        }
        self.sound.drain(..HEAR_FRAME);
        self.counts.heard += HEAR_FRAME as u64;
    }

    /// What the voice detector says of the frame that was given last.
    pub fn judged(&mut self, frame: &[f32; HEAR_FRAME], quiet: bool) {
        self.quiet = quiet;
        let genuine = self.counts.heard - HEAR_FRAME as u64 >= self.made_until;
        if quiet && genuine && self.open >= 1.0 {
            self.comfort.learn(frame);
        }
    }

    /// Where the sound came from.
    pub const fn counts(&self) -> SoundCounts {
        self.counts
    }

    /// Samples that are decoded and not heard yet.
    pub fn left(&self) -> usize {
        self.sound.len()
    }

    /// The packets' side of it.
    pub const fn jitter(&self) -> &JitterBuffer {
        &self.jitter
    }

    /// The receiving side of a call's totals.
    pub fn totals(&self) -> MediaTotals {
        let (packets, waits, sound) = (self.jitter.stats(), self.jitter.waits(), self.counts);
        let ms = |samples: u64| samples * 1_000 / u64::from(HEAR_RATE);
        MediaTotals {
            packets_received: packets.received,
            packets_lost: packets.lost,
            packets_late: packets.late,
            packets_duplicate: packets.duplicate,
            packets_sent: 0,
            frames_concealed: sound.concealed.div_ceil(HEAR_FRAME as u64),
            frames_recovered: sound.recovered.div_ceil(HEAR_FRAME as u64),
            jitter_delay_ms: waits.mean_ms(),
            jitter_delay_p95_ms: waits.p95_ms(),
            jitter_delay_max_ms: waits.longest_ms(),
            heard_ms: ms(sound.heard),
            comfort_ms: ms(sound.comfort),
            shortened_ms: ms(sound.shortened),
            lengthened_ms: ms(sound.lengthened),
            drift_ppm: self.jitter.drift_ppm(),
        }
    }

    fn at_hand(&self) -> Duration {
        Duration::from_nanos(self.sound.len() as u64 * 1_000_000_000 / u64::from(HEAR_RATE))
    }

    /// Pulls until there is a tick's worth.
    fn fill(&mut self, at: CallTime) {
        while self.sound.len() < HEAR_FRAME {
            let from = self.sound.len();
            match self.jitter.pull(at, self.at_hand()) {
                Pull::Packet(packet) => {
                    let origin = self.decoder.decode(&packet.payload, &mut self.sound);
                    self.count(origin, from);
                }
                Pull::Recover { next, length } => {
                    let origin = self.decoder.recover(&next.payload, length, &mut self.sound);
                    self.count(origin, from);
                }
                Pull::Conceal { length } => self.conceal(length),
                Pull::Wait => self.counts.comfort += self.rest(),
                Pull::Gone => self.counts.concealed += self.rest(),
            }
        }
    }

    fn count(&mut self, origin: Origin, from: usize) {
        let samples = (self.sound.len() - from) as u64;
        match origin {
            Origin::Packet => self.counts.packets += samples,
            Origin::Redundancy => self.counts.recovered += samples,
            Origin::Concealed => self.counts.concealed += samples,
        }
        self.made_up = Duration::ZERO;
        self.shape(from, 1.0, FADE_IN);
        if origin != Origin::Packet {
            self.note_made();
        }
    }

    fn conceal(&mut self, length: Duration) {
        let from = self.sound.len();
        self.decoder.conceal(length, &mut self.sound);
        self.counts.concealed += (self.sound.len() - from) as u64;
        self.made_up += length;
        if self.made_up > FADE_AFTER {
            self.shape(from, 0.0, FADE_OUT);
        } else {
            self.shape(from, self.open, FADE_OUT);
        }
        self.note_made();
    }

    /// Nothing is played for the rest of the tick: the room alone, after what was heard last has faded. Gives its samples.
    fn rest(&mut self) -> u64 {
        let from = self.sound.len();
        if self.open > 0.0 {
            self.decoder.conceal(TICK, &mut self.sound);
        }
        self.sound.resize(HEAR_FRAME, 0.0);
        self.shape(from, 0.0, FADE_OUT.min(HEAR_FRAME - from));
        self.note_made();
        (HEAR_FRAME - from) as u64
    }

    fn note_made(&mut self) {
        self.made_until = self.counts.heard + self.sound.len() as u64;
    }

    /// Opens or closes the way from the decoder within `ramp` samples; comfort noise takes what is left of the power.
    fn shape(&mut self, from: usize, open: f32, ramp: usize) {
        if self.open >= 1.0 && open >= 1.0 {
            return;
        }
        let step = 1.0 / ramp.max(1) as f32;
        for sample in &mut self.sound[from..] {
            self.open = if open > self.open { (self.open + step).min(open) } else { (self.open - step).max(open) };
            *sample = *sample * self.open + self.comfort.sample() * (1.0 - self.open * self.open).max(0.0).sqrt();
        }
    }

    /// Nothing is stretched that was made up or is fading.
    fn may_stretch(&self) -> bool {
        self.open >= 1.0 && self.made_up == Duration::ZERO
    }

    /// Stretches by what was found live: no sound is looked at.
    fn stretch_by(&mut self, at: CallTime, samples: i32) -> i32 {
        let by = (samples.unsigned_abs() as usize).min(HEAR_RATE as usize);
        match samples {
            0 => return 0,
            1.. => {
                self.sound.resize(self.sound.len() + by, 0.0);
                self.counts.lengthened += by as u64;
            }
            _ => {
                self.sound.truncate(self.sound.len().saturating_sub(by));
                self.counts.shortened += by as u64;
            }
        }
        self.joined = at;
        samples
    }

    /// Makes the newest sound shorter or longer, where that is wished for and not heard; gives by how much.
    fn stretch(&mut self, at: CallTime) -> i32 {
        if !self.may_stretch() {
            return 0;
        }
        let (by, soon, longer) = match self.jitter.wish(at, self.at_hand()) {
            Wish::Keep => return 0,
            Wish::Shorter { by, soon } => (by, soon, false),
            Wish::Longer { by, soon } => (by, soon, true),
        };
        let from = self.sound.len().saturating_sub(HEAR_FRAME);
        let room = self.quiet && level::rms(&self.sound[from..]) <= (self.comfort.rms() * ROOM).max(HUSH);
        let may = room || (self.settings.stretch_speech && (soon || at.since(self.joined) >= JOINT_EVERY));
        if !may {
            return 0;
        }
        let likeness = if room {
            ANYHOW
        } else if soon {
            ALIKE_ENOUGH
        } else {
            ALIKE
        };
        let most = (by.as_micros() as u64 * u64::from(HEAR_RATE) / 1_000_000) as usize;
        let changed = if longer {
            let added = stretch::lengthen(&mut self.sound, from, most.max(2 * stretch::SHORTEST), likeness);
            self.counts.lengthened += added as u64;
            added
        } else {
            let removed = stretch::shorten(&mut self.sound, from, most, likeness);
            self.counts.shortened += removed as u64;
            removed
        };
        if changed > 0 {
            self.joined = at;
        }
        let changed = i32::try_from(changed).unwrap_or(i32::MAX);
        if longer { changed } else { -changed }
    }
}
