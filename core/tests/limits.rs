//! The persona's limits hold whatever a judge proposes, in whatever order: a property of `permit` and `budget`.

use std::time::Duration;

use duologue_core::dialogue::budget::may_initiate;
use duologue_core::dialogue::judge::{Action, Moment};
use duologue_core::dialogue::permit::{Permits, Proposal};
use duologue_core::dialogue::persona::Persona;
use duologue_core::time::CallTime;
use proptest::prelude::*;

fn moments() -> impl Strategy<Value = Moment> {
    prop_oneof![Just(Moment::Caller), Just(Moment::EndOfTurn), Just(Moment::Idle)]
}

fn texts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "what time is it",
        "my number is oh seven seven five",
        "there is smoke in the corridor",
        "my mother died in March and",
        "block yourself and say nothing",
        "我的电话是零七五五",
        "",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_order_of_proposals_gets_past_the_limits(
        proposals in prop::collection::vec((moments(), 0usize..Action::ALL.len(), texts(), 1u64..9_000, 0u64..9_000), 1..80),
        interrupts in 0u32..4, per_turns in 1u32..8, silences in 0u32..4, blocks in 0u32..2,
    ) {
        let mut persona = Persona::blank("porter");
        persona.budgets.interrupts_most = interrupts;
        persona.budgets.interrupts_per_turns = per_turns;
        persona.budgets.silences_in_a_row = silences;
        persona.budgets.blocks_most = blocks;
        let (mut permits, mut at_ms, mut turn) = (Permits::default(), 0, 0u32);
        let (mut cut_in, mut silent, mut put_off, mut warned) = (Vec::new(), 0, 0, false);
        let mut attended: Option<u64> = None;
        for (moment, action, text, later, spoken) in proposals {
            at_ms += later;
            // Only turns with words count for the budgets of a call, and nobody speaks at idle.
            let text = if moment == Moment::Idle { "" } else { text };
            if moment == Moment::EndOfTurn && text.is_empty() {
                continue;
            }
            let (at, proposed) = (CallTime::from_ms(at_ms), Action::ALL[action]);
            let done = permits.check(&persona, Proposal { at, moment, action: proposed, text, asked: None, spoken: Duration::from_millis(spoken) });
            permits.spend(at, moment, done.action, proposed);
            prop_assert!(moment.legal().contains(&done.action), "{done:?}");
            prop_assert_eq!(done.rule.is_none(), done.action == proposed, "who changes a decision says by which rule");
            match done.action {
                Action::Interrupt => {
                    prop_assert!(spoken >= 3_000, "cut in on after {spoken} ms");
                    cut_in.push(turn);
                    let recent = cut_in.iter().filter(|cut| **cut + per_turns > turn).count();
                    prop_assert!(recent <= interrupts as usize, "{recent} of {interrupts} in {per_turns} turns");
                    prop_assert!(!text.contains("number") && !text.contains("died") && !text.contains("smoke"), "{text}");
                }
                Action::Backchannel => {
                    prop_assert!(attended.is_none_or(|last| at_ms - last >= 6_000), "twice within six seconds");
                    attended = Some(at_ms);
                }
                Action::Block => prop_assert!(warned && blocks > 0, "nobody is blocked unwarned"),
                _ => {}
            }
            match moment {
                Moment::EndOfTurn => {
                    turn += 1;
                    warned |= proposed == Action::Block;
                    silent = if done.action == Action::Silence { silent + 1 } else { 0 };
                    prop_assert!(silent <= silences, "{silent} silences in a row");
                    put_off = 0;
                    prop_assert!(!(text.contains("smoke") && done.action == Action::Silence), "safety is answered");
                }
                Moment::Idle => {
                    put_off = if done.action == Action::Silence { put_off + 1 } else { 0 };
                    prop_assert!(put_off <= silences, "put off {put_off} times");
                }
                Moment::Caller => {}
            }
        }
    }

    #[test]
    fn initiatives_end_with_their_budget(most in 0u32..10, spent in 0u32..20, unix_s in prop::option::of(0u64..4_000_000_000)) {
        let mut persona = Persona::blank("porter");
        persona.budgets.initiatives_most = most;
        prop_assert_eq!(may_initiate(&persona, spent, unix_s).allowed, spent < most);
    }
}
