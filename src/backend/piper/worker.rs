//! The thread that owns the voice. It works on several clauses in turns, a chunk at a time: always on the one that will
//! be missed first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::cache::{Cache, Spoken};
use super::engine::Engine;
use super::rendering::{Rendering, Voice};
use crate::audio::LINE_RATE;
use crate::backend::pool::{Permit, Pool};
use crate::backend::{Speech, TtsError, Urgency};

/// Clauses in work at once; each holds up to some MB, and more would only make all of them late.
const MOST_IN_WORK: usize = 32;
/// How long a clause whose listener does not keep up is left alone when there is nothing else to do.
const FULL_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A listener with less sound in hand is waited for: two pieces of a long clause take some 160 ms.
const RUNS_OUT: Duration = Duration::from_millis(200);

/// A clause to be spoken.
pub(super) struct Job {
    pub text: String,
    pub urgency: Urgency,
    pub out: mpsc::Sender<Speech>,
    /// Told when all is sent, or why not.
    pub done: oneshot::Sender<Result<(), TtsError>>,
    pub asked: Instant,
}

/// What may become more urgent while the thread waits for its permit is looked at so often.
const PERMIT_LOOK: Duration = Duration::from_millis(2);

/// Speaks until the other end of `jobs` is dropped; each piece with a permit for so many threads of the pool, where there is
/// one.
pub(super) fn run(jobs: &Receiver<Job>, voice: &Voice, engine: &mut Engine, pool: Option<(&Pool, u32)>) {
    let mut cache = Cache::default();
    let mut desk = Desk { jobs, work: Vec::new() };
    while desk.fill().is_some() {
        desk.work.retain_mut(|clause| !clause.is_abandoned());
        if desk.most_due().is_none() {
            // Every listener is behind, or gone.
            if !desk.work.is_empty() && desk.wait(FULL_AGAIN_AFTER).is_none() {
                return;
            }
            continue;
        }
        let mut _permit = None;
        if let Some((pool, threads)) = pool {
            _permit = desk.permit(pool, threads);
            if _permit.is_none() {
                return;
            }
        }
        // Something more urgent may have come in meanwhile.
        let Some(at) = desk.most_due() else { continue };
        if let Some(outcome) = desk.work[at].step(voice, engine, &mut cache) {
            let finished = desk.work.swap_remove(at);
            // Whoever asked may have gone.
            let _ = finished.job.done.send(outcome);
        }
    }
}

/// The clauses in work, and where new ones come from. What it does gives nothing once nobody can ask any more.
struct Desk<'a> {
    jobs: &'a Receiver<Job>,
    work: Vec<Work>,
}

