//! Which tokens lie in which sequence of the KV cache, and where the next prompt goes. Pure: no model, no clock.
//!
//! Several chats share one cache. A prompt continues the chat that it belongs to in place; a new chat takes the cache
//! place that nobody has used for longest and is given, by reference, whatever beginning another place already holds.

/// A token's number in the model's vocabulary.
pub type TokenId = i32;

/// One sequence of the cache.
#[derive(Debug, Default, Clone)]
struct Slot {
    tokens: Vec<TokenId>,
    /// A prompt that shares at least so many tokens continues this chat.
    anchor: usize,
    /// When it was last used, in requests.
    used_at: u64,
    busy: bool,
}

/// Where a prompt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The sequence of the cache.
    pub slot: usize,
    /// So many tokens of the prompt are in the cache already; always fewer than the prompt has.
    pub cached: usize,
    /// Empty the slot first, then take its first `cached` tokens from this other slot.
    pub copy_from: Option<usize>,
}

/// All sequences of the cache: those of chats first, then those of beginnings that are kept.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    /// So many of them are for chats.
    chats: usize,
    requests: u64,
}

impl Slots {
    /// `chats` empty slots, at least one, and `keeps` for beginnings that are kept.
    pub fn new(chats: usize, keeps: usize) -> Self {
        let chats = chats.max(1);
        Self { slots: vec![Slot::default(); chats + keeps], chats, requests: 0 }
    }

    /// Gives a prompt its place and marks it busy; `None` when every slot of its kind is busy. `keep`: it is a beginning that no
    /// chat may push out.
    ///
    /// The last token of a prompt is never counted as cached: the model must see at least one token to say what
    /// comes next.
    pub fn seat(&mut self, prompt: &[TokenId], keep: bool) -> Option<Seat> {
        let most = prompt.len().saturating_sub(1);
        let mut shared: Vec<usize> = self.slots.iter().map(|slot| common_prefix(&slot.tokens, prompt)).collect();
        let continued = self
            .kind(keep)
            .filter(|&at| {
                let slot = &self.slots[at];
                // What is kept and was broken off goes on where it was.
                let begun = keep && !slot.tokens.is_empty() && shared[at] == slot.tokens.len();
                !slot.busy && (begun || slot.anchor > 0 && shared[at] >= slot.anchor)
            })
            .max_by_key(|&at| shared[at]);
        shared.iter_mut().for_each(|shared| *shared = (*shared).min(most));
        let seat = match continued {
            Some(slot) => Seat { slot, cached: shared[slot], copy_from: None },
            None => self.seat_newcomer(&shared, keep)?,
        };
        self.requests += 1;
        let slot = &mut self.slots[seat.slot];
        slot.busy = true;
        slot.used_at = self.requests;
        slot.anchor = 0;
        slot.tokens.clear();
        slot.tokens.extend_from_slice(&prompt[..seat.cached]);
        Some(seat)
    }

    /// The slots for what is kept, or for chats; where nothing is kept, those of chats for everything.
    fn kind(&self, keep: bool) -> std::ops::Range<usize> {
        if keep && self.chats < self.slots.len() { self.chats..self.slots.len() } else { 0..self.chats }
    }

    fn seat_newcomer(&self, shared: &[usize], keep: bool) -> Option<Seat> {
        let slot = self.kind(keep).filter(|&at| !self.slots[at].busy).min_by_key(|&at| {
            let slot = &self.slots[at];
            (!slot.tokens.is_empty(), slot.used_at)
        })?;
        let donor = (0..self.slots.len()).max_by_key(|&at| (shared[at], at == slot))?;
        Some(Seat { slot, cached: shared[donor], copy_from: (donor != slot && shared[donor] > 0).then_some(donor) })
    }

    /// Tokens that the model has now put into the slot.
    pub fn extend(&mut self, slot: usize, tokens: &[TokenId]) {
        self.slots[slot].tokens.extend_from_slice(tokens);
    }

    /// The request is over; `anchor` tokens of its prompt mark the chat that may go on here.
    pub fn release(&mut self, slot: usize, anchor: usize) {
        let slot = &mut self.slots[slot];
        slot.busy = false;
        slot.anchor = anchor.min(slot.tokens.len());
    }

