//! How good a judge is, on labelled items.

use crate::action::{Action, Floor};
use crate::calibration::leaves_unanswered;
use crate::fault::Result;
use crate::judge::Judge;
use crate::segment::Without;
use crate::situation::Item;
use std::fmt;
use std::time::Instant;

const BINS: usize = 10;

/// One item's outcome: `sure` is the probability of what was chosen.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub floor: Floor,
    pub gold: Action,
    pub chosen: Action,
    /// The gold action or another acceptable one.
    pub right: bool,
    pub sure: f32,
}

#[derive(Debug, Clone, Default)]
pub struct Bin {
    pub count: usize,
    pub sure: f32,
    pub right: f32,
}

#[derive(Debug, Clone)]
pub struct Report {
    pub items: usize,
    pub macro_f1: f32,
    pub accuracy: f32,
    /// F1 and number of items of each action that occurs, by `Action::ALL`.
    pub per_class: Vec<(Action, f32, usize)>,
    /// Gold by row, counted action by column; an acceptable choice counts as gold.
    pub confusion: [[usize; Action::COUNT]; Action::COUNT],
    pub ece: f32,
    pub bins: Vec<Bin>,
    /// Of the end-of-turn items whose gold is `respond`: how many, and the share left unanswered.
    pub honest: (usize, f32),
    /// Milliseconds an item, sorted: with persona, memory and history read before, and with nothing read before.
    pub warm_ms: Vec<f32>,
    pub cold_ms: Vec<f32>,
    /// The same in processor time, all threads together.
    pub warm_cpu_ms: Vec<f32>,
    pub cold_cpu_ms: Vec<f32>,
}

/// Expected calibration error over ten bins of equal width, and the bins.
#[must_use]
pub fn calibration_error(outcomes: &[Outcome]) -> (f32, Vec<Bin>) {
    let mut bins = vec![Bin::default(); BINS];
    for outcome in outcomes {
        let bin = &mut bins[((outcome.sure * BINS as f32) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.sure += outcome.sure;
        bin.right += f32::from(u8::from(outcome.right));
    }
    let error = bins.iter().map(|b| (b.sure - b.right).abs()).sum::<f32>() / (outcomes.len() as f32).max(1.0);
    for bin in bins.iter_mut().filter(|b| b.count > 0) {
        bin.sure /= bin.count as f32;
        bin.right /= bin.count as f32;
    }
    (error, bins)
}

impl Report {
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut confusion = [[0; Action::COUNT]; Action::COUNT];
        for outcome in outcomes {
            let counted = if outcome.right { outcome.gold } else { outcome.chosen };
            confusion[outcome.gold.index()][counted.index()] += 1;
        }
        let per_class: Vec<_> = Action::ALL
            .into_iter()
            .filter_map(|action| {
                let at = action.index();
                let support: usize = confusion[at].iter().sum();
                let claimed: usize = confusion.iter().map(|row| row[at]).sum();
                let f1 = 2.0 * confusion[at][at] as f32 / ((support + claimed) as f32).max(1.0);
                (support > 0).then_some((action, f1, support))
            })
            .collect();
        let honest: Vec<_> =
            outcomes.iter().filter(|o| o.floor == Floor::EndOfTurn && o.gold == Action::Respond).collect();
        let unanswered = honest.iter().filter(|o| !o.right && leaves_unanswered(o.chosen)).count();
        let (ece, bins) = calibration_error(outcomes);
        let count = (outcomes.len() as f32).max(1.0);
        Self {
            items: outcomes.len(),
            macro_f1: per_class.iter().map(|(_, f1, _)| f1).sum::<f32>() / (per_class.len() as f32).max(1.0),
            accuracy: outcomes.iter().filter(|o| o.right).count() as f32 / count,
            per_class,
            confusion,
            ece,
            bins,
            honest: (honest.len(), unanswered as f32 / (honest.len() as f32).max(1.0)),
            warm_ms: Vec::new(),
            cold_ms: Vec::new(),
            warm_cpu_ms: Vec::new(),
            cold_cpu_ms: Vec::new(),
        }
    }

    /// How long an item took, in words.
    #[must_use]
    pub fn times(&self) -> String {
        let rows = [
            ("context read before", &self.warm_ms, &self.warm_cpu_ms),
            ("nothing read before", &self.cold_ms, &self.cold_cpu_ms),
        ];
        let mut out = String::new();
        for (name, ms, cpu) in rows.iter().filter(|(_, ms, _)| !ms.is_empty()) {
            let at = |sorted: &[f32], share| quantile(sorted, share);
            let (p50, p95) = (at(ms, 0.5), at(ms, 0.95));
            let (cpu50, cpu95) = (at(cpu, 0.5), at(cpu, 0.95));
            out += &format!(
                "{name}: p50 {p50:.1} ms, p95 {p95:.1} ms an item; processor time {cpu50:.1} and {cpu95:.1} ms\n"
            );
        }
        out
    }
}

/// Processor time of this process so far, all threads together, milliseconds.
fn cpu_ms() -> f32 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    (now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6) as f32
}

