//! Both sides of a call on one clock: the caller's samples where they were sent, the agent's where they arrived.

use std::time::Duration;

use super::ear::AUDIBLE_DBFS;
use crate::audio::level::level_dbfs;
use crate::audio::opus::{OpusDecoder, OpusError};
use crate::audio::{LINE_FRAME, LINE_RATE};
use crate::media::red::Unpacker;
use crate::media::rtp::RtpPacket;

/// Packets of one stream stay joined while they come within this of their time; the recording's error is no larger.
const JOINED: u64 = LINE_RATE as u64 / 100;
/// Lost packets in a row that are concealed; a longer gap is left silent.
const CONCEALED: u16 = 5;
/// A stream that has sent nothing for so many samples (200 ms) is not playing.
const STOPPED: u64 = LINE_RATE as u64 / 5;
const FRAME_TIME: Duration = Duration::from_millis(20);

/// Samples from the beginning of the call to a moment of it.
pub fn samples(at: Duration) -> u64 {
    at.as_micros() as u64 * u64::from(LINE_RATE) / 1_000_000
}

/// One side of a recording.
#[derive(Debug, Default)]
pub struct Track(Vec<f32>);

impl Track {
    /// Puts `sound` at a moment, over what may be there.
    pub fn put(&mut self, at: u64, sound: &[f32]) {
        let at = at as usize;
        if self.0.len() < at + sound.len() {
            self.0.resize(at + sound.len(), 0.0);
        }
        self.0[at..at + sound.len()].copy_from_slice(sound);
    }

    /// The samples at 48 kHz from the beginning of the call.
    pub fn sound(&self) -> &[f32] {
        &self.0
    }
}

/// What came from the agent, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Received {
    pub packets: u64,
    pub lost: u64,
    /// Arrived after a later packet had been played, or twice.
    pub late: u64,
    /// Lost, and restored from a later packet that carried a copy; not counted as lost.
    pub recovered: u64,
}

/// The listening side: a receiver that plays each packet the moment it arrives, or with a fixed delay.
pub struct Listener {
    decoder: OpusDecoder,
    unpacker: Unpacker,
    pub track: Track,
    pub received: Received,
    /// Zero: place packets by arrival. Otherwise by timestamp, this long after the first one's arrival.
    delay: u64,
    last: Option<Last>,
    /// With a fixed delay: where the last packet's time lies.
    anchor: u64,
    heard: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Last {
    sequence: u16,
    timestamp: u32,
    /// Where its sound ended on the track.
    end: u64,
    /// Whether there was anything to hear in it: in silence nothing needs to join, so that onsets are exact.
    audible: bool,
}

impl Listener {
    /// # Errors
    /// When there is no decoder.
    pub fn new(playout_delay: Duration) -> Result<Self, OpusError> {
        Ok(Self {
            decoder: OpusDecoder::new(LINE_RATE)?,
            unpacker: Unpacker::default(),
            track: Track::default(),
            received: Received::default(),
            delay: samples(playout_delay),
            last: None,
            anchor: 0,
            heard: None,
        })
    }

    /// When the agent was last audible.
    pub fn heard(&self) -> Option<Duration> {
        self.heard
    }

    /// The RTP timestamp of the sample that is being played at `now`; `None` before the first, and where the stream has
    /// stopped.
    pub fn playing(&self, now: Duration) -> Option<u32> {
        let last = self.last?;
        // More than a frame where the newest packet waits for its moment: then one before it is being played.
        let ahead = last.end as i64 - samples(now) as i64;
        (ahead > -(STOPPED as i64)).then(|| last.timestamp.wrapping_add(LINE_FRAME as u32).wrapping_sub(ahead as u32))
    }

    /// Takes a packet of Opus that arrived `at`.
    pub fn take(&mut self, packet: &RtpPacket, at: Duration) {
        self.received.packets += 1;
        self.unpacker.saw(packet);
        self.place_packet(packet, at);
    }

