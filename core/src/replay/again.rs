//! A call again: the machine is told what it was told, at the moments at which it was, and must say what it said.

use duologue_signaling::event::Stamped;

use super::Head;
use super::record::Record;
use crate::audio::LINE_FRAME;
use crate::audio::vad::EnergyVad;
use crate::journal::{EndReason, Entry};
use crate::machine::{CallMachine, Happening, MachineError, Output};
use crate::media::ear::Sensed;
use crate::time::CallTime;

/// A whole journal.
#[derive(Clone, Debug)]
pub struct Journal {
    pub head: Head,
    pub records: Vec<Record>,
}

/// What a call did: everything that came out of the machine that a person would look at.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// The events as the client was told them, as JSON.
    pub events: Vec<String>,
    pub stamped: Vec<Stamped>,
    pub entries: Vec<Entry>,
    pub ended: Option<(CallTime, EndReason)>,
    /// The last moment that is known.
    pub until: CallTime,
}

impl Course {
    pub(super) fn take(&mut self, at: CallTime, output: Output) {
        self.until = self.until.max(at);
        match output {
            Output::Emit(event) => {
                self.events.push(serde_json::to_string(&event).unwrap_or_default());
                self.stamped.push(event);
            }
            Output::Keep(entry) => self.entries.push(entry),
            _ => {}
        }
    }
}

/// Where a replay went another way than the call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The event of this number, from 0, is another one; `None` where one of the two has no more.
    Event { number: usize, live: Option<String>, again: Option<String> },
    /// The events are the same so far; what else was done (rows, requests to back ends) is not, in the second before this moment.
    Done { at: CallTime },
}

/// What came of replaying.
#[derive(Clone, Debug, Default)]
pub struct Again {
    pub course: Course,
    /// Events of the call itself.
    pub live: Vec<String>,
    /// The first difference; `None`: byte for byte the same.
    pub difference: Option<Difference>,
    /// Records that the disk did not take: what comes after them is not replayed.
    pub lost: u64,
    /// The journal has the call's end.
    pub whole: bool,
}

/// Drives a machine and hands on what it says.
pub(super) struct Driver<F: FnMut(CallTime, Output)> {
    machine: CallMachine,
    out: F,
}

impl<F: FnMut(CallTime, Output)> Driver<F> {
    pub fn new(head: &Head, out: F) -> Result<Self, MachineError> {
        // Never asked: what the detector said stands in the journal.
        let vad = Box::new(EnergyVad::default());
        let machine = CallMachine::new(head.call.clone(), head.persona.clone(), head.settings.clone(), vad)?;
        Ok(Self { machine, out })
    }

    pub fn beat(&mut self, at: CallTime, due: CallTime, sensed: Sensed) {
        self.machine.beat(at, due, Some(sensed), &mut [0.0; LINE_FRAME]);
        self.drain(at);
    }

    pub fn on(&mut self, at: CallTime, what: Happening) {
        self.machine.on(at, what);
        self.drain(at);
    }

    pub fn machine(&self) -> &CallMachine {
        &self.machine
    }

    fn drain(&mut self, at: CallTime) {
        while let Some(output) = self.machine.next() {
            (self.out)(at, output);
        }
    }
}

/// Replays a journal to its end, or to where records are missing.
///
/// # Errors
/// When there is no machine to be had: out of memory.
pub fn again(journal: &Journal) -> Result<Again, MachineError> {
    observed(journal, |_, _| {})
}

/// As [`again`]; everything that is to be done is shown to `seen` first.
pub(super) fn observed(journal: &Journal, mut seen: impl FnMut(CallTime, &Output)) -> Result<Again, MachineError> {
    let mut found = Again::default();
    let mut course = Course::default();
    let mut done = None;
    let mut end = None;
    {
        let mut driver = Driver::new(&journal.head, |at, output| {
            seen(at, &output);
            course.take(at, output);
        })?;
        for record in &journal.records {
            match record {
                Record::Beat { at, due, sensed } => driver.beat(*at, *due, *sensed),
                Record::Happened { at, what } => {
                    if *what == Happening::Finish {
                        found.whole = true;
                        end = driver.machine().ended().map(|(reason, _)| (*at, *reason));
                    }
                    driver.on(*at, what.clone());
                }
                Record::Said(event) => found.live.push(event.clone()),
                Record::Done(digest) if done.is_none() && *digest != driver.machine().digest() => {
                    done = Some(found.live.len());
                }
                Record::Done(_) => {}
                Record::Lost(records) => {
                    found.lost = *records;
                    break;
                }
            }
        }
    }
    course.ended = end;
    found.difference = difference(&found, &course, done);
    found.course = course;
    Ok(found)
}

/// The first of the two kinds. `done`: so many events had been said when something else was found to be different.
fn difference(found: &Again, course: &Course, done: Option<usize>) -> Option<Difference> {
    let (live, again) = (&found.live, &course.events);
    let same = live.iter().zip(again).take_while(|(live, again)| live == again).count();
    // The last block may have been cut off between what happened and what was said of it.
    let cut = same == live.len() && (!found.whole || found.lost > 0);
    let ends = same == live.len() && same == again.len();
    let event = (!ends && !cut).then(|| Difference::Event {
        number: same,
        live: live.get(same).cloned(),
        again: again.get(same).cloned(),
    });
    match (event, done) {
        (Some(Difference::Event { number, .. }), Some(said)) if said <= number => {}
        (Some(event), _) => return Some(event),
        (None, None) => return None,
        (None, Some(_)) => {}
    }
    let at = course.stamped.get(done?.saturating_sub(1)).map_or(CallTime::ZERO, |said| CallTime::from_ms(said.at_ms));
    Some(Difference::Done { at })
}
