//! One pool over all engines: how many threads may infer at once, and whose turn it is.
//!
//! Each engine has threads of its own; before one of them works it takes a [`Permit`] here. Permits go out by
//! [`Urgency`], then in order of arrival, so that a partial transcript of one call never runs beside the first clause of
//! another when there is a core for one of them only. Work that nobody waits for is called back when somebody
//! does: see [`Permit::recalled`].
//!
//! Two inferring threads on one core are worse than one after the other: both results come late, and ggml's threads
//! spin while they wait for each other.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::Urgency;

/// A handle on the pool; clones share it.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    threads: u32,
    /// Held for the length of a look at two small maps.
    state: Mutex<State>,
}

struct State {
    free: u32,
    arrivals: u64,
    waiting: BTreeMap<(Urgency, u64), Waiter>,
    /// Permits that are out, by the number of their request.
    out: BTreeMap<u64, Running>,
}

struct Waiter {
    threads: u32,
    grant: oneshot::Sender<Permit>,
}

struct Running {
    urgency: Urgency,
    recall: CancellationToken,
}

/// The right to infer with some threads; given back by dropping it.
pub struct Permit {
    shared: Arc<Shared>,
    number: u64,
    threads: u32,
    recall: CancellationToken,
}

/// A request for a permit. A future; dropping it withdraws the request.
pub struct Ask {
    shared: Arc<Shared>,
    key: (Urgency, u64),
    granted: oneshot::Receiver<Permit>,
}

impl Pool {
    /// A pool of so many threads, at least one.
    pub fn new(threads: u32) -> Self {
        let threads = threads.max(1);
        let state = State { free: threads, arrivals: 0, waiting: BTreeMap::new(), out: BTreeMap::new() };
        Self { shared: Arc::new(Shared { threads, state: Mutex::new(state) }) }
    }

    /// One thread for each core of this machine.
    pub fn of_the_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32))
    }

    /// How many threads may infer at once.
    pub fn threads(&self) -> u32 {
        self.shared.threads
    }

    /// Asks for so many threads; an engine with more threads than the pool has takes all of it.
    pub fn ask(&self, urgency: Urgency, threads: u32) -> Ask {
        let threads = threads.clamp(1, self.shared.threads);
        let (grant, granted) = oneshot::channel();
        let mut state = self.shared.lock();
        state.arrivals += 1;
        let key = (urgency, state.arrivals);
        state.waiting.insert(key, Waiter { threads, grant });
        self.shared.serve(&mut state);
        drop(state);
        Ask { shared: self.shared.clone(), key, granted }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.shared.threads).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Ask {
    /// The permit, if it has been granted.
    pub fn try_take(&mut self) -> Option<Permit> {
        self.granted.try_recv().ok()
    }

    /// Somebody waits for it now: moves the request forward. Never back.
    pub fn raise(&mut self, urgency: Urgency) {
        if urgency >= self.key.0 {
            return;
        }
        let mut state = self.shared.lock();
        if let Some(waiter) = state.waiting.remove(&self.key) {
            self.key.0 = urgency;
            state.waiting.insert(self.key, waiter);
            self.shared.serve(&mut state);
        }
    }
}

impl Future for Ask {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        match Pin::new(&mut self.granted).poll(context) {
            Poll::Ready(Ok(permit)) => Poll::Ready(permit),
            // The pool drops no request before it has granted it.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // It may have been the one at the head that did not fit.
        if state.waiting.remove(&self.key).is_some() {
            self.shared.serve(&mut state);
        }
    }
}

impl Permit {
    /// Somebody waits for what this permit holds, and nobody for what it does: stop as soon as you can.
    pub fn is_recalled(&self) -> bool {
        self.recall.is_cancelled()
    }

    /// Ends when [`Permit::is_recalled`] becomes true.
    pub fn recalled(&self) -> WaitForCancellationFuture<'_> {
        self.recall.cancelled()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.free += self.threads;
        state.out.remove(&self.number);
        self.shared.serve(&mut state);
    }
}

impl Shared {
    /// Gives permits to the head of the queue while they fit. Nobody is served past a head that does not fit: a request for
    /// two threads would wait for ever.
    fn serve(self: &Arc<Self>, state: &mut State) {
        while let Some(entry) = state.waiting.first_entry() {
            let (urgency, number) = *entry.key();
            if entry.get().threads > state.free {
                let lacking = entry.get().threads - state.free;
                if urgency <= Urgency::FirstAudio {
                    state.recall(lacking);
                }
                return;
            }
            let Waiter { threads, grant } = entry.remove();
            let recall = CancellationToken::new();
            state.free -= threads;
            state.out.insert(number, Running { urgency, recall: recall.clone() });
            // An `Ask` withdraws its request before its receiver goes, so that this cannot fail.
            let _ = grant.send(Permit { shared: self.clone(), number, threads, recall });
        }
    }

    /// No code here can panic half-way through a change, so a poisoned lock still holds a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Calls back work that nobody waits for, the least urgent and latest first.
    fn recall(&self, mut permits: u32) {
        let mut idle: Vec<(&u64, &Running)> =
            self.out.iter().filter(|(_, running)| running.urgency >= Urgency::Partial).collect();
        idle.sort_by_key(|(number, running)| std::cmp::Reverse((running.urgency, **number)));
        for (_, running) in idle {
            if permits == 0 {
                return;
            }
            running.recall.cancel();
            permits -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