    /// Takes a packet of redundant audio around payload type `opus`: what is missing comes out of it first.
    pub fn take_redundant(&mut self, packet: &RtpPacket, opus: u8, at: Duration) {
        self.received.packets += 1;
        let mut opened = self.unpacker.open(packet, opus);
        let Some(primary) = opened.pop() else { return };
        for copy in opened {
            self.restore(&copy, at);
        }
        self.place_packet(&primary, at);
    }

    /// A copy of a lost packet: right behind the one before it, where it belongs. One whose place has been filled by
    /// something else comes too late to be of use.
    fn restore(&mut self, copy: &RtpPacket, at: Duration) {
        let Some(last) = self.last else { return };
        let ahead = copy.sequence.wrapping_sub(last.sequence);
        if (1..0x8000).contains(&ahead) {
            self.received.recovered += 1;
            self.received.lost += u64::from(ahead - 1);
            let place = last.end + u64::from(ahead - 1) * LINE_FRAME as u64;
            if (1..=CONCEALED).contains(&(ahead - 1)) {
                self.conceal(ahead - 1, copy, place);
            }
            if self.delay > 0 {
                self.anchor += u64::from(copy.timestamp.wrapping_sub(last.timestamp));
            }
            self.play(copy, at, place);
        }
    }

    fn place_packet(&mut self, packet: &RtpPacket, at: Duration) {
        let now = samples(at);
        let Some(last) = self.last else {
            self.anchor = now + self.delay;
            self.play(packet, at, now + self.delay);
            return;
        };
        let ahead = packet.sequence.wrapping_sub(last.sequence);
        if ahead == 0 || ahead > 0x8000 {
            self.received.late += 1;
            return;
        }
        let place = self.place(packet, last, now);
        let missing = ahead - 1;
        self.received.lost += u64::from(missing);
        if (1..=CONCEALED).contains(&missing) {
            self.conceal(missing, packet, place);
        }
        self.play(packet, at, place);
    }

    fn place(&mut self, packet: &RtpPacket, last: Last, now: u64) -> u64 {
        let stretch = u64::from(packet.timestamp.wrapping_sub(last.timestamp)).saturating_sub(LINE_FRAME as u64);
        let expected = last.end + stretch;
        if self.delay > 0 {
            self.anchor += u64::from(packet.timestamp.wrapping_sub(last.timestamp));
            // Too late to be played in time: it is played when it comes, as a receiver that stretches would.
            return self.anchor.max(now);
        }
        if last.audible && now.abs_diff(expected) <= JOINED { expected } else { now }
    }

    fn conceal(&mut self, missing: u16, next: &RtpPacket, place: u64) {
        let mut sound = Vec::new();
        for _ in 1..missing {
            self.decoder.conceal(FRAME_TIME, &mut sound);
        }
        self.decoder.recover(&next.payload, FRAME_TIME, &mut sound);
        let from = place.saturating_sub(sound.len() as u64);
        self.track.put(from, &sound);
    }

    fn play(&mut self, packet: &RtpPacket, at: Duration, place: u64) {
        let mut sound = Vec::with_capacity(LINE_FRAME);
        self.decoder.decode(&packet.payload, &mut sound);
        let audible = level_dbfs(&sound) > AUDIBLE_DBFS;
        if audible {
            self.heard = Some(at);
        }
        self.track.put(place, &sound);
        let end = place + sound.len() as u64;
        self.last = Some(Last { sequence: packet.sequence, timestamp: packet.timestamp, end, audible });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::opus::{OpusEncoder, OpusSettings};
    use crate::media::red::Repeats;
    use bytes::Bytes;

    /// A stream of `frames` packets of a tone.
    fn packets(frames: u16) -> Vec<RtpPacket> {
        let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        let packet = |n: u16| {
            let mut frame = [0.0_f32; LINE_FRAME];
            for (i, sample) in frame.iter_mut().enumerate() {
                *sample = 0.3 * ((usize::from(n) * LINE_FRAME + i) as f32 * 0.04).sin();
            }
            let payload: Bytes = encoder.encode(&frame).expect("a packet");
            RtpPacket { payload_type: 111, sequence: n, timestamp: u32::from(n) * 960, ssrc: 1, marker: false, payload }
        };
        (0..frames).map(packet).collect()
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_agent_s_sound_lies_where_it_arrived() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        for (n, packet) in (0..).zip(&packets(10)) {
            listener.take(packet, at(1_000 + 20 * n));
        }
        let sound = listener.track.sound();
        assert_eq!(sound.len(), 48_000 + 10 * LINE_FRAME);
        assert!(sound[..48_000].iter().all(|sample| *sample == 0.0));
        assert!(level_dbfs(&sound[48_000 + 2 * LINE_FRAME..]) > -20.0);
        assert_eq!(listener.heard(), Some(at(1_180)));
    }

    #[test]
    fn packets_that_jitter_a_little_stay_joined() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        for (n, packet) in (0..).zip(&packets(10)) {
            listener.take(packet, at(1_000 + 20 * n + n % 2 * 7));
        }
        assert_eq!(listener.track.sound().len(), 48_000 + 10 * LINE_FRAME);
    }

