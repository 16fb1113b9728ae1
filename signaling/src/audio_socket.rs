//! Asterisk's AudioSocket: one byte of kind, two of length (big-endian), then the payload. Pure, total over any bytes.
//!
//! Sound is signed linear, 16 bit, little-endian, mono. The codes of the rates have changed once: an early patch had 0x11 for
//! 16 kHz, later ones have 0x11 for 12 and 0x12 for 16 kHz. Which of them sent a message is told by its length: Asterisk sends
//! 20 ms a message, which is 480 bytes at 12 kHz and 640 at 16.

/// Longest payload: what two bytes can say.
const PAYLOAD_MAX: usize = u16::MAX as usize;
const HEADER: usize = 3;

/// The codes of today, from 0x10 on, and their samples a second.
const RATES_HZ: [(u8, u32); 9] = [
    (0x10, 8_000),
    (0x11, 12_000),
    (0x12, 16_000),
    (0x13, 24_000),
    (0x14, 32_000),
    (0x15, 44_100),
    (0x16, 48_000),
    (0x17, 96_000),
    (0x18, 192_000),
];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The call is over.
    HangUp,
    /// The name that the dial plan gave to the call.
    Id([u8; 16]),
    /// A key was pressed.
    Digit(char),
    /// Sound at so many samples a second, sent with this code.
    Sound { code: u8, rate_hz: u32, samples: Vec<i16> },
    /// Asterisk reports a fault: 1 hang-up, 2 frame forwarding, 4 memory; others are its own.
    Fault(u8),
    /// None of these, or not of the length that it must have.
    Unknown { code: u8, length: usize },
}

/// Samples a second of a code, and of a message of so many bytes with it.
pub fn rate_hz(code: u8, length: usize) -> Option<u32> {
    if code == 0x11 && length == 640 {
        return Some(16_000);
    }
    RATES_HZ.iter().find(|(known, _)| *known == code).map(|(_, rate_hz)| *rate_hz)
}

/// Puts messages together from a stream of bytes.
#[derive(Debug, Default)]
pub struct Reader {
    waiting: Vec<u8>,
}

impl Reader {
    /// More of the stream. What waits is at most one message that is not complete, and `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next message that is complete.
    pub fn next(&mut self) -> Option<Message> {
        let [code, high, low, ..] = *self.waiting.as_slice() else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = self.waiting.get(HEADER..HEADER + length)?;
        let message = read(code, payload);
        self.waiting.drain(..HEADER + length);
        Some(message)
    }
}

fn read(code: u8, payload: &[u8]) -> Message {
    match (code, payload) {
        (0x00, _) => Message::HangUp,
        (0x01, id) if id.len() == 16 => Message::Id(id.try_into().unwrap_or_default()),
        (0x03, [digit]) if digit.is_ascii_graphic() => Message::Digit(char::from(*digit)),
        (0xff, []) => Message::Fault(0),
        (0xff, [what, ..]) => Message::Fault(*what),
        (code, sound) => match rate_hz(code, sound.len()) {
            Some(rate_hz) if sound.len() % 2 == 0 => {
                let samples = sound.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
                Message::Sound { code, rate_hz, samples }
            }
            _ => Message::Unknown { code, length: sound.len() },
        },
    }
}

/// Sound as one message, with the code that the other side used. Samples beyond what a message takes are left out.
pub fn sound(code: u8, samples: &[i16]) -> Vec<u8> {
    let samples = &samples[..samples.len().min(PAYLOAD_MAX / 2)];
    let length = (samples.len() * 2) as u16;
    let mut out = Vec::with_capacity(HEADER + usize::from(length));
    out.push(code);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

/// The call is over.
pub const HANG_UP: [u8; HEADER] = [0x00, 0, 0];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Message> {
        let mut reader = Reader::default();
        reader.push(bytes);
        std::iter::from_fn(|| reader.next()).collect()
    }

    #[test]
    fn a_call_is_its_name_sound_keys_and_an_end() {
        let mut bytes = vec![0x01, 0, 16];
        bytes.extend(1..=16);
        bytes.extend(sound(0x10, &[1, -2]));
        bytes.extend([0x03, 0, 1, b'#', 0xff, 0, 1, 4]);
        bytes.extend(HANG_UP);
        let id = std::array::from_fn(|n| n as u8 + 1);
        let expected = [
            Message::Id(id),
            Message::Sound { code: 0x10, rate_hz: 8_000, samples: vec![1, -2] },
            Message::Digit('#'),
            Message::Fault(4),
            Message::HangUp,
        ];
        assert_eq!(all(&bytes), expected);
    }

    #[test]
    fn both_generations_of_rate_codes_are_understood() {
        let rate = |code, samples: usize| match &all(&sound(code, &vec![0; samples]))[..] {
            [Message::Sound { rate_hz, .. }] => *rate_hz,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (rate(0x10, 160), rate(0x11, 240), rate(0x12, 320), rate(0x13, 480)),
            (8_000, 12_000, 16_000, 24_000)
        );
        assert_eq!(rate(0x11, 320), 16_000, "20 ms of the early patch");
        assert_eq!((rate(0x16, 960), rate(0x18, 3_840)), (48_000, 192_000));
    }

    #[test]
    fn what_is_no_message_is_skipped_by_its_length() {
        let bytes = [0x42, 0, 2, 9, 9, 0x10, 0, 1, 7, 0x01, 0, 1, 1, 0x03, 0, 0, 0, 0, 0];
        let unknown = |code, length| Message::Unknown { code, length };
        assert_eq!(
            all(&bytes),
            [unknown(0x42, 2), unknown(0x10, 1), unknown(0x01, 1), unknown(0x03, 0), Message::HangUp]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 1..64_usize,
        ) {
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(cut) {
                reader.push(piece);
                found.extend(std::iter::from_fn(|| reader.next()));
                prop_assert!(reader.waiting.len() < HEADER + PAYLOAD_MAX);
            }
            prop_assert_eq!(found, all(&bytes));
        }

        #[test]
        fn what_is_sent_is_read_again(samples in prop::collection::vec(any::<i16>(), 0..400)) {
            let read = all(&sound(0x12, &samples));
            prop_assert_eq!(read, vec![Message::Sound { code: 0x12, rate_hz: 16_000, samples }]);
        }
    }
}
