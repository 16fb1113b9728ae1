//! When is a turn over? A probability: silence, what the turn model heard in the voice, how the words end and what was asked
//! go into one logistic function of time. It says how likely the turn is over by now, and so how long to wait.

use super::question::{Asked, Progress, progress};
use super::words::{Phrases, asks_to_wait, words};

/// When a turn ends.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct EndpointSettings {
    /// The least silence that ends a turn, milliseconds: 80..=2000. Under 200 ms the turn model has not heard enough of
    /// the pause to be asked.
    pub endpoint_ms: u32,
    /// The silence that ends a turn whatever anybody thinks, milliseconds: `endpoint_ms`..=5000.
    pub ceiling_ms: u32,
    /// The same after "hold on" and "let me think", milliseconds: `ceiling_ms`..=10000.
    pub wait_ms: u32,
    /// The same while digits, letters or parts of a date are missing, milliseconds: `ceiling_ms`..=10000. Who reads a
    /// number from a card pauses a second between its groups.
    pub dictation_ms: u32,
    /// The same where the words break off in the middle of a clause, milliseconds: `ceiling_ms`..=10000. People who look
    /// for a word take two seconds.
    pub unfinished_ms: u32,
    /// A turn is over when it is this likely to be: 0.5..=0.99. Every 167 ms of silence are one unit of its logit.
    pub end_probability: f32,
    /// The reply is not heard before it is this likely: `end_probability`..=0.999. Until then it is made ready, and a caller
    /// who goes on has heard nothing of it.
    pub speak_probability: f32,
    /// Quiet after which the tail is transcribed, ahead of the decision, milliseconds: 60..=1000. Silero's own lag (about
    /// 100 ms) comes before it, which covers most stop consonants.
    pub tail_ms: u32,
    /// Quiet after which the turn model is asked, milliseconds: 60..=1000. It judges the pause too.
    pub ask_ms: u32,
    pub weights: EndWeights,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            endpoint_ms: 240,
            ceiling_ms: 1_500,
            wait_ms: 2_000,
            dictation_ms: 1_800,
            unfinished_ms: 2_000,
            end_probability: 0.7,
            speak_probability: 0.985,
            tail_ms: 100,
            ask_ms: 140,
            weights: EndWeights::default(),
        }
    }
}

/// What each piece of evidence adds to the logit of "the turn is over". The unit is the same throughout, so that each
/// weight is also a time: 1.0 is 167 ms of silence more or less.
///
/// Chosen on one half of the duplex corpus and tried on the other (docs/decisions/0017).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct EndWeights {
    /// With no silence and no opinion: 0.17.
    pub bias: f32,
    /// Per second of silence.
    pub silence_per_s: f32,
    /// Times the logit of the turn model's probability, within ±3.9 (0.02 and 0.98: beyond that it boasts).
    pub model: f32,
    /// The words are those of a partial: something may be missing.
    pub partial: f32,
    /// Times how often the caller has gone on in this turn after it was judged over.
    pub went_on: f32,
}

impl Default for EndWeights {
    fn default() -> Self {
        Self { bias: -1.6, silence_per_s: 6.0, model: 0.8, partial: -2.0, went_on: -2.0 }
    }
}

/// How the words stand at a pause. The first that fits, from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// None were recognised.
    Nothing,
    /// "Hold on", "let me think".
    Waiting,
    /// "um".
    Filler,
    /// In the middle of a clause: "a table for".
    Unfinished,
    /// Digits, letters or parts of a date, and not all of them.
    Dictating,
    /// A word after which some stop and some go on: "that", "so".
    Loose,
    /// A short and complete answer to what the agent asked.
    Answer,
    /// A whole question.
    Question,
    /// Anything else.
    Plain,
}

impl Shape {
    /// How `text` stands, after the agent `asked` something.
    pub fn of(text: &str, asked: Option<Asked>) -> Self {
        let all = words(text);
        if all.is_empty() {
            return Self::Nothing;
        }
        if asks_to_wait(text) {
            return Self::Waiting;
        }
        if FILLERS.end(&all) {
            return Self::Filler;
        }
        let trimmed = text.trim_end();
        let question = trimmed.ends_with(['?', '？']);
        let answered = progress(asked, text);
        // Recognisers put a full stop after everything, so that marks of an end do not count; these do.
        let broken_off = ["...", "…", "-", "—", ","].iter().any(|mark| trimmed.ends_with(mark));
        let asks_with_one = question && WH_WORDS.within(&all);
        let rest = &all[LEAD_INS.lead(&all)..];
        let begun = BARE_BEGINNINGS.is(rest) || !question && LEAD_UPS.end(&all) && !WH_WORDS.begin(rest);
        let open = begun || OPEN_ENDS.end(&all) || PREPOSITIONS.end(&all) && !asks_with_one;
        if answered != Progress::Dictating && (broken_off || open) {
            return Self::Unfinished;
        }
        match answered {
            Progress::Dictating => Self::Dictating,
            Progress::Complete => Self::Answer,
            Progress::Unknown if question && QUESTION_STARTS.begin(rest) => Self::Question,
            Progress::Unknown if !question && LOOSE_ENDS.end(&all) => Self::Loose,
            Progress::Unknown => Self::Plain,
        }
    }