    #[test]
    fn what_is_being_played_is_known_to_the_sample() {
        let delayed = |delay_ms: u64| {
            let mut listener = Listener::new(at(delay_ms)).expect("a listener");
            assert_eq!(listener.playing(at(1_000)), None);
            for (n, packet) in (0..).zip(&packets(10)) {
                listener.take(packet, at(1_000 + 20 * n));
            }
            listener
        };
        assert_eq!(delayed(0).playing(at(1_190)), Some(9 * 960 + 480));
        assert_eq!(delayed(100).playing(at(1_190)), Some(4 * 960 + 480));
        assert_eq!(delayed(0).playing(at(1_500)), None, "the stream has stopped");
    }

    #[test]
    fn after_a_gap_the_stream_goes_on_where_it_arrives() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        let packets = packets(2);
        listener.take(&packets[0], at(0));
        listener.take(&packets[1], at(500));
        assert_eq!(listener.track.sound().len(), 24_000 + LINE_FRAME);
    }

    #[test]
    fn a_lost_packet_is_concealed_in_its_place_and_counted() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        for (n, packet) in (0..).zip(&packets(10)) {
            if n != 5 {
                listener.take(packet, at(20 * n));
            }
        }
        assert_eq!(listener.received, Received { packets: 9, lost: 1, ..Received::default() });
        assert!(level_dbfs(&listener.track.sound()[5 * LINE_FRAME..6 * LINE_FRAME]) > -20.0);
    }

    #[test]
    fn a_packet_that_comes_twice_or_late_is_counted_and_left_out() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        let packets = packets(3);
        for n in [0, 2, 1, 2] {
            listener.take(&packets[n], at(40));
        }
        assert_eq!(listener.received, Received { packets: 4, lost: 1, late: 2, recovered: 0 });
    }

    #[test]
    fn a_lost_packet_that_comes_again_with_the_next_is_no_loss() {
        let mut listener = Listener::new(Duration::ZERO).expect("a listener");
        let mut repeats = Repeats::default();
        for (n, packet) in (0..).zip(packets(12)) {
            let (payload, _) = repeats.pack(111, packet.timestamp, &packet.payload, &[1, 2]);
            if n != 5 && n != 6 {
                listener.take_redundant(&RtpPacket { payload_type: 63, payload, ..packet }, 111, at(20 * n));
            }
        }
        assert_eq!(listener.received, Received { packets: 10, lost: 0, late: 0, recovered: 2 });
        let sound = listener.track.sound();
        assert_eq!(sound.len(), 12 * LINE_FRAME);
        for n in 5..7 {
            assert!(level_dbfs(&sound[n * LINE_FRAME..(n + 1) * LINE_FRAME]) > -20.0, "packet {n}");
        }
    }

    #[test]
    fn with_a_playout_delay_jitter_leaves_no_mark() {
        let mut listener = Listener::new(at(100)).expect("a listener");
        for (n, packet) in (0..).zip(&packets(10)) {
            listener.take(packet, at(1_000 + 20 * n + n % 3 * 30));
        }
        let sound = listener.track.sound();
        assert_eq!(sound.len(), 1_100 * 48 + 10 * LINE_FRAME);
        assert!(level_dbfs(&sound[1_140 * 48..]) > -20.0);
    }
}
