//! Keys that the agent's side presses: packets of RFC 4733 in the place of the voice's, one a tick, in the same stream.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use duologue_signaling::phone_sdp::KeyPackets;

use crate::media::keys;

/// How long a key is held: ITU-T Q.24 has exchanges take 40 ms and more, and what comes after one may be a cheap detector.
const HELD: Duration = Duration::from_millis(100);
/// Ticks of 20 ms between two keys, in which the voice goes on.
const BETWEEN: u16 = 5;
/// A comma: a second in which whoever is dialled through to picks up.
const COMMA: u16 = 50;
/// Keys that may wait.
pub const KEYS_MOST: usize = 64;

/// Keys and commas: what can be pressed. `None` where anything else is in it, or too much, or no key at all.
pub fn readable(text: &str) -> Option<String> {
    let keys: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let sound = keys.chars().all(|key| key == ',' || keys::known(key).is_some());
    (sound && keys.len() <= KEYS_MOST && keys.chars().any(|key| key != ',')).then(|| keys.to_ascii_uppercase())
}

/// One packet of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPacket {
    pub payload_type: u8,
    /// Of the key's beginning, in all of its packets.
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Bytes,
}

/// What is being pressed, and what waits.
#[derive(Debug, Default)]
pub struct Keying {
    waiting: VecDeque<char>,
    packets: std::vec::IntoIter<[u8; 4]>,
    payload_type: u8,
    began: u32,
    pause: u16,
}

impl Keying {
    /// These too, after those before them. More than [`KEYS_MOST`] are not kept.
    pub fn press(&mut self, keys: &str) {
        let room = KEYS_MOST.saturating_sub(self.waiting.len());
        self.waiting.extend(keys.chars().take(room));
    }

    /// A key is being pressed, or waits.
    pub fn is_pressing(&self) -> bool {
        !self.waiting.is_empty() || self.pause > 0 || !self.packets.as_slice().is_empty()
    }

    /// What is to leave in this tick instead of the voice, if anything is. `as_packets`: how the other side reads keys; where it does
    /// not, nothing is pressed. `now` is the stream's timestamp.
    pub fn tick(&mut self, as_packets: Option<KeyPackets>, now: u32) -> Option<KeyPacket> {
        if let Some(payload) = self.packets.next() {
            if self.packets.as_slice().is_empty() {
                self.pause = BETWEEN;
            }
            return Some(self.packet(payload, false));
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let key = self.waiting.pop_front()?;
        if key == ',' {
            self.pause = COMMA;
            return None;
        }
        let KeyPackets { payload_type, clock_hz } = as_packets?;
        self.packets = keys::press(key, HELD, clock_hz).into_iter();
        (self.payload_type, self.began) = (payload_type, now);
        let first = self.packets.next()?;
        Some(self.packet(first, true))
    }

    fn packet(&self, payload: [u8; 4], marker: bool) -> KeyPacket {
        let payload = Bytes::copy_from_slice(&payload);
        KeyPacket { payload_type: self.payload_type, timestamp: self.began, marker, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::keys::KeyReader;
    use crate::time::CallTime;

    const KEYS: KeyPackets = KeyPackets { payload_type: 101, clock_hz: 8_000 };

    /// Ticks with what left in them, until a second has passed in which nothing did.
    fn sent(keying: &mut Keying) -> Vec<(u32, KeyPacket)> {
        let mut sent = Vec::new();
        let mut quiet = 0;
        for tick in 0.. {
            match keying.tick(Some(KEYS), tick * 160) {
                Some(packet) => {
                    quiet = 0;
                    sent.push((tick, packet));
                }
                None if quiet == 60 => break,
                None => quiet += 1,
            }
        }
        sent
    }

    #[test]
    fn keys_are_read_as_they_were_pressed() {
        let mut keying = Keying::default();
        keying.press("11#,A");
        let (mut reader, mut read) = (KeyReader::new(8_000), String::new());
        let sent = sent(&mut keying);
        for (tick, packet) in &sent {
            let at = CallTime::from_ms(u64::from(*tick) * 20);
            read.extend(reader.packet(at, packet.timestamp, &packet.payload).map(|key| key.key));
        }
        assert_eq!(read, "11#A");
        let begins: Vec<u32> = sent.iter().filter(|(_, packet)| packet.marker).map(|(tick, _)| *tick).collect();
        assert_eq!(begins.len(), 4, "one marker a key");
        assert!(begins.iter().all(|begin| sent.iter().any(|(_, packet)| packet.timestamp == begin * 160)));
        assert!(begins[3] - begins[2] >= u32::from(COMMA), "a comma is a second");
        let ends = sent.iter().filter(|(_, packet)| packet.payload[1] & 0x80 != 0).count();
        assert_eq!(ends, 4 * 3, "each end three times");
    }

    #[test]
    fn who_reads_no_keys_is_sent_none() {
        let mut keying = Keying::default();
        keying.press("1");
        assert_eq!(keying.tick(None, 0), None);
    }

    #[test]
    fn what_is_no_key_is_not_pressed() {
        assert_eq!(readable("1 2,a#").as_deref(), Some("12,A#"));
        for bad in ["", ",", "1x", "é", &"1".repeat(KEYS_MOST + 1)] {
            assert_eq!(readable(bad), None, "{bad}");
        }
    }
}
