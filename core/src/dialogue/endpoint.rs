//! When is a turn over? Silence alone is a poor answer: it is weighed with what the turn model heard in the voice and
//! with how the words end. A hard ceiling always ends it.

/// Silences that end a turn, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// When the turn model is sure that the caller has finished: 100..=2000. Under 200 ms the model has not heard enough
    /// of the pause to be asked.
    pub endpoint_ms: u32,
    /// When there is no opinion, because no model is loaded or its answer is late: 200..=3000.
    pub unsure_ms: u32,
    /// Whatever anybody thinks: `endpoint_ms`..=5000.
    pub ceiling_ms: u32,
    /// Quiet after which the tail is transcribed and the turn model asked, ahead of the decision: 60..=1000. It is the
    /// earliest moment at which Silero's own lag (about 100 ms) and a stop consonant (about 100 ms) are told from an end.
    pub tail_ms: u32,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self { endpoint_ms: 240, unsure_ms: 600, ceiling_ms: 1200, tail_ms: 140 }
    }
}

/// What is known about the end of the present turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndEvidence<'a> {
    /// The turn model's probability that the turn is complete, if it has spoken about this pause.
    pub complete: Option<f32>,
    /// What was recognised up to this pause; empty if nothing was. `None` while the recogniser still works.
    pub words: Option<&'a str>,
}

impl EndpointSettings {
    /// The silence, milliseconds, after which the turn counts as over.
    ///
    /// Between the model's "no" (0.0) and its threshold (0.5) the wait falls linearly from the ceiling to the endpoint: a
    /// hard 0.5 threshold makes the agent burst in right after somebody who hesitated. Before the words are known the
    /// turn is not over: without them there is nothing to answer, and they may break off in the middle of a clause.
    pub fn wait_ms(&self, evidence: EndEvidence<'_>) -> u32 {
        let Some(words) = evidence.words else { return self.ceiling_ms };
        if ends_unfinished(words) {
            return self.ceiling_ms;
        }
        match evidence.complete {
            None => self.unsure_ms.min(self.ceiling_ms),
            Some(p) if p >= 0.5 => self.endpoint_ms,
            Some(p) => {
                let doubt = (0.5 - p.clamp(0.0, 0.5)) / 0.5;
                let spread = self.ceiling_ms.saturating_sub(self.endpoint_ms);
                self.endpoint_ms + (spread as f32 * doubt) as u32
            }
        }
    }
}

/// Words after which nobody stops on purpose: conjunctions, articles, prepositions and fillers.
const OPEN_ENDS: &[&str] = &[
    "a", "an", "and", "at", "because", "but", "er", "erm", "for", "from", "hmm", "if", "in", "my", "of", "on", "or",
    "so", "that", "the", "then", "to", "uh", "um", "with", "your",
];

/// Do these words break off in the middle of a clause? Recognisers put a full stop after everything, so marks do not
/// count; an ellipsis or a dash does.
fn ends_unfinished(words: &str) -> bool {
    let trimmed = words.trim_end();
    if trimmed.ends_with("...") || trimmed.ends_with('…') || trimmed.ends_with('-') || trimmed.ends_with(',') {
        return true;
    }
    let last = trimmed.split_whitespace().next_back().unwrap_or("");
    let bare: String = last.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    // "That is what it is for." is rare enough at one word's length to be worth the wait.
    OPEN_ENDS.contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(complete: Option<f32>, words: Option<&str>) -> u32 {
        EndpointSettings::default().wait_ms(EndEvidence { complete, words })
    }

    #[test]
    fn a_sure_model_ends_the_turn_early_and_a_doubtful_one_waits() {
        assert_eq!(wait(Some(0.9), Some("What time is it?")), 240);
        assert_eq!(wait(Some(0.0), Some("What time is it?")), 1200);
        let doubtful = wait(Some(0.4), Some("What time is it?"));
        assert!(doubtful > 240 && doubtful < 600, "{doubtful}");
    }

    #[test]
    fn without_an_opinion_silence_decides() {
        assert_eq!(wait(None, Some("What time is it?")), 600);
    }

    #[test]
    fn a_turn_is_not_over_before_its_words_are_known() {
        assert_eq!(wait(Some(0.99), None), 1200);
    }

    #[test]
    fn an_open_clause_waits_for_the_ceiling_whatever_the_voice_says() {
        for words in ["I would like to book a table for", "So, um.", "Well, I thought...", "It is four, seven,"] {
            assert_eq!(wait(Some(0.95), Some(words)), 1200, "{words}");
        }
    }
}