    /// The slot's tokens were removed from the cache.
    pub fn forget(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        slot.tokens.clear();
        slot.anchor = 0;
    }

    /// The idle slot with tokens that nobody has used for longest: of a chat while there is one, then of what is kept, for a
    /// caller's reply is worth more than a beginning that can be read again.
    pub fn stalest(&self) -> Option<usize> {
        (0..self.slots.len())
            .filter(|&at| !self.slots[at].busy && !self.slots[at].tokens.is_empty())
            .min_by_key(|&at| (at >= self.chats, self.slots[at].used_at))
    }

    /// Tokens in the slot.
    pub fn len(&self, slot: usize) -> usize {
        self.slots[slot].tokens.len()
    }

    /// Tokens in all slots; beginnings that slots share are counted once for each of them, so this never understates.
    pub fn total(&self) -> usize {
        self.slots.iter().map(|slot| slot.tokens.len()).sum()
    }

    /// How many slots there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Is one free for the next request of this kind?
    pub fn any_idle(&self, keep: bool) -> bool {
        self.kind(keep).any(|at| !self.slots[at].busy)
    }
}

/// How many tokens two sequences have in common from their beginnings.
pub fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SYSTEM: [TokenId; 6] = [1, 2, 3, 4, 5, 6];

    fn prompt(rest: &[TokenId]) -> Vec<TokenId> {
        SYSTEM.iter().chain(rest).copied().collect()
    }

    fn serve(slots: &mut Slots, prompt: &[TokenId], reply: &[TokenId]) -> Seat {
        let seat = slots.seat(prompt, false).expect("a slot is free");
        slots.extend(seat.slot, &prompt[seat.cached..]);
        slots.extend(seat.slot, reply);
        slots.release(seat.slot, prompt.len());
        seat
    }

    #[test]
    fn a_chat_goes_on_where_it_was() {
        let mut slots = Slots::new(2, 0);
        let first = serve(&mut slots, &prompt(&[10, 11]), &[20, 21, 22]);
        // the reply was cut short by the caller: only its first token is in the history
        let second = serve(&mut slots, &prompt(&[10, 11, 20, 30, 31]), &[]);
        assert_eq!(second, Seat { slot: first.slot, cached: 9, copy_from: None });
    }

    #[test]
    fn another_call_takes_its_own_slot_and_shares_the_system_prompt() {
        let mut slots = Slots::new(2, 0);
        let first = serve(&mut slots, &prompt(&[10, 11]), &[20]);
        let second = serve(&mut slots, &prompt(&[50, 51]), &[60]);
        assert_ne!(first.slot, second.slot);
        assert_eq!((second.cached, second.copy_from), (6, Some(first.slot)));
        let third = serve(&mut slots, &prompt(&[10, 11, 20, 30]), &[]);
        assert_eq!((third.slot, third.cached), (first.slot, 9));
    }

    #[test]
    fn a_primed_slot_is_taken_in_place() {
        let mut slots = Slots::new(4, 0);
        let primed = serve(&mut slots, &SYSTEM, &[]);
        let call = serve(&mut slots, &prompt(&[10]), &[20]);
        assert_eq!(call, Seat { slot: primed.slot, cached: 6, copy_from: None });
    }

    #[test]
    fn priming_for_a_second_call_leaves_the_first_calls_history_alone() {
        let mut slots = Slots::new(2, 0);
        let first = serve(&mut slots, &prompt(&[10, 11]), &[20]);
        let primed = serve(&mut slots, &SYSTEM, &[]);
        assert_ne!(primed.slot, first.slot);
        assert_eq!((primed.cached, primed.copy_from), (5, Some(first.slot)));
    }

    #[test]
    fn a_prompt_that_is_wholly_cached_still_leaves_one_token_to_the_model() {
        let mut slots = Slots::new(1, 0);
        serve(&mut slots, &SYSTEM, &[9]);
        assert_eq!(slots.seat(&SYSTEM, false).expect("free").cached, 5);
    }

    #[test]
    fn what_is_kept_lends_its_beginning_to_every_chat_and_stays() {
        let mut slots = Slots::new(1, 2);
        let keep = |slots: &mut Slots, prompt: &[TokenId]| {
            let seat = slots.seat(prompt, true).expect("a slot is free");
            slots.extend(seat.slot, &prompt[seat.cached..]);
            slots.release(seat.slot, prompt.len());
            seat
        };
        let kept = keep(&mut slots, &SYSTEM);
        keep(&mut slots, &[7, 8, 9]);
        for call in 10..20 {
            let seat = serve(&mut slots, &prompt(&[call]), &[]);
            assert_eq!((seat.slot, seat.cached), (0, 6));
            assert_eq!(serve(&mut slots, &[7, 8, 9, call], &[]).cached, 3, "the other is there as well");
            assert_eq!(slots.stalest(), Some(0));
        }
        assert_eq!(keep(&mut slots, &SYSTEM), Seat { slot: kept.slot, cached: 5, copy_from: None }, "once");
    }

    #[test]
    fn what_is_kept_goes_last_where_there_is_no_room() {
        let mut slots = Slots::new(1, 1);
        let kept = slots.seat(&SYSTEM, true).expect("free");
        slots.extend(kept.slot, &SYSTEM[kept.cached..]);
        slots.release(kept.slot, SYSTEM.len());
        serve(&mut slots, &[7, 8, 9], &[]);
        assert_eq!(slots.stalest(), Some(0), "the chat first, though it is newer");
        slots.forget(0);
        assert_eq!(slots.stalest(), Some(kept.slot));
    }

    #[test]
    fn what_is_kept_and_was_broken_off_goes_on_where_it_was() {
        let mut slots = Slots::new(1, 2);
        let begun = slots.seat(&SYSTEM, true).expect("free");
        slots.extend(begun.slot, &SYSTEM[..4]);
        slots.release(begun.slot, 0);
        assert_eq!(slots.seat(&SYSTEM, true), Some(Seat { slot: begun.slot, cached: 4, copy_from: None }));
        assert!(slots.any_idle(true) && slots.any_idle(false));
        assert_eq!(Slots::new(1, 0).seat(&SYSTEM, true).map(|seat| seat.slot), Some(0), "where nothing is kept");
    }

    #[test]
    fn when_all_slots_are_full_the_one_unused_for_longest_goes() {
        let mut slots = Slots::new(2, 0);
        let first = serve(&mut slots, &[1, 2, 3], &[]);
        serve(&mut slots, &[4, 5, 6], &[]);
        assert_eq!(serve(&mut slots, &[7, 8, 9], &[]).slot, first.slot);
    }

    #[test]
    fn a_busy_slot_lends_its_beginning_and_is_never_taken() {
        let mut slots = Slots::new(2, 0);
        let busy = slots.seat(&prompt(&[10]), false).expect("free");
        slots.extend(busy.slot, &prompt(&[10]));
        let other = slots.seat(&prompt(&[11]), false).expect("free");
        assert_eq!((other.copy_from, other.cached), (Some(busy.slot), 6));
        assert_eq!(slots.seat(&prompt(&[12]), false), None);
    }

    proptest! {
        #[test]
        fn a_seat_holds_exactly_the_cached_beginning_of_its_prompt(
            prompts in prop::collection::vec(prop::collection::vec(0..3i32, 1..12), 1..30),
            count in 1..5usize,
        ) {
            let mut slots = Slots::new(count, 0);
            for prompt in prompts {
                let before: Vec<Vec<TokenId>> = slots.slots.iter().map(|slot| slot.tokens.clone()).collect();
                let seat = slots.seat(&prompt, false).expect("all were released");
                let source = &before[seat.copy_from.unwrap_or(seat.slot)];
                prop_assert!(seat.cached < prompt.len());
                prop_assert_eq!(&source[..seat.cached], &prompt[..seat.cached]);
                prop_assert_eq!(slots.len(seat.slot), seat.cached);
                slots.extend(seat.slot, &prompt[seat.cached..]);
                slots.release(seat.slot, prompt.len());
            }
        }
    }
}