/// Judges every item, one at a time. `tell` is told of each.
pub fn evaluate(
    judge: &Judge,
    items: &[Item],
    without: Without,
    mut tell: impl FnMut(&Item, &Outcome),
) -> Result<Report> {
    let mut outcomes = Vec::with_capacity(items.len());
    let mut times = [const { Vec::new() }; 4];
    for item in items {
        let situation = without.apply(item.situation());
        judge.forget();
        let (began, cpu) = (Instant::now(), cpu_ms());
        judge.prepare(&situation)?;
        let (prepared, cpu_prepared) = (began.elapsed(), cpu_ms() - cpu);
        let decision = judge.decide(&situation)?;
        let cpu = cpu_ms() - cpu;
        times[0].push(decision.took.as_secs_f32() * 1e3);
        times[1].push((prepared + decision.took).as_secs_f32() * 1e3);
        times[2].push(cpu - cpu_prepared);
        times[3].push(cpu);
        let sure = decision.probabilities.iter().find(|(a, _)| *a == decision.action).map_or(0.0, |(_, p)| *p);
        let (chosen, gold) = (decision.action, item.gold);
        let outcome = Outcome { floor: item.floor, gold, chosen, right: item.accepts(chosen), sure };
        tell(item, &outcome);
        outcomes.push(outcome);
    }
    times.iter_mut().for_each(|ms| ms.sort_by(f32::total_cmp));
    let [warm_ms, cold_ms, warm_cpu_ms, cold_cpu_ms] = times;
    Ok(Report { warm_ms, cold_ms, warm_cpu_ms, cold_cpu_ms, ..Report::of(&outcomes) })
}

/// The value below which a share of the sorted values lies.
#[must_use]
pub fn quantile(sorted: &[f32], share: f32) -> f32 {
    let at = (share * sorted.len() as f32).ceil() as usize;
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "items {}   macro-F1 {:.3}   accuracy {:.3}   ECE {:.3}",
            self.items, self.macro_f1, self.accuracy, self.ece
        )?;
        writeln!(f, "honest questions refused {:.1} % of {}", self.honest.1 * 100.0, self.honest.0)?;
        write!(f, "{}", self.times())?;
        self.write_confusion(f)?;
        self.write_bins(f)
    }
}

impl Report {
    /// Gold by row, chosen by column.
    pub(crate) fn write_confusion(&self, f: &mut impl fmt::Write) -> fmt::Result {
        write!(f, "\n| gold \\ chosen |")?;
        for (action, ..) in &self.per_class {
            write!(f, " {action} |")?;
        }
        writeln!(f, " items | F1 |\n|---|{}---|---|", "---|".repeat(self.per_class.len()))?;
        for (gold, f1, support) in &self.per_class {
            write!(f, "| {gold} |")?;
            for (chosen, ..) in &self.per_class {
                write!(f, " {} |", self.confusion[gold.index()][chosen.index()])?;
            }
            writeln!(f, " {support} | {f1:.3} |")?;
        }
        Ok(())
    }

    /// How often what was said to be so sure was right.
    pub(crate) fn write_bins(&self, f: &mut impl fmt::Write) -> fmt::Result {
        writeln!(f, "\n| sure | items | mean sureness | share right |\n|---|---|---|---|")?;
        for (at, bin) in self.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
            let (low, high) = (at as f32 / BINS as f32, (at + 1) as f32 / BINS as f32);
            writeln!(f, "| {low:.1}-{high:.1} | {} | {:.3} | {:.3} |", bin.count, bin.sure, bin.right)?;
        }
        Ok(())
    }
}
