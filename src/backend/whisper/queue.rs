//! The utterances that wait for a worker: bounded, the most urgent first.
//!
//! A lock and a condition variable rather than a channel, because a channel knows no priorities; nothing outside this
//! module sees either.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::backend::pool::Permit;
use crate::backend::{AsrError, AsrJob, AsrPurpose, Transcript, Urgency};

/// Jobs that may wait. At a tenth of a second each a queue this long is far beyond what a conversation bears.
const CAPACITY: usize = 64;

/// Where the answer to a job goes; closed when nobody waits for it any more.
pub(super) type Reply = oneshot::Sender<Result<Transcript, AsrError>>;

/// A job and the one who waits for it.
pub(super) struct Asked {
    pub(super) job: AsrJob,
    pub(super) asker: Asker,
}

/// Who waits for the answer, and the right to work on it: both until the work is over.
pub(super) struct Asker {
    pub(super) reply: Reply,
    pub(super) permit: Option<Permit>,
}

impl Asker {
    /// Nobody waits any more, or the work is called back.
    pub(super) fn is_gone(&self) -> bool {
        self.reply.is_closed() || self.made_way()
    }

    pub(super) fn made_way(&self) -> bool {
        self.permit.as_ref().is_some_and(Permit::is_recalled)
    }
}

#[derive(Default)]
pub(super) struct JobQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By urgency, then in order of arrival.
    waiting: BTreeMap<(Urgency, u64), Asked>,
    arrivals: u64,
    closed: bool,
}

impl JobQueue {
    /// Puts a job in its place. When the queue is full, jobs that nobody waits for go first, then the least urgent
    /// one if it is less urgent than this.
    pub(super) fn push(&self, asked: Asked) -> Result<(), AsrError> {
        let urgency = match asked.job.purpose {
            AsrPurpose::Partial => Urgency::Partial,
            AsrPurpose::Final => Urgency::Tail,
        };
        let mut state = self.lock();
        if state.closed {
            return Err(AsrError::Closed);
        }
        if state.waiting.len() >= CAPACITY {
            state.waiting.retain(|_, asked| !asked.asker.reply.is_closed());
        }
        if state.waiting.len() >= CAPACITY {
            let last = state.waiting.last_entry().filter(|last| last.key().0 > urgency);
            let Some(last) = last else { return Err(AsrError::Busy { waiting: CAPACITY }) };
            let _ = last.remove().asker.reply.send(Err(AsrError::Busy { waiting: CAPACITY }));
        }
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.waiting.insert((urgency, arrival), asked);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The most urgent job that somebody waits for, as soon as there is one; nothing once the queue is closed.
    pub(super) fn pop(&self) -> Option<Asked> {
        let mut state = self.lock();
        while !state.closed {
            match state.waiting.pop_first() {
                Some((_, asked)) if asked.asker.reply.is_closed() => {}
                Some((_, asked)) => return Some(asked),
                None => state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner()),
            }
        }
        None
    }

    /// Ends the workers; whoever waits is told [`AsrError::Closed`], since the reply's sender is dropped.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// No code in this module can panic halfway through a change, so a poisoned lock still holds a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Transcript, AsrError>>;

    fn ask(queue: &JobQueue, purpose: AsrPurpose, samples: usize) -> (Result<(), AsrError>, Answer) {
        let (reply, answer) = oneshot::channel();
        let job = AsrJob { audio: vec![0.0; samples].into(), purpose, prompt: None };
        (queue.push(Asked { job, asker: Asker { reply, permit: None } }), answer)
    }

    #[test]
    fn a_tail_overtakes_partials_and_equals_keep_their_order() {
        let queue = JobQueue::default();
        let _waiting = [(AsrPurpose::Partial, 1), (AsrPurpose::Final, 2), (AsrPurpose::Final, 3)]
            .map(|(purpose, samples)| ask(&queue, purpose, samples).1);
        let order: Vec<usize> = (0..3).map(|_| queue.pop().expect("a job").job.audio.len()).collect();
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn a_job_that_nobody_waits_for_is_skipped() {
        let queue = JobQueue::default();
        drop(ask(&queue, AsrPurpose::Final, 1));
        let _waiting = ask(&queue, AsrPurpose::Partial, 2);
        assert_eq!(queue.pop().expect("a job").job.audio.len(), 2);
    }

    #[test]
    fn a_full_queue_refuses_a_partial_and_gives_a_tail_the_place_of_one() {
        let queue = JobQueue::default();
        let mut waiting: Vec<Answer> = (0..CAPACITY).map(|_| ask(&queue, AsrPurpose::Partial, 1).1).collect();
        assert_eq!(ask(&queue, AsrPurpose::Partial, 1).0, Err(AsrError::Busy { waiting: CAPACITY }));
        let (pushed, _tail) = ask(&queue, AsrPurpose::Final, 2);
        assert_eq!(pushed, Ok(()));
        assert_eq!(waiting.pop().expect("the last partial").try_recv(), Ok(Err(AsrError::Busy { waiting: CAPACITY })));
        assert_eq!(queue.pop().expect("a job").job.audio.len(), 2);
    }

    #[test]
    fn jobs_given_up_make_room_in_a_full_queue() {
        let queue = JobQueue::default();
        drop((0..CAPACITY).map(|_| ask(&queue, AsrPurpose::Final, 1).1).collect::<Vec<_>>());
        assert_eq!(ask(&queue, AsrPurpose::Partial, 1).0, Ok(()));
    }

    #[test]
    fn closing_tells_everybody() {
        let queue = JobQueue::default();
        let (_, mut answer) = ask(&queue, AsrPurpose::Final, 1);
        queue.close();
        assert!(queue.pop().is_none());
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(ask(&queue, AsrPurpose::Final, 1).0, Err(AsrError::Closed));
    }
}
