//! Sound that a client sends faster or slower than it is spoken, played on the call's clock.
//!
//! What comes in time goes on at once, as it came: unevenness is the jitter buffer's affair. What comes ahead of time waits, at
//! most [`AHEAD`] before it is due. Where a client stops sending for [`BEHIND`] it has paused: the clock goes on and no packet is
//! missing.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::audio::codec::LineCodec;
use crate::media::rtp::RtpPacket;

/// How far ahead of the clock sound goes on: within what the jitter buffer evens out (`media.jitter_max_ms`, 240 ms unless set).
const AHEAD: Duration = Duration::from_millis(100);
/// A client that is so far behind has paused. Mobile networks stall for less.
const BEHIND: Duration = Duration::from_millis(250);
/// Sound that may wait: more than anybody says in one turn. At 24 kHz these are 2.9 MB a call.
const WAITING_MOST: Duration = Duration::from_secs(60);

/// One client's sound on its way into a call.
#[derive(Debug)]
pub struct Pace {
    codec: LineCodec,
    payload_type: u8,
    waiting: VecDeque<u8>,
    /// When the first sample after a pause was due, and clocks that have gone on since then.
    begun: Option<Instant>,
    gone: u64,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// Clocks that have gone on altogether, and milliseconds of sound in another codec before that.
    heard: u64,
    heard_before_ms: u64,
}

impl Pace {
    /// `payload_type` is what packets are marked with.
    pub fn new(codec: LineCodec, payload_type: u8) -> Self {
        let (sequence, timestamp) = (rand::random(), rand::random());
        let waiting = VecDeque::new();
        let (begun, ssrc) = (None, 1);
        Self { codec, payload_type, waiting, begun, gone: 0, sequence, timestamp, ssrc, heard: 0, heard_before_ms: 0 }
    }

    /// From here on the client sends this. What waits is not to be heard.
    pub fn speak(&mut self, codec: LineCodec, payload_type: u8) {
        let heard_before_ms = self.heard_ms();
        // Another clock is another source (RFC 3550, section 5.2).
        *self = Self { ssrc: self.ssrc + 1, heard_before_ms, ..Self::new(codec, payload_type) };
    }

    /// More sound, as the codec has it. False: so much waits already that none of it is taken.
    pub fn push(&mut self, sound: &[u8]) -> bool {
        if self.ms_of(self.waiting.len() + sound.len()) > WAITING_MOST.as_millis() as u64 {
            return false;
        }
        self.waiting.extend(sound);
        true
    }

    /// What waits is not to be heard.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// How much waits, milliseconds.
    pub fn waiting_ms(&self) -> u64 {
        self.ms_of(self.waiting.len())
    }

    /// How much has gone on so far, milliseconds: the place in the client's own stream.
    pub fn heard_ms(&self) -> u64 {
        self.heard_before_ms + self.heard * 1_000 / u64::from(self.codec.clock_hz())
    }

    /// The next packet that is due by now, 20 ms each.
    pub fn due(&mut self, now: Instant) -> Option<RtpPacket> {
        let bytes = self.clocks_to_bytes(u64::from(self.codec.tick_clocks()));
        if self.waiting.len() < bytes {
            return None;
        }
        let begun = *self.begun.get_or_insert(now);
        let passed = self.clocks(now.saturating_duration_since(begun));
        if self.gone + self.clocks(BEHIND) < passed {
            let pause = passed - self.gone;
            self.timestamp = self.timestamp.wrapping_add(pause as u32);
            self.gone = passed;
        }
        if self.gone > passed + self.clocks(AHEAD) {
            return None;
        }
        let payload: Bytes = self.waiting.drain(..bytes).collect();
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        let clocks = self.codec.tick_clocks();
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(clocks);
        self.gone += u64::from(clocks);
        self.heard += u64::from(clocks);
        let (payload_type, ssrc) = (self.payload_type, self.ssrc);
        Some(RtpPacket { payload_type, sequence, timestamp, ssrc, marker: false, payload })
    }

