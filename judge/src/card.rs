//! The figures of the card, measured by one command, so that none is typed by hand.

use crate::action::Action;
use crate::beginnings::{cut_in, turned_away};
use crate::evaluate::{Outcome, Report, evaluate, quantile};
use crate::fault::{Fault, Result};
use crate::judge::Judge;
use crate::segment::Without;
use crate::situation::{Item, read_items};
use std::fmt::Write as _;
use std::path::Path;

/// Between these lines the card belongs to the command.
const BEGIN: &str = "<!-- figures: written by `duologue-judge card --write` -->";
const END: &str = "<!-- end of the figures -->";

struct Split {
    name: &'static str,
    items: Vec<Item>,
    outcomes: Vec<Outcome>,
    report: Report,
    /// Beginnings of honest questions, and the share of them that is cut in on.
    begun: (usize, f32),
    /// Endings of tellings, and the share of them that is turned away.
    told: (usize, f32),
}

fn judged(judge: &Judge, items: &[Item], without: Without) -> Result<(Vec<Outcome>, Report)> {
    let mut outcomes = Vec::with_capacity(items.len());
    let report = evaluate(judge, items, without, |_, outcome| outcomes.push(outcome.clone()))?;
    Ok((outcomes, report))
}

/// The card's figures as Markdown: evaluates `data`'s `dev.jsonl`, `test.jsonl` and `contrast.jsonl`; the first two also
/// without each part, and one on two threads.
///
/// # Errors
/// When a file is not there, or is not what it should be.
pub fn figures(data: &Path, base: &Path, head: &Path) -> Result<String> {
    let judge = Judge::load(base, head, 1)?;
    let mut splits = Vec::new();
    for name in ["dev", "test", "contrast"] {
        let items = read_items(&data.join(format!("{name}.jsonl")))?;
        let (outcomes, report) = judged(&judge, &items, Without::default())?;
        let (begun, told) = (cut_in(&judge, &items)?, turned_away(&judge, &items)?);
        splits.push(Split { name, items, outcomes, report, begun, told });
    }
    let mut out = String::new();
    let told = |fault: std::fmt::Error| Fault::content(data, fault.to_string());
    quality(&mut out, &splits).map_err(told)?;
    ablations(&mut out, &judge, &splits)?;
    let two = Judge::load(base, head, 2)?;
    let (_, on_two) = judged(&two, &splits[0].items, Without::default())?;
    times(&mut out, &[(1, &splits[0].report), (2, &on_two)]).map_err(told)?;
    for split in &splits {
        write!(out, "\n### Confusion, {}\n", split.name).map_err(told)?;
        split.report.write_confusion(&mut out).map_err(told)?;
    }
    for split in &splits {
        write!(out, "\n### Calibration, {}\n", split.name).map_err(told)?;
        split.report.write_bins(&mut out).map_err(told)?;
    }
    Ok(out)
}

fn quality(out: &mut String, splits: &[Split]) -> std::fmt::Result {
    writeln!(
        out,
        "| split | language | items | macro-F1 | accuracy | calibration error | honest questions refused | cut in on while they are asked | tellings turned away |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for split in splits {
        for lang in ["all", "zh"] {
            let of_lang = split.items.iter().zip(&split.outcomes);
            let outcomes: Vec<Outcome> =
                of_lang.filter(|(item, _)| lang == "all" || item.lang == lang).map(|(_, o)| o.clone()).collect();
            let r = Report::of(&outcomes);
            let (f1, right, ece) = (r.macro_f1, r.accuracy, r.ece);
            let honest = format!("{:.1} % of {}", r.honest.1 * 100.0, r.honest.0);
            let share = |(count, share): (usize, f32)| {
                if lang == "all" { format!("{:.1} % of {count}", share * 100.0) } else { String::new() }
            };
            let (cut, away) = (share(split.begun), share(split.told));
            writeln!(
                out,
                "| {} | {lang} | {} | {f1:.3} | {right:.3} | {ece:.3} | {honest} | {cut} | {away} |",
                split.name, r.items
            )?;
        }
    }
    Ok(())
}

fn ablations(out: &mut String, judge: &Judge, splits: &[Split]) -> Result<()> {
    let parts = [
        ("memory", Without { memory: true, ..Without::default() }),
        ("persona", Without { persona: true, ..Without::default() }),
        ("history", Without { history: true, ..Without::default() }),
    ];
    out.push_str(
        "\nWith a part of each situation left out (the same head; what is left out was there in training):\n\n",
    );
    out.push_str(
        "| left out | dev macro-F1 | test macro-F1 | dev refuse F1 | test refuse F1 |\n|---|---|---|---|---|\n",
    );
    let refuse = |r: &Report| r.per_class.iter().find(|(a, ..)| *a == Action::Refuse).map_or(0.0, |(_, f1, _)| *f1);
    let line = |name: &str, dev: &Report, test: &Report| {
        let (a, b, c, d) = (dev.macro_f1, test.macro_f1, refuse(dev), refuse(test));
        format!("| {name} | {a:.3} | {b:.3} | {c:.3} | {d:.3} |\n")
    };
    out.push_str(&line("nothing", &splits[0].report, &splits[1].report));
    for (name, without) in parts {
        let (_, dev) = judged(judge, &splits[0].items, without)?;
        let (_, test) = judged(judge, &splits[1].items, without)?;
        out.push_str(&line(name, &dev, &test));
    }
    Ok(())
}

fn times(out: &mut String, reports: &[(usize, &Report)]) -> std::fmt::Result {
    writeln!(out, "\nMilliseconds an item over `dev`: on the clock, and of processor time (all threads together).\n")?;
    writeln!(out, "| threads | context | p50 | p95 | p50 processor | p95 processor |\n|---|---|---|---|---|---|")?;
    for (threads, report) in reports {
        let rows = [
            ("read before", &report.warm_ms, &report.warm_cpu_ms),
            ("nothing read before", &report.cold_ms, &report.cold_cpu_ms),
        ];
        for (context, ms, cpu) in rows {
            let [a, b] = [0.5, 0.95].map(|share| quantile(ms, share));
            let [c, d] = [0.5, 0.95].map(|share| quantile(cpu, share));
            writeln!(out, "| {threads} | {context} | {a:.1} | {b:.1} | {c:.1} | {d:.1} |")?;
        }
    }
    Ok(())
}

/// Puts the figures between the card's two marks.
///
/// # Errors
/// When the card has no marks, or cannot be read or written.
pub fn write(card: &Path, figures: &str) -> Result<()> {
    let text = std::fs::read_to_string(card).map_err(Fault::file(card))?;
    let written =
        replaced(&text, figures).ok_or_else(|| Fault::content(card, format!("has no lines `{BEGIN}`, `{END}`")))?;
    std::fs::write(card, written).map_err(Fault::file(card))
}

fn replaced(card: &str, figures: &str) -> Option<String> {
    let (before, rest) = card.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_replaced_between_the_marks_and_nothing_else_is() {
        let card = format!("# Card\n\n{BEGIN}\nold\n{END}\n\nLimits.\n");
        let written = replaced(&card, "| new |").expect("marks");
        assert_eq!(written, format!("# Card\n\n{BEGIN}\n\n| new |\n\n{END}\n\nLimits.\n"));
        assert_eq!(replaced(&written, "| new |").as_deref(), Some(written.as_str()));
        assert_eq!(replaced("no marks", "x"), None);
    }
}
