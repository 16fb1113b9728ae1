//! Keys of a telephone as packets (RFC 4733, `telephone-event`): read, and written.
//!
//! A key that is held is told again and again, with the timestamp of its beginning and the time so far; its end is sent three
//! times. Any of those packets can be lost: a key counts once, at its end, or when its end is overdue.

use std::time::Duration;

use crate::time::CallTime;

/// A key whose packets have stopped for so long was let go, and its end was lost: packets come every 50 ms or less (RFC 4733,
/// section 2.5.1.2).
const LET_GO_AFTER: Duration = Duration::from_millis(300);
/// Between two packets of a key that is sent.
const EVERY: Duration = Duration::from_millis(20);
/// How often the end is sent.
const ENDS: u32 = 3;
/// -10 dBm0, as telephones have it.
const VOLUME: u8 = 10;

/// 0 to 9, *, #, A to D (RFC 4733, section 3.2).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub key: char,
    pub held: Duration,
}

/// The key of this name, if there is one.
pub fn known(key: char) -> Option<char> {
    let key = key.to_ascii_uppercase();
    KEYS.contains(&key).then_some(key)
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    timestamp: u32,
    event: u8,
    duration: u16,
    last: CallTime,
    /// It was told of: what still comes of it are repetitions.
    told: bool,
}

/// One sender's keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyReader {
    clock_hz: u32,
    pressed: Option<Pressed>,
    /// Packets that made no sense, or a tone that is no key.
    ignored: u64,
}

impl KeyReader {
    /// `clock_hz` is that of the payload type.
    pub const fn new(clock_hz: u32) -> Self {
        Self { clock_hz, pressed: None, ignored: 0 }
    }

    /// A packet has come. Gives a key whose end it is, or whose end was lost before it.
    pub fn packet(&mut self, at: CallTime, timestamp: u32, payload: &[u8]) -> Option<Key> {
        let &[event, flags, high, low, ..] = payload else {
            self.ignored += 1;
            return None;
        };
        if usize::from(event) >= KEYS.len() {
            self.ignored += 1;
            return None;
        }
        let duration = u16::from_be_bytes([high, low]);
        let same = self.pressed.filter(|pressed| pressed.timestamp == timestamp && pressed.event == event);
        let mut found = None;
        let mut pressed = match same {
            Some(pressed) => Pressed { duration: pressed.duration.max(duration), last: at, ..pressed },
            None => {
                // An old packet of a key before this one must not press it again.
                if self.pressed.is_some_and(|before| (timestamp.wrapping_sub(before.timestamp) as i32) < 0) {
                    return None;
                }
                found = self.let_go();
                Pressed { timestamp, event, duration, last: at, told: false }
            }
        };
        if flags & 0x80 != 0 && !pressed.told && found.is_none() {
            pressed.told = true;
            found = Some(self.key(&pressed));
        }
        self.pressed = Some(pressed);
        found
    }

    /// A key whose end is overdue.
    pub fn overdue(&mut self, at: CallTime) -> Option<Key> {
        self.pressed.filter(|pressed| at.since(pressed.last) >= LET_GO_AFTER)?;
        self.let_go()
    }

    /// Packets so far that were no key.
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn let_go(&mut self) -> Option<Key> {
        let pressed = self.pressed.as_mut().filter(|pressed| !pressed.told)?;
        pressed.told = true;
        let pressed = *pressed;
        Some(self.key(&pressed))
    }

    fn key(&self, pressed: &Pressed) -> Key {
        let held = Duration::from_micros(u64::from(pressed.duration) * 1_000_000 / u64::from(self.clock_hz.max(1)));
        Key { key: KEYS[usize::from(pressed.event)], held }
    }
}