    /// What it adds to the logit; see [`EndWeights`].
    const fn weight(self) -> f32 {
        match self {
            // Outweigh everything but the ceiling of their kind.
            Self::Waiting | Self::Filler | Self::Dictating | Self::Unfinished => -60.0,
            Self::Loose => -4.0,
            Self::Nothing | Self::Plain => 0.0,
            Self::Question => 1.0,
            Self::Answer => 1.5,
        }
    }
}

/// What is known about the end of the present turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndEvidence {
    /// The turn model's probability that the turn is complete, if it has spoken about this pause.
    pub complete: Option<f32>,
    /// How the words up to this pause stand; `None` while nothing is known of them.
    pub shape: Option<Shape>,
    /// They are all of the words, and final.
    pub is_final: bool,
    /// How often the caller has gone on in this turn after it was judged over.
    pub went_on: u32,
}

/// More of it says nothing new.
const WENT_ON_MOST: u32 = 2;

/// The turn model's probability is taken no further than this into certainty.
const SUREST: f32 = 0.98;

impl EndpointSettings {
    /// How likely the turn is over after `silence_ms`: 0.0..=1.0.
    pub fn probability(&self, evidence: EndEvidence, silence_ms: u32) -> f32 {
        logistic(self.logit(evidence) + self.weights.silence_per_s * silence_ms as f32 / 1_000.0)
    }

    /// The silence, milliseconds, after which the turn counts as over: where [`Self::probability`] reaches
    /// `end_probability`, not before `endpoint_ms` and not after the ceiling.
    ///
    /// Before the final words are known the turn is not over: without them there is nothing to answer, and they may break
    /// off in the middle of a clause. A reply may be prepared all the same; see the conversation's `draft`.
    pub fn wait_ms(&self, evidence: EndEvidence) -> u32 {
        self.silence_ms(evidence, self.end_probability)
    }

    /// The silence, milliseconds, before which no reply is heard: where [`Self::probability`] reaches `speak_probability`, with
    /// the same bounds.
    pub fn speak_ms(&self, evidence: EndEvidence) -> u32 {
        self.silence_ms(evidence, self.speak_probability)
    }

    /// The turn will be over within so long, if it stays silent, milliseconds.
    pub fn is_near(&self, evidence: EndEvidence, silence_ms: u32, ahead_ms: u32) -> bool {
        silence_ms.saturating_add(ahead_ms) >= self.wait_ms(evidence)
    }

    /// The silence after which nobody is waited for, whatever is known.
    fn ceiling_ms(&self, evidence: EndEvidence) -> u32 {
        match evidence.shape {
            Some(Shape::Waiting) => self.wait_ms,
            Some(Shape::Dictating) => self.dictation_ms,
            Some(Shape::Unfinished | Shape::Filler) => self.unfinished_ms,
            _ => self.ceiling_ms,
        }
    }

    fn silence_ms(&self, evidence: EndEvidence, probability: f32) -> u32 {
        let ceiling_ms = self.ceiling_ms(evidence);
        if !evidence.is_final {
            return ceiling_ms;
        }
        let missing = logit(probability) - self.logit(evidence);
        let silence_ms = missing / self.weights.silence_per_s.max(0.1) * 1_000.0;
        // Casting takes care of what is negative, too large or no number.
        (silence_ms as u32).clamp(self.endpoint_ms.min(ceiling_ms), ceiling_ms)
    }