impl Desk<'_> {
    /// Takes in what waits; with no work at all, waits for some.
    fn fill(&mut self) -> Option<()> {
        if self.work.is_empty() {
            self.work.push(Work::new(self.jobs.recv().ok()?));
        }
        while self.work.len() < MOST_IN_WORK {
            match self.jobs.try_recv() {
                Ok(job) => self.work.push(Work::new(job)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        Some(())
    }

    /// Waits so long for another clause.
    fn wait(&mut self, most: Duration) -> Option<()> {
        match self.jobs.recv_timeout(most) {
            Ok(job) if self.work.len() < MOST_IN_WORK => self.work.push(Work::new(job)),
            Ok(job) => refuse(job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        Some(())
    }

    /// The clause that will be missed first, of those whose listener takes sound.
    fn most_due(&mut self) -> Option<usize> {
        let ready = self.work.iter_mut().enumerate();
        ready.filter_map(|(at, clause)| clause.has_room().then(|| (clause.due(), at))).min().map(|(_, at)| at)
    }

    /// A permit for the next piece of whatever is most urgent by the time it is granted.
    fn permit(&mut self, pool: &Pool, threads: u32) -> Option<Permit> {
        let mut ask = pool.ask(self.urgency(), threads);
        loop {
            if let Some(permit) = ask.try_take() {
                return Some(permit);
            }
            self.wait(PERMIT_LOOK)?;
            ask.raise(self.urgency());
        }
    }

    /// How urgent the next piece is. A listener about to run out of sound waits as one without any does.
    fn urgency(&self) -> Urgency {
        let soon = Instant::now() + RUNS_OUT;
        let waited_for = self.work.iter().any(|clause| clause.due() <= soon && clause.job.urgency <= Urgency::Speech);
        if waited_for {
            return Urgency::FirstAudio;
        }
        self.work.iter().map(|clause| clause.job.urgency.max(Urgency::Speech)).min().unwrap_or(Urgency::Speech)
    }
}

fn refuse(job: Job) {
    let full = TtsError::Engine(format!("{MOST_IN_WORK} clauses wait for listeners that do not take their sound"));
    let _ = job.done.send(Err(full));
}

/// A clause in work.
struct Work {
    job: Job,
    stage: Stage,
    /// Made, but not taken yet.
    unsent: VecDeque<Speech>,
    first_sent: Option<Instant>,
    sent: u64,
    /// All of the sound so far, where the clause is worth keeping.
    kept: Option<Vec<f32>>,
}

enum Stage {
    Asked,
    Speaking(Box<Rendering>),
    Complete,
}

impl Work {
    fn new(job: Job) -> Self {
        let kept = Cache::takes(&job.text).then(Vec::new);
        Self { job, stage: Stage::Asked, unsent: VecDeque::new(), first_sent: None, sent: 0, kept }
    }

    /// The listener or the asker has gone.
    fn is_abandoned(&self) -> bool {
        self.job.out.is_closed() || self.job.done.is_closed()
    }

    /// When the listener will miss the next piece: at once for a turn's first clause, at the end of what has been sent for
    /// a clause under way.
    fn due(&self) -> Instant {
        match self.first_sent {
            Some(first) => first + Duration::from_micros(self.sent * 1_000_000 / u64::from(LINE_RATE)),
            None => self.job.asked + slack(self.job.urgency),
        }
    }

    /// Hands over what is made; true when the listener has taken all of it.
    fn has_room(&mut self) -> bool {
        while let Some(speech) = self.unsent.pop_front() {
            let samples = if let Speech::Pcm(pcm) = &speech { pcm.len() as u64 } else { 0 };
            match self.job.out.try_send(speech) {
                Ok(()) => {
                    self.sent += samples;
                    if samples > 0 {
                        self.first_sent.get_or_insert_with(Instant::now);
                    }
                }
                Err(mpsc::error::TrySendError::Full(speech)) => {
                    self.unsent.push_front(speech);
                    return false;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    self.unsent.clear();
                    self.stage = Stage::Complete;
                }
            }
        }
        true
    }

    /// Makes the next piece; the outcome once the clause is done with.
    fn step(&mut self, voice: &Voice, engine: &mut Engine, cache: &mut Cache) -> Option<Result<(), TtsError>> {
        match &mut self.stage {
            Stage::Complete => return Some(Ok(())),
            Stage::Asked => {
                if let Some(spoken) = cache.get(&self.job.text) {
                    self.recall(&spoken);
                } else {
                    match Rendering::plan(&self.job.text, voice, engine) {
                        Ok(rendering) => {
                            let words = rendering.words.clone();
                            self.unsent.push_back(Speech::Plan { samples: rendering.samples, words });
                            self.stage = Stage::Speaking(Box::new(rendering));
                        }
                        Err(why) => return Some(Err(TtsError::Engine(why))),
                    }
                }
            }
            Stage::Speaking(rendering) => match rendering.next(engine) {
                Ok(Some(pcm)) => {
                    if let Some(kept) = &mut self.kept {
                        kept.extend_from_slice(&pcm);
                    }
                    self.unsent.push_back(Speech::Pcm(pcm));
                }
                Ok(None) => {
                    let words = std::mem::take(&mut rendering.words);
                    if let Some(pcm) = self.kept.take().filter(|pcm| !pcm.is_empty()) {
                        cache.put(self.job.text.clone(), Spoken { words, pcm });
                    }
                    self.stage = Stage::Complete;
                }
                Err(why) => return Some(Err(TtsError::Engine(why))),
            },
        }
        (self.has_room() && matches!(self.stage, Stage::Complete)).then_some(Ok(()))
    }

    fn recall(&mut self, spoken: &Arc<Spoken>) {
        self.unsent.push_back(Speech::Plan { samples: spoken.pcm.len() as u64, words: spoken.words.clone() });
        self.unsent.push_back(Speech::Pcm(spoken.pcm.clone()));
        self.stage = Stage::Complete;
    }
}

/// How long a clause may wait before it is begun. Later clauses play after the one before them, which lasts about a second.
const fn slack(urgency: Urgency) -> Duration {
    Duration::from_millis(match urgency {
        Urgency::Tail | Urgency::FirstAudio => 0,
        Urgency::Speech => 500,
        Urgency::Partial => 1_000,
        Urgency::Memory => 10_000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clause asked for at `asked`, the ends of its channels, which must be kept for it to be wanted.
    fn clause(
        urgency: Urgency,
        asked: Instant,
    ) -> (Work, mpsc::Receiver<Speech>, oneshot::Receiver<Result<(), TtsError>>) {
        let (out, heard) = mpsc::channel(1);
        let (done, finished) = oneshot::channel();
        (Work::new(Job { text: "Hello.".to_owned(), urgency, out, done, asked }), heard, finished)
    }

    #[test]
    fn a_first_clause_goes_before_later_ones_asked_for_shortly_before() {
        let now = Instant::now();
        let (later, ..) = clause(Urgency::Speech, now);
        let (first, ..) = clause(Urgency::FirstAudio, now + Duration::from_millis(400));
        assert!(first.due() < later.due());
    }

    #[test]
    fn a_clause_with_sound_in_hand_makes_way_for_one_that_is_waited_for() {
        let now = Instant::now();
        let (mut under_way, _heard, _finished) = clause(Urgency::FirstAudio, now);
        under_way.unsent.push_back(Speech::Pcm(vec![0.0; 48_000]));
        assert!(under_way.has_room());
        let (first, ..) = clause(Urgency::FirstAudio, now + Duration::from_millis(900));
        let (later, ..) = clause(Urgency::Speech, now + Duration::from_millis(900));
        assert!(first.due() < under_way.due() && under_way.due() < later.due());
    }

    #[test]
    fn what_the_listener_does_not_take_waits_in_order() {
        let (mut work, mut heard, _finished) = clause(Urgency::Speech, Instant::now());
        let plan = Speech::Plan { samples: 2, words: Vec::new() };
        work.unsent.extend([plan.clone(), Speech::Pcm(vec![0.5; 2])]);
        assert!(!work.has_room(), "the channel holds one");
        assert_eq!(heard.try_recv(), Ok(plan));
        assert!(work.has_room());
        assert_eq!(heard.try_recv(), Ok(Speech::Pcm(vec![0.5; 2])));
    }

    #[test]
    fn a_clause_is_given_up_when_either_end_is_dropped() {
        let (work, heard, finished) = clause(Urgency::Speech, Instant::now());
        assert!(!work.is_abandoned());
        drop(heard);
        assert!(work.is_abandoned());
        drop(finished);
        let (work, _heard, finished) = clause(Urgency::Speech, Instant::now());
        drop(finished);
        assert!(work.is_abandoned());
    }
}
