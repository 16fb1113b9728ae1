//! Sound over the agent's voice: is it meant? The agent is ducked at once, held a little later, and within half a
//! second either stops for good or goes on where it was.
//!
//! Pure: [`Suspicion`] gathers what is known, [`FloorSettings::rule`] says what follows from it.

use super::backchannel::{Reading, read};
use super::floor::{FloorSettings, Hearing};
use super::words::words;
use crate::time::{CallTime, TICK};

const TICK_MS: u32 = TICK.as_millis() as u32;

/// What follows from what is known of a suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Not decided: the agent goes on softly.
    Duck,
    /// Not decided, but likely enough that the agent holds its tongue.
    Hold,
    /// It was meant: the agent yields.
    Yield(Meant),
    /// It was not: the agent goes on.
    Reject(NotMeant),
}

/// Why the agent yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meant {
    /// Words that make a speaker stop.
    Address,
    /// Words that are more than a sign of attention.
    Words,
    /// An answer to the question that the agent has just asked.
    Answer,
    /// So much sound, of which nobody knows the words.
    Length,
    /// The agent had hardly begun: the caller goes on with his turn.
    GoesOn,
}

/// Why the agent goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotMeant {
    /// Our own voice came back.
    Echo,
    /// A sign of attention.
    Backchannel,
    /// A voice far softer than the caller's.
    Background,
    /// Sound without words, or too little of it.
    Noise,
}

/// What is known of the words.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub text: String,
    pub reading: Reading,
    /// Number of words.
    pub count: usize,
    /// Voiced milliseconds that they are from.
    pub covers_ms: u32,
}

/// Everything that is known of a sound over the agent's voice.
#[derive(Clone, Debug)]
pub struct Suspicion {
    /// Counts the suspicions of a call: answers about an older one are stale.
    pub number: u32,
    /// The onset of the sound.
    pub onset: CallTime,
    /// When it was first suspected.
    pub since: CallTime,
    /// Voiced sound in it, short pauses left out, milliseconds.
    pub voiced_ms: u32,
    /// Voiced milliseconds of it that were clearly not our own voice. The pauses of a caller who talks over us hold nothing but
    /// our echo: they do not take back what was heard before.
    pub others_ms: u32,
    /// So much of it lies before the present stretch.
    before_ms: u32,
    /// What the last tick heard.
    pub heard: Hearing,
    /// The newest words; `None` while nothing was recognised yet.
    pub partial: Option<Partial>,
    /// Voiced milliseconds at the transcript that is under way.
    pub asked_at_ms: Option<u32>,
    /// The agent has just asked something that wants yes or no.
    pub answerable: bool,
    /// The caller's usual level, where it is known: dBFS.
    pub usual_dbfs: Option<f32>,
    /// The agent had hardly begun, and the caller's turn is not settled.
    pub collides: bool,
}

impl Suspicion {
    /// Sound began over the agent's voice.
    pub fn new(number: u32, at: CallTime, heard: Hearing) -> Self {
        Self {
            number,
            onset: at - std::time::Duration::from_millis(u64::from(heard.speech_ms)),
            since: at,
            voiced_ms: heard.speech_ms,
            others_ms: 0,
            before_ms: 0,
            heard,
            partial: None,
            asked_at_ms: None,
            answerable: false,
            usual_dbfs: None,
            collides: false,
        }
    }

    /// The next tick of it.
    pub fn hear(&mut self, heard: Hearing) {
        /// A likelihood that says so.
        const CLEARLY_OTHERS: f32 = 0.3;
        if heard.speech_ms < self.heard.speech_ms {
            self.before_ms = self.voiced_ms;
        }
        self.voiced_ms = self.before_ms.saturating_add(heard.speech_ms);
        if heard.speech && heard.silence_ms == 0 && heard.echo_likelihood < CLEARLY_OTHERS {
            self.others_ms += TICK_MS;
        }
        // The level is known while there is a voice; what it was stands afterwards.
        let level_dbfs = if heard.level_dbfs < 0.0 { heard.level_dbfs } else { self.heard.level_dbfs };
        self.heard = Hearing { level_dbfs, ..heard };
    }

    /// Is a transcript of it wanted now? One at a time: the first when there is enough for a word, the next when there is
    /// more, or when the sound is over.
    pub fn wants_words(&self, settings: &FloorSettings) -> bool {
        const GROWN_MS: u32 = 100;
        if self.asked_at_ms.is_some() {
            return false;
        }
        let known = self.partial.as_ref().map_or(0, |partial| partial.covers_ms);
        let more = if self.heard.speech { GROWN_MS } else { 1 };
        let enough = self.voiced_ms >= settings.words_ms || !self.heard.speech;
        enough && self.voiced_ms >= known + more
    }