    /// Without the silence.
    fn logit(&self, evidence: EndEvidence) -> f32 {
        let weights = &self.weights;
        let model = evidence.complete.map_or(0.0, |p| {
            let p = if p.is_finite() { p.clamp(1.0 - SUREST, SUREST) } else { 0.5 };
            weights.model * logit(p)
        });
        let words = evidence.shape.map_or(0.0, Shape::weight);
        let partial = if evidence.is_final { 0.0 } else { weights.partial };
        let went_on = weights.went_on * evidence.went_on.min(WENT_ON_MOST) as f32;
        weights.bias + model + words + partial + went_on
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

static FILLERS: Phrases =
    Phrases::new("um, uh, er, erm, hmm, hm, uhm, you know, i mean, äh, ähm, eh, euh, 嗯, 呃, 那个, 就是");

/// Words after which nobody stops on purpose: conjunctions, articles, subjects without a verb, the beginnings of sentences. A
/// recogniser that hears a voice go up puts a question mark after them all the same.
static OPEN_ENDS: Phrases = Phrases::new(
    "a, an, and, because, but, if, im, its, i, my, or, the, your, he, she, we, they, thats, theres, hes, shes, youre, theyre, ive, \
     youve, although, though, unless, until, till, whether, while, than, would like, possible to, and then, but then, and so, \
     so that, i need to, i want to, have to, und, oder, aber, weil, der, die, das, ein, eine, ich, y, o, pero, porque, el, la, los, un, una, de, mi, et, ou, mais, \
     parce que, le, les, une, des, du, mon, ma, je, 和, 但是, 因为, 所以, 我想, 在, 的",
);

/// These break a sentence off, but for the end of a question that asks for what would follow: "Where are you from?", "Do you
/// know what it is?"
static PREPOSITIONS: Phrases =
    Phrases::new("about, at, between, by, for, from, into, is, of, to, with, without, für, mit, para, con, avec, pour");

/// The beginnings of questions and what they lead up to: "Could you please". Whole questions only as an answer to somebody,
/// and then short.
static BARE_BEGINNINGS: Phrases = Phrases::new(
    "can i, could i, may i, shall i, should i, can you, could you, would you, will you, do you, did you, are you, have you, is it, \
     is there, are there, can we, could we, shall we, can i please, could i please, can you please, could you please, \
     would you please, i think, i thought, i mean, i guess, i wonder, i was wondering",
);

/// What leads up to a clause, where it is not the whole of a question.
static LEAD_UPS: Phrases =
    Phrases::new("how much, how many, how long, how far, is that, was that, thing is, problem is, question is");

/// What asks for it.
static WH_WORDS: Phrases = Phrases::new("what, whats, where, wheres, who, whos, which, whose, when, how");

/// Words that end a sentence about as often as they break one off: what may be an object, an adverb, an answer in short ("Yes,
/// it was.") or the words before a speech.
static LOOSE_ENDS: Phrases = Phrases::new(
    "that, so, then, in, on, this, like, was, were, are, am, be, been, have, has, had, will, would, could, should, can, not, only, \
     just, very, need, want, said, says, asked, replied, answered",
);

static LEAD_INS: Phrases = Phrases::new("and, so, well, okay, ok, yeah, yes, no, but, then, also, hi, hello");

/// How a question begins. The mark at its end is the recogniser's opinion, this is the words'.
static QUESTION_STARTS: Phrases = Phrases::new(
    "what, whats, when, where, wheres, who, whos, why, how, hows, which, whose, is, are, was, were, do, does, did, can, \
     could, would, will, shall, should, may, have, has, any, was, wann, wo, wer, warum, wie, welche, ist, sind, haben, \
     kann, können, gibt, qué, cuándo, dónde, quién, cómo, cuál, cuánto, por qué, puedo, puede, tiene, hay, quoi, quand, où, \
     qui, pourquoi, comment, quel, quelle, combien, est ce que, pouvez, avez, 什么, 怎么, 为什么, 谁, 几点, 哪, 你们, 请问, 有",
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait(complete: Option<f32>, words: &str) -> u32 {
        let evidence = EndEvidence { complete, shape: Some(Shape::of(words, None)), is_final: true, went_on: 0 };
        EndpointSettings::default().wait_ms(evidence)
    }

    #[test]
    fn a_sure_model_ends_the_turn_early_and_a_doubtful_one_waits() {
        assert_eq!(wait(Some(0.95), "A table for two please."), 240);
        let waits = [0.8, 0.5, 0.2, 0.0].map(|p| wait(Some(p), "A table for two please."));
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert!((350..450).contains(&waits[1]) && (850..1_000).contains(&waits[3]), "{waits:?}");
    }

    #[test]
    fn without_an_opinion_silence_and_words_decide() {
        assert!((400..=420).contains(&wait(None, "A table for two please.")));
        assert!((240..=260).contains(&wait(None, "What time is it?")), "a whole question is asked to be answered");
    }

    #[test]
    fn a_turn_is_not_over_before_its_words_are_known() {
        let evidence = EndEvidence { complete: Some(0.99), shape: Some(Shape::Question), is_final: false, went_on: 0 };
        assert_eq!(EndpointSettings::default().wait_ms(evidence), 1500);
    }

    #[test]
    fn an_open_clause_waits_for_a_second_whatever_the_voice_says() {
        for words in [
            "I would like to book a table for",
            "So, um.",
            "Well, I thought...",
            "My name is",
            "我想",
            "Is it possible to?",
            "Could you please?",
            "It's for my mother, she",
            "Well, I wanted to ask about.",
            "The problem is that.",
            "I'd like to know how much.",
        ] {
            assert_eq!(wait(Some(0.99), words), 2_000, "{words}");
        }
        assert!(wait(Some(0.95), "I would like that.") < 800, "some stop here");
        assert!(wait(Some(0.95), "How much is that?") < 300, "a question may end so");
    }

    #[test]
    fn a_reply_is_heard_later_than_the_turn_is_over_the_more_so_after_a_false_end() {
        let settings = EndpointSettings::default();
        let evidence =
            |went_on| EndEvidence { complete: Some(0.97), shape: Some(Shape::Plain), is_final: true, went_on };
        let waits = [0, 1, 2, 9].map(|went_on| settings.speak_ms(evidence(went_on)));
        assert!(waits[0] >= settings.wait_ms(evidence(0)) + 200, "{waits:?}");
        assert!(waits[0] < waits[1] && waits[1] < waits[2] && waits[2] == waits[3], "{waits:?}");
    }

    #[test]
    fn who_asks_for_time_gets_it() {
        assert_eq!(wait(Some(0.99), "Hold on."), 2_000);
        assert_eq!(wait(Some(0.99), "Um, let me think."), 2_000);
    }

    #[test]
    fn digits_are_waited_for_until_there_are_enough() {
        let settings = EndpointSettings::default();
        let wait = |words: &str, asked| {
            let evidence =
                EndEvidence { complete: Some(0.9), shape: Some(Shape::of(words, asked)), is_final: true, went_on: 0 };
            settings.wait_ms(evidence)
        };
        assert!(wait("It is 0412.", Some(Asked::Telephone)) > 1_200);
        assert_eq!(wait("It is 0412 555 789.", Some(Asked::Telephone)), 240);
        assert_eq!(wait("Four one two, 1 5, 478, a oh.", Some(Asked::Telephone)), 240);
        assert!(wait("It is four, seven, two,", None) > 1_200, "nobody asked, and yet");
        assert!(wait("SW1", Some(Asked::Postcode)) > 1_200);
        assert!(wait("The fourth.", Some(Asked::Date)) > 1_200);
    }

    #[test]
    fn the_answer_to_the_question_is_complete() {
        for (words, asked) in
            [("Yes.", Asked::YesOrNo), ("Four people.", Asked::Number), ("Ada Lovelace.", Asked::Name)]
        {
            assert_eq!(Shape::of(words, Some(asked)), Shape::Answer, "{words}");
        }
        assert_eq!(Shape::of("Do you know what his name is?", None), Shape::Question);
        assert_eq!(Shape::of("Where are you from?", None), Shape::Question, "a question may end in a preposition");
    }

    #[test]
    fn probability_and_wait_are_two_sides_of_one_model() {
        let settings = EndpointSettings::default();
        let evidence = EndEvidence { complete: Some(0.3), shape: Some(Shape::Plain), is_final: true, went_on: 0 };
        let wait = settings.wait_ms(evidence);
        assert!((settings.probability(evidence, wait) - settings.end_probability).abs() < 0.01);
        assert!(settings.probability(evidence, 0) < 0.4);
    }

    proptest! {
        #[test]
        fn a_wait_is_always_between_the_endpoint_and_the_ceiling(
            complete in prop::option::of(prop::num::f32::ANY), words in ".{0,40}", is_final in any::<bool>(),
        ) {
            let settings = EndpointSettings::default();
            let evidence = EndEvidence { complete, shape: Some(Shape::of(&words, Some(Asked::Telephone))), is_final, went_on: 0 };
            let wait = settings.wait_ms(evidence);
            prop_assert!((240..=2_000).contains(&wait));
            let p = [0, 200, 5_000].map(|silence| settings.probability(evidence, silence));
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)) && p[0] <= p[1] && p[1] <= p[2], "{p:?}");
        }
    }
}
