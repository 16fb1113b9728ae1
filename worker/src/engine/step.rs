//! The loop of the engine: take requests, build a batch, decode, choose tokens.

use std::collections::VecDeque;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use tokio::sync::{mpsc, watch};

use super::run::{After, Prepared, Run, slot_sizes};
use super::{Event, Gauge, Job, Refusal, Settings};
use crate::chat::Prompter;
use crate::slots::{Seat, Slots, TokenId};

/// Prompt tokens read in one step while nobody's reply waits. Reading costs 12 to 15 ms a token on one processor
/// (0.5B, AVX2) whatever the step's size, so this only bounds how long the model cannot be called off.
const CHUNK_ALONE: usize = 64;
/// Prompt tokens read in one step beside replies, each of which waits for the step while a voice needs about four
/// tokens a second; and for requests that only fill the cache, so that a caller who comes meanwhile hardly waits.
const CHUNK_ASIDE: usize = 16;

/// The most tokens that one batch can have.
pub fn batch_capacity(slots: usize) -> usize {
    CHUNK_ALONE + slots
}

/// What one request has in the batch.
struct Share {
    run: usize,
    tokens: Vec<TokenId>,
    /// Where in the batch its next token is to be chosen.
    choose_at: Option<i32>,
}

/// The engine's whole state; lives on its own thread.
pub struct Loop<'m> {
    model: &'m LlamaModel,
    prompter: Prompter<'m>,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    slots: Slots,
    runs: Vec<Run>,
    /// The first of those that wait, its prompt written already.
    first: Option<Prepared>,
    waiting: VecDeque<Job>,
    inbox: mpsc::Receiver<Job>,
    gauge: watch::Sender<Gauge>,
    cancelled: u64,
    ctx: usize,
    cells: usize,
    queue: usize,
}

impl<'m> Loop<'m> {
    /// An engine with nothing to do.
    pub fn new(
        model: &'m LlamaModel,
        context: LlamaContext<'m>,
        settings: &Settings,
        inbox: mpsc::Receiver<Job>,
        gauge: watch::Sender<Gauge>,
    ) -> Self {
        Self {
            model,
            prompter: Prompter::new(model, settings.layout),
            context,
            batch: LlamaBatch::new(batch_capacity(settings.slots + settings.keeps), 1),
            slots: Slots::new(settings.slots, settings.keeps),
            runs: Vec::new(),
            first: None,
            waiting: VecDeque::new(),
            inbox,
            gauge,
            cancelled: 0,
            ctx: settings.ctx as usize,
            cells: settings.cells as usize,
            queue: settings.queue,
        }
    }

    /// Works until nobody can send requests any more.
    pub fn run(mut self) {
        loop {
            if self.runs.is_empty() && self.first.is_none() && self.waiting.is_empty() {
                self.report();
                let Some(job) = self.inbox.blocking_recv() else {
                    return;
                };
                self.waiting.push_back(job);
            }
            self.receive();
            self.drop_cancelled();
            self.admit();
            self.report();
            self.step();
        }
    }

    /// Moves at most `queue` requests out of the channel; the others wait in it and, when it is full, are turned away.
    fn receive(&mut self) {
        while self.waiting.len() < self.queue {
            let Ok(job) = self.inbox.try_recv() else {
                return;
            };
            self.waiting.push_back(job);
        }
    }