    /// The words of the sound so far; `own` is what the agent was saying.
    pub fn understood(&mut self, text: &str, names: &[String], own: &str, settings: &FloorSettings) {
        /// Words in the agent's own order that are the agent's. A caller says "At ten?", and seldom more of it.
        const OWN_WORDS: usize = 3;
        let covers_ms = self.asked_at_ms.take().unwrap_or(0);
        let all = words(text);
        let count = all.len();
        let echoed = self.heard.echo_likelihood >= settings.echo_likelihood / 2.0;
        let own_count = if echoed { 1 } else { OWN_WORDS };
        let echo = count >= own_count && words(own).windows(count).any(|window| window == all.as_slice());
        let reading = if echo { Reading::Nothing } else { read(text, names) };
        self.partial = Some(Partial { text: text.into(), reading, count, covers_ms });
    }

    /// The recogniser failed: what is known stays.
    pub fn not_understood(&mut self) {
        self.asked_at_ms = None;
    }

    fn background(&self, settings: &FloorSettings) -> bool {
        let level = self.heard.level_dbfs;
        // Exactly 0 is a level that nobody measured.
        self.usual_dbfs.is_some_and(|usual| level < 0.0 && level <= usual - settings.background_db)
    }

    /// Is what is known of the words about (nearly) all of the sound?
    fn settled(&self) -> Option<&Partial> {
        const MISSING_MS: u32 = 60;
        self.partial.as_ref().filter(|partial| partial.covers_ms + MISSING_MS >= self.voiced_ms)
    }
}

/// How much longer than the longest doubt, for words that are under way.
const LAST_WORDS_MS: u32 = 200;

impl FloorSettings {
    /// What follows from a suspicion at `at`. Past `decide_ms`, and 200 ms more where words are under way, it is never [`Ruling::Duck`] or [`Ruling::Hold`].
    pub fn rule(&self, at: CallTime, doubt: &Suspicion) -> Ruling {
        if doubt.collides && doubt.heard.speech && doubt.voiced_ms >= self.resume_ms {
            return Ruling::Yield(Meant::GoesOn);
        }
        let reading = doubt.partial.as_ref().map(|partial| partial.reading);
        if reading == Some(Reading::Address) {
            return Ruling::Yield(Meant::Address);
        }
        if doubt.heard.echo_likelihood >= self.echo_likelihood && doubt.others_ms < self.others_ms {
            return Ruling::Reject(NotMeant::Echo);
        }
        let late = at.since(doubt.since).as_millis() >= u128::from(self.decide_ms);
        if doubt.background(self) {
            let over = doubt.heard.silence_ms >= self.reject_ms && doubt.settled().is_some();
            return if late || over { Ruling::Reject(NotMeant::Background) } else { Ruling::Duck };
        }
        // Words that are under way are waited for a little longer, if there is enough sound for some.
        let coming = doubt.asked_at_ms.is_some_and(|asked| asked >= self.barge_in_ms);
        let too_late = at.since(doubt.since).as_millis() >= u128::from(self.decide_ms + LAST_WORDS_MS);
        let late = late && (!coming || too_late);
        if let Some(ruling) = self.by_words(doubt, late) {
            return ruling;
        }
        if late {
            // So much of it is unheard of: its length decides. A cough whose words were looked for has none.
            let unheard = doubt.voiced_ms - doubt.partial.as_ref().map_or(0, |p| p.covers_ms).min(doubt.voiced_ms);
            let long = doubt.voiced_ms >= self.barge_in_ms && unheard >= self.barge_in_ms;
            return if long { Ruling::Yield(Meant::Length) } else { Ruling::Reject(NotMeant::Noise) };
        }
        if doubt.voiced_ms >= self.hold_ms || doubt.collides { Ruling::Hold } else { Ruling::Duck }
    }

    /// What the words decide by themselves.
    fn by_words(&self, doubt: &Suspicion, late: bool) -> Option<Ruling> {
        let partial = doubt.partial.as_ref()?;
        let over = !doubt.heard.speech && doubt.settled().is_some();
        // "Yes," may go on as "Yes, I know all that."
        let done = over && doubt.heard.silence_ms >= self.reject_ms;
        let sure = over || late || partial.covers_ms >= self.sure_ms;
        match partial.reading {
            Reading::Address => Some(Ruling::Yield(Meant::Address)),
            Reading::Objection | Reading::Content if sure => Some(Ruling::Yield(Meant::Words)),
            Reading::Objection | Reading::Content => None,
            Reading::Backchannel if doubt.answerable && super::backchannel::assents(&partial.text) => {
                Some(Ruling::Yield(Meant::Answer))
            }
            Reading::Backchannel if done || late => Some(Ruling::Reject(NotMeant::Backchannel)),
            Reading::Nothing if done => Some(Ruling::Reject(NotMeant::Noise)),
            Reading::Backchannel | Reading::Nothing => None,
        }
    }
}
