use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

fn granted(ask: &mut Ask) -> Option<Permit> {
    ask.try_take()
}

#[test]
fn permits_go_out_by_urgency_then_in_order() {
    let pool = Pool::new(1);
    let running = pool.ask(Urgency::Tail, 1).now_or_never().expect("the pool is free");
    let mut partial = pool.ask(Urgency::Partial, 1);
    let mut first = pool.ask(Urgency::FirstAudio, 1);
    let mut second = pool.ask(Urgency::FirstAudio, 1);
    drop(running);
    let running = granted(&mut first).expect("the first of the most urgent");
    assert!(granted(&mut second).is_none() && granted(&mut partial).is_none());
    drop(running);
    let running = granted(&mut second).expect("the second");
    drop(running);
    assert!(granted(&mut partial).is_some());
}

#[test]
fn work_that_nobody_waits_for_is_called_back_when_somebody_waits() {
    let pool = Pool::new(2);
    let speech = pool.ask(Urgency::Speech, 1).now_or_never().expect("free");
    let partial = pool.ask(Urgency::Partial, 1).now_or_never().expect("free");
    let _later = pool.ask(Urgency::Speech, 1);
    assert!(!partial.is_recalled(), "later speech is not waited for");
    let mut tail = pool.ask(Urgency::Tail, 1);
    assert!(partial.is_recalled() && !speech.is_recalled());
    drop(partial);
    assert!(granted(&mut tail).is_some());
}

#[test]
fn a_request_that_is_raised_overtakes() {
    let pool = Pool::new(1);
    let running = pool.ask(Urgency::Tail, 1).now_or_never().expect("free");
    let mut later = pool.ask(Urgency::Speech, 1);
    let mut partial = pool.ask(Urgency::Partial, 1);
    partial.raise(Urgency::FirstAudio);
    later.raise(Urgency::Memory);
    drop(running);
    assert!(granted(&mut partial).is_some());
    assert!(granted(&mut later).is_some());
}

#[test]
fn two_threads_are_not_starved_by_single_ones() {
    let pool = Pool::new(2);
    let one = pool.ask(Urgency::Tail, 1).now_or_never().expect("free");
    let mut two = pool.ask(Urgency::Tail, 2);
    let mut small = pool.ask(Urgency::Tail, 1);
    assert!(granted(&mut small).is_none(), "nobody is served past the head");
    drop(one);
    let both = granted(&mut two).expect("both threads");
    assert!(granted(&mut small).is_none());
    drop(both);
    assert!(granted(&mut small).is_some());
}

#[test]
fn an_engine_with_more_threads_than_the_pool_takes_all_of_it() {
    let pool = Pool::new(2);
    let all = pool.ask(Urgency::Tail, 16).now_or_never().expect("free");
    assert!(pool.ask(Urgency::Tail, 1).now_or_never().is_none());
    drop(all);
}

#[test]
fn a_request_withdrawn_at_the_head_lets_the_next_one_through() {
    let pool = Pool::new(2);
    let _one = pool.ask(Urgency::Tail, 1).now_or_never().expect("free");
    let two = pool.ask(Urgency::Tail, 2);
    let mut small = pool.ask(Urgency::Partial, 1);
    drop(two);
    assert!(granted(&mut small).is_some());
}

#[test]
fn a_permit_granted_to_nobody_comes_back() {
    let pool = Pool::new(1);
    let ask = pool.ask(Urgency::Tail, 1);
    drop(ask);
    assert!(pool.ask(Urgency::Memory, 1).now_or_never().is_some());
}

fn urgency() -> impl Strategy<Value = Urgency> {
    prop::sample::select(vec![Urgency::Tail, Urgency::FirstAudio, Urgency::Speech, Urgency::Partial, Urgency::Memory])
}

proptest! {
    /// Whatever is asked, withdrawn and given back: never more threads at once than the pool has, and in the end all
    /// are free again.
    #[test]
    fn no_more_threads_infer_than_the_pool_has(
        size in 1u32..6,
        steps in prop::collection::vec((0u8..4, urgency(), 1u32..8), 1..60),
    ) {
        let pool = Pool::new(size);
        let mut asks: Vec<Ask> = Vec::new();
        let mut out: Vec<Permit> = Vec::new();
        for (what, urgency, threads) in steps {
            match what {
                0 | 1 => asks.push(pool.ask(urgency, threads)),
                2 if !out.is_empty() => drop(out.swap_remove(0)),
                _ if !asks.is_empty() => drop(asks.swap_remove(0)),
                _ => {}
            }
            asks.retain_mut(|ask| ask.try_take().map(|permit| out.push(permit)).is_none());
            prop_assert!(out.iter().map(|permit| permit.threads).sum::<u32>() <= size);
        }
        drop(asks);
        drop(out);
        prop_assert!(pool.ask(Urgency::Memory, size).now_or_never().is_some());
    }
}