    fn drop_cancelled(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|job| !job.events.is_closed());
        let gone = self.first.take_if(|prepared| prepared.cancelled());
        self.cancelled += (before - self.waiting.len()) as u64 + u64::from(gone.is_some());
        for at in (0..self.runs.len()).rev() {
            if self.runs[at].cancelled() {
                self.retire(at, false);
            }
        }
    }

    /// Gives slots to those that wait, in their order, as long as the cache can hold all replies to their ends: a reply
    /// that has begun is never given up for want of room.
    fn admit(&mut self) {
        loop {
            let (chats, keeps) = (self.slots.any_idle(false), self.slots.any_idle(true));
            if !chats && !keeps {
                return;
            }
            if self.first.is_none() {
                let Some(job) = self.waiting.pop_front() else {
                    return;
                };
                self.first = Prepared::new(job, &self.prompter, self.model, self.ctx);
            }
            let reserved: usize = self.runs.iter().map(Run::need).sum();
            let fits = |prepared: &mut Prepared| {
                let idle = if prepared.keep() { keeps } else { chats };
                idle && (self.runs.is_empty() || reserved + prepared.need() <= self.cells)
            };
            let Some(prepared) = self.first.take_if(fits) else {
                if self.first.is_some() {
                    return;
                }
                continue;
            };
            let Some(seat) = self.slots.seat(prepared.prompt(), prepared.keep()) else {
                return;
            };
            self.furnish(seat);
            self.runs.push(prepared.run(seat.slot, seat.cached));
        }
    }

    /// Brings the cache into the state that the seat describes.
    fn furnish(&mut self, seat: Seat) {
        let slot = seat.slot as i32;
        let from = if seat.copy_from.is_some() { 0 } else { seat.cached as u32 };
        if self.context.kv_cache_seq_rm(slot, Some(from), None).is_err() {
            self.forget(seat.slot);
        }
        if let Some(donor) = seat.copy_from {
            let copied = self.context.kv_cache_seq_cp(donor as i32, slot, Some(0), Some(seat.cached as u32));
            debug_assert!(copied.is_ok(), "positions are below the context's size");
        }
    }

    fn step(&mut self) {
        let shares = self.fill_batch();
        if shares.is_empty() {
            return;
        }
        self.make_room();
        match self.context.decode(&mut self.batch) {
            Ok(()) => self.spread(&shares),
            Err(fault) => self.recover(&fault),
        }
    }

    /// One token of each reply, and a part of one prompt: the oldest that is waited for, else the oldest that only
    /// fills the cache. Two prompts in one step would both be done when the second is.
    fn fill_batch(&mut self) -> Vec<Share> {
        self.batch.clear();
        let mut shares: Vec<_> =
            (0..self.runs.len()).filter_map(|at| self.runs[at].pending.map(|token| (at, vec![token], true))).collect();
        // What is only kept can wait for ever, and a reply that is read beside has a token in 200 ms.
        let replies = !shares.is_empty();
        let unread = (0..self.runs.len()).filter(|&at| self.runs[at].unread() > 0);
        let unread = unread.filter(|&at| !(replies && self.runs[at].keep()));
        if let Some(at) = unread.min_by_key(|&at| (self.runs[at].chooser.is_none(), self.runs[at].keep(), at)) {
            let run = &self.runs[at];
            let aside = !shares.is_empty() || run.chooser.is_none();
            let count = run.unread().min(if aside { CHUNK_ASIDE } else { CHUNK_ALONE });
            let choose = count == run.unread() && run.chooser.is_some();
            shares.push((at, run.prompt[run.read..run.read + count].to_vec(), choose));
        }
        shares.into_iter().map(|(run, tokens, choose)| self.add_share(run, tokens, choose)).collect()
    }

    fn add_share(&mut self, run: usize, tokens: Vec<TokenId>, choose: bool) -> Share {
        let slot = self.runs[run].slot;
        let from = self.slots.len(slot);
        for (at, token) in tokens.iter().enumerate() {
            let wanted = choose && at + 1 == tokens.len();
            let added = self.batch.add(LlamaToken(*token), (from + at) as i32, &[slot as i32], wanted);
            debug_assert!(added.is_ok(), "the batch was made for the largest step");
        }
        Share { run, tokens, choose_at: choose.then(|| self.batch.n_tokens() - 1) }
    }

    /// Empties idle slots until the batch fits. Slots that share a beginning are counted in full, so now and then one
    /// goes that could have stayed.
    fn make_room(&mut self) {
        while self.slots.total() + self.batch.n_tokens() as usize > self.cells {
            let Some(slot) = self.slots.stalest() else {
                return;
            };
            self.forget(slot);
        }
    }

    /// After a decoding: what each request read or said.
    fn spread(&mut self, shares: &[Share]) {
        let mut over = Vec::new();
        for share in shares {
            let run = &mut self.runs[share.run];
            self.slots.extend(run.slot, &share.tokens);
            let mut read_now = false;
            if run.pending.take().is_none() {
                run.read += share.tokens.len();
                read_now = run.unread() == 0;
                if read_now {
                    run.prompt_read();
                }
            }
            let after = match (share.choose_at, &mut run.chooser) {
                (Some(at), Some(chooser)) => match chooser.choose(&self.context, at) {
                    Some(token) => {
                        let full = self.slots.len(run.slot) + 1 >= self.ctx;
                        run.take(token, &self.prompter, full)
                    }
                    None => {
                        run.refuse(Refusal::Broken("no token satisfies the format".into()));
                        After::Over
                    }
                },
                (None, None) if read_now => run.primed(),
                _ => After::GoesOn,
            };
            if after != After::GoesOn {
                over.push((share.run, after == After::Over));
            }
        }
        over.sort_unstable_by(|a, b| b.cmp(a));
        for (at, complete) in over {
            self.retire(at, complete);
        }
    }

    /// A failed decoding leaves the cache as it was for want of room, and in an unknown state otherwise.
    fn recover(&mut self, fault: &DecodeError) {
        if *fault == DecodeError::NoKvCacheSlot {
            if let Some(slot) = self.slots.stalest() {
                self.forget(slot);
            } else if let Some(run) = self.runs.last() {
                run.refuse(Refusal::Busy("the cache is full; try again, or start with more --cells".into()));
                self.retire(self.runs.len() - 1, true);
            }
            return;
        }
        tracing::error!(%fault, "decoding failed; all chats in work are given up");
        for at in (0..self.runs.len()).rev() {
            self.runs[at].refuse(Refusal::Broken(format!("decoding failed: {fault}")));
            self.retire(at, true);
        }
        for slot in 0..self.slots.count() {
            self.forget(slot);
        }
    }

    fn retire(&mut self, at: usize, complete: bool) {
        let run = self.runs.remove(at);
        self.cancelled += u64::from(!complete);
        let anchor = run.anchor(&self.prompter, complete);
        self.slots.release(run.slot, anchor);
    }

    fn forget(&mut self, slot: usize) {
        // removing a whole sequence cannot fail
        let _ = self.context.kv_cache_seq_rm(slot as i32, None, None);
        self.slots.forget(slot);
    }

    fn report(&self) {
        let gauge = Gauge {
            running: self.runs.len(),
            waiting: self.waiting.len() + usize::from(self.first.is_some()),
            cancelled: self.cancelled,
            slots: slot_sizes(&self.slots),
        };
        self.gauge.send_if_modified(|now| {
            let changed = *now != gauge;
            *now = gauge;
            changed
        });
    }
}

/// Requests that are still queued when the engine ends are answered, not left hanging.
impl Drop for Loop<'_> {
    fn drop(&mut self) {
        for job in self.waiting.drain(..) {
            let _ = job.events.try_send(Event::Refused(Refusal::Broken("the model is shut down".into())));
        }
    }
}
