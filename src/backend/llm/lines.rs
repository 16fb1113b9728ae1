//! Lines out of network chunks, cut wherever the network pleases.

/// A line longer than this is no line of a chat.
const LONGEST_BYTES: usize = 1 << 20;

/// Collects bytes until a line is complete. Works on bytes, so a chunk may end inside a character.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Everything before this has been searched for a newline.
    searched: usize,
}

/// A line did not end within 1 MiB.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Adds what the network brought.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), TooLong> {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > LONGEST_BYTES && !self.bytes.contains(&b'\n') { Err(TooLong) } else { Ok(()) }
    }

    /// The next complete line, without its end; empty lines are skipped.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return None;
            };
            let end = self.searched + at;
            let rest = self.bytes.split_off(end + 1);
            let line = std::mem::replace(&mut self.bytes, rest);
            self.searched = 0;
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(line.to_vec());
            }
        }
    }

    /// What came after the last newline, when the stream has ended.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        self.searched = 0;
        let rest = std::mem::take(&mut self.bytes);
        let rest = rest.trim_ascii();
        (!rest.is_empty()).then(|| rest.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next()).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
    }

    #[test]
    fn a_chunk_that_ends_inside_a_character_loses_nothing() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"{\"a\":\"caf\xC3"), Ok(()));
        assert_eq!(all(&mut lines), Vec::<String>::new());
        assert_eq!(lines.push(b"\xA9\"}\n"), Ok(()));
        assert_eq!(all(&mut lines), ["{\"a\":\"café\"}"]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&vec![b'x'; LONGEST_BYTES]), Ok(()));
        assert_eq!(lines.push(b"x"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn lines_come_out_whole_however_the_bytes_are_cut(
            texts in prop::collection::vec("[^\\s\\p{C}]{1,12}", 0..6),
            cuts in prop::collection::vec(0..200usize, 0..12),
        ) {
            let bytes = texts.iter().map(|text| format!("{text}\r\n\n")).collect::<String>().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for pair in cuts.windows(2) {
                prop_assert_eq!(lines.push(&bytes[pair[0]..pair[1]]), Ok(()));
                got.extend(all(&mut lines));
            }
            prop_assert_eq!(got, texts);
            prop_assert_eq!(lines.rest(), None);
        }
    }
}
