//! The statements of a scenario that make the character: what it says by itself, and what it may do.

use duologue_core::dialogue::ladder::Rung;
use duologue_core::dialogue::persona::{Persona, QuietHours};

pub const STATEMENTS: [&str; 9] =
    ["opening", "greets-back", "takes-leave", "warns", "ladder", "listen_ms", "silences", "silence_ttl_ms", "quiet"];

pub fn statement(persona: &mut Persona, word: &str, rest: &str) -> Option<()> {
    match word {
        "opening" => persona.opening = rest.into(),
        "greets-back" => persona.greetings.push(rest.into()),
        "takes-leave" => persona.farewells.push(rest.into()),
        "warns" => persona.warnings = vec![rest.into()],
        "ladder" => {
            let (after, say) = rest.split_once(' ')?;
            let (say, hang_up) = say.strip_suffix("(hang up)").map_or((say, false), |say| (say.trim(), true));
            persona.ladder.push(Rung { after_ms: after.parse().ok()?, say: say.into(), hang_up });
        }
        "listen_ms" => persona.budgets.listen_ms = rest.parse().ok()?,
        "silences" => persona.budgets.silences_in_a_row = rest.parse().ok()?,
        "silence_ttl_ms" => persona.silence_ttl_ms = rest.parse().ok()?,
        "quiet" => persona.quiet_hours = Some(QuietHours::parse(rest, 0)?),
        _ => return None,
    }
    Some(())
}
