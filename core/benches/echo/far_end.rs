//! The caller's end of the line: a loudspeaker, a room and a microphone, between two Opus coders.

use bytes::Bytes;
use duologue_core::audio::level::level_dbfs;
use duologue_core::audio::opus::{OpusDecoder, OpusEncoder, OpusSettings};
use duologue_core::audio::resample::Resampler;
use duologue_core::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};
use duologue_core::media::rtp::RtpPacket;

use crate::room::{Dice, Path, Room};

pub const OPUS: u8 = 111;
pub const SILENCE_DBFS: f32 = -100.0;
/// The microphone's own noise.
const NOISE_DBFS: f32 = -65.0;

/// The caller's end.
pub struct FarEnd<'a> {
    decoder: OpusDecoder,
    room: Room,
    up: Resampler,
    encoder: OpusEncoder,
    dice: Dice,
    sequence: u16,
    /// What the caller is saying, and the next sample of it.
    playing: Option<(&'a [f32], usize)>,
    /// Level of the last frame of it, dBFS.
    pub near_dbfs: f32,
}

impl<'a> FarEnd<'a> {
    pub fn new(path: Path, mut dice: Dice) -> Self {
        Self {
            decoder: OpusDecoder::new(HEAR_RATE).expect("a decoder"),
            room: Room::new(path, &mut dice),
            up: Resampler::live(HEAR_RATE, LINE_RATE).expect("usual rates"),
            encoder: OpusEncoder::new(OpusSettings::default()).expect("an encoder"),
            dice,
            sequence: 0,
            playing: None,
            near_dbfs: SILENCE_DBFS,
        }
    }

    /// Plays a packet, gives the one that the microphone makes of it and of the caller.
    pub fn tick(&mut self, packet: &Bytes) -> RtpPacket {
        let mut played = Vec::with_capacity(HEAR_FRAME);
        self.decoder.decode(packet, &mut played);
        let mut frame = [0.0; HEAR_FRAME];
        self.room.hear(&played, &mut frame);
        let noise = 10.0_f32.powf(NOISE_DBFS / 20.0);
        for sample in &mut frame {
            *sample += (self.dice.roll() * 2.0 - 1.0) * 1.73 * noise;
        }
        self.near_dbfs = SILENCE_DBFS;
        if let Some((clip, next)) = &mut self.playing {
            let end = (*next + HEAR_FRAME).min(clip.len());
            self.near_dbfs = level_dbfs(&clip[*next..end]);
            for (sample, voice) in frame.iter_mut().zip(&clip[*next..]) {
                *sample += voice;
            }
            *next += HEAR_FRAME;
            if *next >= clip.len() {
                self.playing = None;
            }
        }
        let mut line = Vec::with_capacity(LINE_FRAME);
        self.up.push(&frame, &mut line);
        let payload = self.encoder.encode(line.first_chunk().expect("20 ms")).expect("a packet");
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = u32::from(self.sequence) * LINE_FRAME as u32;
        RtpPacket { payload_type: OPUS, sequence: self.sequence, timestamp, ssrc: 1, marker: false, payload }
    }

    pub fn say(&mut self, clip: &'a [f32]) {
        self.playing = Some((clip, 0));
    }

    pub fn is_silent(&self) -> bool {
        self.playing.is_none()
    }
}
