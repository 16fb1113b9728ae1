//! Two courses of a call side by side.

use duologue_signaling::event::{Event, Stamped};

/// Lines between which a common one is looked for: a call of an hour has some thousands.
const MOST: usize = 6_000;

/// The events in lines for people: what is told all the time is left out.
pub fn lines(events: &[Stamped]) -> Vec<String> {
    let told = events.iter().filter(|stamped| {
        !matches!(
            stamped.event,
            Event::Words { .. } | Event::Partial { .. } | Event::Quality { .. } | Event::Line { .. }
        )
    });
    told.map(|stamped| {
        let mut value = serde_json::to_value(&stamped.event).unwrap_or_default();
        let kind = value.get("type").and_then(serde_json::Value::as_str).unwrap_or("event").to_owned();
        if let Some(fields) = value.as_object_mut() {
            for none in ["type", "at_ms", "latency", "call"] {
                fields.remove(none);
            }
        }
        format!("{:>7} {kind} {value}", stamped.at_ms)
    })
    .collect()
}

/// The longest common course and what is different around it: lines that begin with `-`, `+` or a space.
pub fn diff(before: &[String], after: &[String]) -> Vec<String> {
    let (before, after) = (&before[..before.len().min(MOST)], &after[..after.len().min(MOST)]);
    let width = after.len() + 1;
    // How many lines the rests have in common.
    let mut common = vec![0u16; (before.len() + 1) * width];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            common[i * width + j] = if before[i] == after[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            out.push(format!("  {}", before[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < before.len() && (j == after.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            out.push(format!("- {}", before[i]));
            i += 1;
        } else {
            out.push(format!("+ {}", after[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_stays_and_the_rest_is_shown_once() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(diff(&lines("a b c d"), &lines("a x c d e")), ["  a", "- b", "+ x", "  c", "  d", "+ e"]);
    }
}
