//! What the persona's budgets say to an action, whatever the judge said: pure, and every answer has its reason.

use super::judge::Action;
use super::persona::Persona;

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    pub action: Action,
    pub allowed: bool,
    /// A stable code for SQL: `within-budget`, `budget-spent`, `quiet-hours`.
    pub why: &'static str,
}

/// May the agent speak first? `spent`: how often it has done so in this call. `unix_s`: seconds since 1970, where anybody
/// knows; without a clock there are no quiet hours.
pub fn may_initiate(persona: &Persona, spent: u32, unix_s: Option<u64>) -> Ruling {
    let ruling = |allowed, why| Ruling { action: Action::Initiate, allowed, why };
    let quiet = persona.quiet_hours.zip(unix_s).is_some_and(|(hours, now)| hours.holds(now));
    if quiet {
        ruling(false, "quiet-hours")
    } else if spent >= persona.budgets.initiatives_most {
        ruling(false, "budget-spent")
    } else {
        ruling(true, "within-budget")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::persona::QuietHours;

    #[test]
    fn a_budget_is_spent_and_nights_are_quiet() {
        let mut persona = Persona::blank("porter");
        persona.budgets.initiatives_most = 2;
        let why = |persona: &Persona, spent, unix_s| may_initiate(persona, spent, unix_s).why;
        assert_eq!([why(&persona, 1, None), why(&persona, 2, None)], ["within-budget", "budget-spent"]);
        persona.quiet_hours = QuietHours::parse("22:00-07:00", 0);
        let (noon, night) = (12 * 3_600, 23 * 3_600);
        assert_eq!(
            [why(&persona, 0, Some(noon)), why(&persona, 0, Some(night)), why(&persona, 0, None)],
            ["within-budget", "quiet-hours", "within-budget"]
        );
        assert!(may_initiate(&persona, 0, Some(noon)).allowed && !may_initiate(&persona, 0, Some(night)).allowed);
    }
}