    fn clocks(&self, time: Duration) -> u64 {
        (time.as_micros() * u128::from(self.codec.clock_hz()) / 1_000_000) as u64
    }

    fn clocks_to_bytes(&self, clocks: u64) -> usize {
        let size = if matches!(self.codec, LineCodec::L16(_)) { 2 } else { 1 };
        clocks as usize * size
    }

    fn ms_of(&self, bytes: usize) -> u64 {
        let a_second = self.clocks_to_bytes(self.codec.clock_hz().into());
        (bytes * 1_000 / a_second) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::L16Rate;

    fn pace() -> Pace {
        Pace::new(LineCodec::Pcmu, 0)
    }

    /// So many milliseconds of sound.
    fn sound(ms: usize) -> Vec<u8> {
        vec![0xff; 8 * ms]
    }

    fn all(pace: &mut Pace, now: Instant) -> Vec<RtpPacket> {
        std::iter::from_fn(|| pace.due(now)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_sent_at_once_is_heard_as_fast_as_it_was_spoken() {
        let (mut pace, begun) = (pace(), Instant::now());
        assert!(pace.push(&sound(10_000)));
        let mut heard = 0;
        for tick in 0..500 {
            heard += all(&mut pace, begun + Duration::from_millis(20 * tick)).len() as u64;
            assert!((1..=6).contains(&(heard - tick)), "at most 100 ms ahead: {heard} packets at tick {tick}");
        }
        assert_eq!((heard, pace.waiting_ms(), pace.heard_ms()), (500, 0, 10_000));
    }

    #[tokio::test(start_paused = true)]
    async fn sound_that_comes_in_time_goes_on_at_once() {
        let (mut pace, begun) = (pace(), Instant::now());
        let mut last = None;
        for chunk in 0..50 {
            pace.push(&sound(100));
            for packet in all(&mut pace, begun + Duration::from_millis(100 * chunk)) {
                if let Some((sequence, timestamp)) = last {
                    assert_eq!(
                        (packet.sequence, packet.timestamp),
                        (u16::wrapping_add(sequence, 1), u32::wrapping_add(timestamp, 160))
                    );
                }
                last = Some((packet.sequence, packet.timestamp));
            }
            assert_eq!(pace.waiting_ms(), 0, "nothing is held back");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_a_pause_and_no_loss() {
        let (mut pace, begun) = (pace(), Instant::now());
        pace.push(&sound(20));
        let before = pace.due(begun).expect("a packet");
        pace.push(&sound(20));
        let after = pace.due(begun + Duration::from_secs(3)).expect("a packet");
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 3 * 8_000);
    }

    #[tokio::test(start_paused = true)]
    async fn another_codec_goes_on_where_the_one_before_it_was() {
        let (mut pace, begun) = (Pace::new(LineCodec::L16(L16Rate::Hz24000), 96), Instant::now());
        pace.push(&vec![0; 48 * 100]);
        let before = all(&mut pace, begun);
        pace.speak(LineCodec::Pcmu, 0);
        assert_eq!((pace.waiting_ms(), pace.heard_ms()), (0, 20 * before.len() as u64), "what waited is not heard");
        pace.push(&sound(20));
        let after = pace.due(begun + Duration::from_millis(200)).expect("a packet");
        assert_eq!((after.payload_type, after.payload.len()), (0, 160));
        assert_ne!(after.ssrc, before[0].ssrc);
        assert_eq!(pace.heard_ms(), 20 * before.len() as u64 + 20);
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_refused_as_a_whole() {
        let mut pace = Pace::new(LineCodec::L16(L16Rate::Hz24000), 96);
        assert!(pace.push(&vec![0; 48_000 * 59]));
        assert!(!pace.push(&vec![0; 48_000 * 2]));
        assert_eq!(pace.waiting_ms(), 59_000);
        pace.forget();
        assert!(pace.push(&vec![0; 48_000 * 2]));
    }
}