/// The payloads that press a key for so long, one every 20 ms, the end three times; the first has the marker, and all have the
/// timestamp of the first. Empty where there is no such key.
pub fn press(key: char, held: Duration, clock_hz: u32) -> Vec<[u8; 4]> {
    let Some(event) = KEYS.iter().position(|known| *known == key.to_ascii_uppercase()) else { return Vec::new() };
    let steps = (held.as_millis() / EVERY.as_millis()).clamp(2, 250) as u32;
    let payload = |step: u32, end: bool| {
        let duration = (step * clock_hz / 50).min(u32::from(u16::MAX)) as u16;
        let [high, low] = duration.to_be_bytes();
        [event as u8, if end { 0x80 | VOLUME } else { VOLUME }, high, low]
    };
    (1..steps).map(|step| payload(step, false)).chain((0..ENDS).map(|_| payload(steps, true))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays payloads from `at_ms` on, one every 20 ms, but the lost ones; gives the keys.
    fn read(reader: &mut KeyReader, at_ms: u64, timestamp: u32, payloads: &[[u8; 4]], lost: &[usize]) -> Vec<Key> {
        let mut found = Vec::new();
        for (n, payload) in payloads.iter().enumerate().filter(|(n, _)| !lost.contains(n)) {
            found.extend(reader.packet(CallTime::from_ms(at_ms + n as u64 * 20), timestamp, payload));
        }
        found
    }

    const FIVE: Key = Key { key: '5', held: Duration::from_millis(100) };

    #[test]
    fn a_key_counts_once_at_its_end_however_often_it_is_sent() {
        let mut reader = KeyReader::new(8_000);
        let five = press('5', FIVE.held, 8_000);
        assert_eq!(five.len(), 4 + 3);
        assert_eq!(read(&mut reader, 0, 1_000, &five, &[]), [FIVE]);
        assert_eq!(read(&mut reader, 400, 9_000, &five, &[]), [FIVE], "the same key again is another press");
        assert_eq!(reader.overdue(CallTime::from_ms(5_000)), None);
    }

    #[test]
    fn a_key_counts_whichever_of_its_packets_are_lost() {
        let five = press('5', FIVE.held, 8_000);
        for lost in 0..1 << five.len() {
            let lost: Vec<usize> = (0..five.len()).filter(|n| lost >> n & 1 == 1).collect();
            let mut reader = KeyReader::new(8_000);
            let mut found = read(&mut reader, 0, 1_000, &five, &lost);
            found.extend(reader.overdue(CallTime::from_ms(1_000)));
            let expected = usize::from(lost.len() < five.len());
            assert_eq!(found.len(), expected, "{lost:?}");
            assert!(found.iter().all(|key| key.key == '5'));
        }
    }

    #[test]
    fn the_next_key_ends_one_whose_end_was_lost() {
        let mut reader = KeyReader::new(48_000);
        let [one, two] = ['1', '2'].map(|key| press(key, Duration::from_millis(60), 48_000));
        assert_eq!(read(&mut reader, 0, 4_000_000_000, &one[..2], &[]), []);
        let found = read(&mut reader, 100, 100_000, &two, &[]);
        assert_eq!(found.iter().map(|key| key.key).collect::<String>(), "12");
        assert_eq!(found[1].held, Duration::from_millis(60));
        assert_eq!(read(&mut reader, 300, 4_000_000_000, &one, &[]), [], "a late packet of the first presses nothing");
    }

    #[test]
    fn what_is_no_key_is_counted_and_no_more() {
        let mut reader = KeyReader::new(8_000);
        // 36 is a fax's tone (RFC 4734).
        for payload in [&[][..], &[5, 0, 0], &[36, 0x80, 0, 160], &[255; 4]] {
            assert_eq!(reader.packet(CallTime::ZERO, 0, payload), None);
        }
        assert_eq!(reader.ignored(), 4);
        assert!(press('x', Duration::from_secs(1), 8_000).is_empty());
        assert_eq!((known('a'), known('#'), known('x')), (Some('A'), Some('#'), None));
    }
}
