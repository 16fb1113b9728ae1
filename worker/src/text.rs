//! From a model's bytes to text that may be shown: whole characters only, and nothing of a stop string.

/// Collects the bytes of tokens and hands out text.
#[derive(Debug, Default)]
pub struct TextTail {
    bytes: Vec<u8>,
    held: String,
    stops: Vec<String>,
    stopped: bool,
}

impl TextTail {
    /// Text ends before the first of `stops` that appears; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), ..Self::default() }
    }

    /// Adds a token's bytes; gives the text that is now certain. A token may end inside a character, and may be the
    /// beginning of a stop string: both are held back. Bytes that can never become a character turn into U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.bytes.extend_from_slice(bytes);
        self.decode();
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.stopped = true;
            self.held.truncate(at);
            self.bytes.clear();
            return std::mem::take(&mut self.held);
        }
        let kept = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - kept);
        std::mem::replace(&mut self.held, rest)
    }

    /// A stop string has appeared.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// What is left when the model has ended: a cut character becomes U+FFFD.
    pub fn finish(mut self) -> String {
        if !self.stopped && !self.bytes.is_empty() {
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        self.held
    }

    fn decode(&mut self) {
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.bytes.clear();
                    return;
                }
                Err(fault) => {
                    let valid = fault.valid_up_to();
                    if let Ok(text) = std::str::from_utf8(&self.bytes[..valid]) {
                        self.held.push_str(text);
                    }
                    let Some(bad) = fault.error_len() else {
                        self.bytes.drain(..valid);
                        return;
                    };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    self.bytes.drain(..valid + bad);
                }
            }
        }
    }
}

/// The length of the longest end of `text` that is a proper beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len()).rev().find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_cut_between_tokens_comes_whole() {
        let mut tail = TextTail::new(vec![]);
        assert_eq!(tail.push(b"caf\xC3"), "caf");
        assert_eq!(tail.push(b"\xA9 "), "\u{e9} ");
        assert_eq!(tail.finish(), "");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced() {
        let mut tail = TextTail::new(vec![]);
        assert_eq!(tail.push(b"a\xFFb\xE2\x82"), "a\u{fffd}b");
        assert_eq!(tail.finish(), "\u{fffd}");
    }

    #[test]
    fn text_ends_before_a_stop_string_that_spans_tokens() {
        let mut tail = TextTail::new(vec!["\nUser:".into()]);
        assert_eq!(tail.push(b"Yes.\nU"), "Yes.");
        assert_eq!(tail.push(b"ser: and"), "");
        assert!(tail.stopped());
        assert_eq!(tail.finish(), "");
    }

    #[test]
    fn what_only_looked_like_a_stop_string_is_given_back() {
        let mut tail = TextTail::new(vec!["END".into()]);
        assert_eq!(tail.push(b"the EN"), "the ");
        assert_eq!(tail.push(b"TRY"), "ENTRY");
    }

    proptest! {
        #[test]
        fn no_text_is_lost_or_changed_however_it_is_cut(text in "\\PC{0,40}", cuts in prop::collection::vec(0..160usize, 0..8)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut tail = TextTail::new(vec!["\u{0}never".into()]);
            let mut out: String = cuts.windows(2).map(|pair| tail.push(&bytes[pair[0]..pair[1]])).collect();
            out.push_str(&tail.finish());
            prop_assert_eq!(out, text);
        }
    }
}
