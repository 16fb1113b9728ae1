//! Making up for lost packets of a codec that cannot: what was heard last goes on at its own pitch, and fades.
//!
//! The idea is that of G.711, Appendix I (ITU-T, 1999): the last pitch period is repeated; after 10 ms the last two, then
//! the last three, because one alone buzzes; from 10 ms on it fades, and at 60 ms nothing is left. The beginning of the next
//! packet is blended with the continuation. Unlike the appendix nothing is held back for a smooth beginning: what a
//! repetition starts off by is taken out over a quarter of a period instead, which costs no delay.

/// Pitch periods that are looked for: 5 to 15 ms, 66 to 200 Hz. A higher voice is met at a multiple of its period.
const PERIOD_LEAST_US: u64 = 5_000;
const PERIOD_MOST_US: u64 = 15_000;
/// How much of the end is compared with what was before it.
const COMPARED_US: u64 = 20_000;
/// Kept: three of the longest periods and a quarter of one to blend into.
const KEPT_US: u64 = 48_750;
/// Unchanged for so long, ...
const STEADY_US: u64 = 10_000;
/// ... and silent from here on.
const SILENT_US: u64 = 60_000;
/// The beginning of the next packet is blended over this.
const BLEND_US: u64 = 5_000;

/// Of one stream, at its own rate.
pub(super) struct Concealer {
    rate_hz: u32,
    /// The last of what was given out, real and made up: [`KEPT_US`] of it.
    past: Vec<f32>,
    /// Present while something is being made up.
    going: Option<Going>,
}

/// What is being repeated.
struct Going {
    period: usize,
    /// Periods in the cycle that is being repeated.
    periods: usize,
    /// The place in it.
    at: usize,
    /// Samples made up since the last packet.
    made: usize,
    /// How far the first sample would have been off from where the sound was.
    step: f32,
    /// Made up since the last packet: the past of what comes after.
    tail: Vec<f32>,
}

impl Concealer {
    pub(super) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, past: Vec::new(), going: None }
    }

    /// A packet's samples, in order. Their beginning is changed where it follows on something made up.
    pub(super) fn good(&mut self, samples: &mut [f32]) {
        if let Some(mut going) = self.going.take() {
            let blend = self.samples(BLEND_US).min(samples.len());
            for (n, sample) in samples[..blend].iter_mut().enumerate() {
                let real = (n + 1) as f32 / (blend + 1) as f32;
                *sample = *sample * real + self.next(&mut going) * (1.0 - real);
            }
            going.tail.truncate(going.tail.len() - blend);
            self.remember(&going.tail);
        }
        self.remember(samples);
    }

    /// Appends `wanted` samples of what might have been there.
    pub(super) fn fill(&mut self, wanted: usize, out: &mut Vec<f32>) {
        let mut going = match self.going.take() {
            Some(going) => going,
            None => match self.begin() {
                Some(going) => going,
                // Nothing was heard yet.
                None => return out.resize(out.len() + wanted, 0.0),
            },
        };
        out.extend((0..wanted).map(|_| self.next(&mut going)));
        self.going = Some(going);
    }

    fn samples(&self, us: u64) -> usize {
        (us * u64::from(self.rate_hz) / 1_000_000) as usize
    }

    fn remember(&mut self, samples: &[f32]) {
        self.past.extend_from_slice(samples);
        let excess = self.past.len().saturating_sub(self.samples(KEPT_US));
        self.past.drain(..excess);
    }

    fn begin(&self) -> Option<Going> {
        if self.past.len() < self.samples(KEPT_US) {
            return None;
        }
        let period = self.period();
        let step = self.past[self.past.len() - 1] - self.past[self.past.len() - 1 - period];
        Some(Going { period, periods: 1, at: 0, made: 0, step, tail: Vec::new() })
    }

    /// Where the past is most like its own end: the lag of the highest normalised correlation. The shortest of those that are
    /// nearly as good, so that a multiple of the period is not taken for it.
    fn period(&self) -> usize {
        let (least, most) = (self.samples(PERIOD_LEAST_US), self.samples(PERIOD_MOST_US));
        let compared = self.samples(COMPARED_US);
        let from = self.past.len() - compared;
        let end = &self.past[from..];
        let likeness = |lag: usize| {
            let before = &self.past[from - lag..from - lag + compared];
            let (mut product, mut energy) = (0.0_f32, 1e-6_f32);
            for (a, b) in end.iter().zip(before) {
                product += a * b;
                energy += b * b;
            }
            product / energy.sqrt()
        };
        let found: Vec<f32> = (least..=most).map(likeness).collect();
        let best = found.iter().fold(0.0_f32, |best, found| best.max(*found));
        let near = |n: &usize| found[*n] >= 0.97 * best;
        // The top of the first hill that is high enough, not its slope.
        let mut at = (0..found.len()).find(near).unwrap_or(0);
        while at + 1 < found.len() && found[at + 1] > found[at] {
            at += 1;
        }
        least + at
    }

    /// One sample on.
    fn next(&self, going: &mut Going) -> f32 {
        let length = going.period * going.periods;
        let start = self.past.len() - length;
        let quarter = going.period / 4;
        let mut sample = self.past[start + going.at];
        // The end of a cycle goes over into what came before its beginning, so that it can begin again.
        if let Some(over) = (going.at + quarter).checked_sub(length) {
            let weight = (over + 1) as f32 / (quarter + 1) as f32;
            // Three periods and a quarter are there: that is what KEPT_US is for.
            sample = sample * (1.0 - weight) + self.past[start + going.at - length] * weight;
        }
        if going.made < quarter {
            sample += going.step * (1.0 - going.made as f32 / quarter as f32);
        }
        let (steady, silent) = (self.samples(STEADY_US), self.samples(SILENT_US));
        let gain = match going.made {
            made if made < steady => 1.0,
            made if made < silent => 1.0 - (made - steady) as f32 / (silent - steady) as f32,
            _ => 0.0,
        };
        going.at += 1;
        going.made += 1;
        if going.at >= length {
            going.at = 0;
            going.periods = (1 + going.made / steady.max(1)).min(3);
        }
        let sample = sample * gain;
        // Past the fade there is nothing more to remember: it is silence.
        going.tail.push(sample);
        if going.tail.len() > self.samples(2 * KEPT_US) {
            let excess = going.tail.len() - self.samples(KEPT_US);
            going.tail.drain(..excess);
        }
        sample
    }
}
