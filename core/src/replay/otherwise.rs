//! A call as it would have been with other settings or another persona: what came from outside comes again, and what is asked of back
//! ends is answered from what they answered in the call. Where the call has no answer, something stands in for it and is counted: the
//! caller, too, said what he said to another agent.

use std::collections::BTreeMap;

use super::Head;
use super::again::{Course, Driver, Journal};
use super::record::Record;
pub use super::shelf::Guess;
use super::shelf::{Answer, Shelf, is_answer};
use crate::dialogue::conversation::Input;
use crate::journal::EndReason;
use crate::machine::{Happening, MachineError, Output};
use crate::time::CallTime;

/// What would have been.
#[derive(Clone, Debug, Default)]
pub struct Otherwise {
    pub course: Course,
    /// How often each of [`Guess::ALL`] stands in.
    pub guesses: [u32; Guess::ALL.len()],
}

/// An answer that is on its way.
struct Due {
    what: Happening,
    /// As it came in the call: then it comes again whatever is given up meanwhile, as it did then.
    as_it_was: bool,
    /// Counted when it comes: what is given up before was no guess.
    guess: Option<Guess>,
}

/// Drives the call that `head` describes with what the journal has.
///
/// # Errors
/// When there is no machine to be had: out of memory.
pub fn otherwise(journal: &Journal, head: Head) -> Result<Otherwise, MachineError> {
    let shelf = Shelf::of(journal)?;
    let outputs = std::cell::RefCell::new(Vec::new());
    let mut driver = Driver::new(&head, |at, output| outputs.borrow_mut().push((at, output)))?;
    let mut play = Play { shelf, due: BTreeMap::new(), count: 0, found: Otherwise::default() };
    let mut last = (CallTime::ZERO, EndReason::Crash);
    for (index, record) in journal.records.iter().enumerate() {
        let at = match record {
            Record::Beat { at, .. } | Record::Happened { at, .. } => *at,
            Record::Lost(_) => break,
            Record::Said(_) | Record::Done(_) => continue,
        };
        while let Some(entry) = play.due.first_entry()
            && *entry.key() < (at.us(), index as u64)
            && driver.machine().ended().is_none()
        {
            let ((when, _), due) = entry.remove_entry();
            if let Some(guess) = due.guess {
                play.found.guesses[guess as usize] += 1;
            }
            driver.on(CallTime::from_us(when), due.what);
            play.take(&mut outputs.borrow_mut());
        }
        last.0 = at;
        if driver.machine().ended().is_some() {
            break;
        }
        match record {
            Record::Beat { at, due, sensed } => driver.beat(*at, *due, *sensed),
            Record::Happened { what: Happening::Finish, .. } => break,
            Record::Happened { at, what } if !is_answer(what) => driver.on(*at, what.clone()),
            _ => {}
        }
        play.take(&mut outputs.borrow_mut());
    }
    if driver.machine().ended().is_none() {
        // The agent hung up in the call, and would not have done so here; or the journal breaks off.
        driver.on(last.0, Happening::End { reason: last.1, detail: "The journal ends here.".into() });
    }
    let ended = driver.machine().ended().map(|(reason, _)| (last.0, *reason));
    driver.on(last.0, Happening::Finish);
    play.take(&mut outputs.borrow_mut());
    play.found.course.ended = ended;
    Ok(play.found)
}

struct Play {
    shelf: Shelf,
    /// By moment and order.
    due: BTreeMap<(u64, u64), Due>,
    count: u64,
    found: Otherwise,
}

/// Of one moment, answers that are moved or made up come after everything that came in the call.
const AFTER: u64 = 1 << 40;

impl Play {
    fn take(&mut self, outputs: &mut Vec<(CallTime, Output)>) {
        for (at, output) in outputs.drain(..) {
            self.give_up(&output);
            if let Some(answer) = self.shelf.answer(at, &output) {
                self.schedule(at, answer);
            }
            self.found.course.take(at, output);
        }
    }

    fn schedule(&mut self, at: CallTime, Answer { as_it_was, answers, end, guess }: Answer) {
        if answers.is_empty()
            && let Some(guess) = guess
        {
            self.found.guesses[guess as usize] += 1;
        }
        let mut guess = guess;
        for (when, index, what) in answers {
            self.count += 1;
            let order = if as_it_was { index } else { AFTER + self.count };
            let due = Due { what, as_it_was, guess: guess.take() };
            self.due.insert((when.max(at).us(), order), due);
        }
        if let Some((when, what)) = end {
            self.count += 1;
            let due = Due { what, as_it_was: false, guess: Some(Guess::Reply) };
            self.due.insert((when.max(at).us(), AFTER + self.count), due);
        }
    }

    /// What nobody waits for any more does not come.
    fn give_up(&mut self, output: &Output) {
        let gone = |what: &Happening| match (output, what) {
            (Output::DropTurn { turn }, Happening::Input(input)) => turn_of(input) == Some(*turn),
            (Output::DropFollowUps, Happening::Input(Input::FollowUps { .. }))
            | (Output::GiveUpExtraction, Happening::Extracted(_)) => true,
            (Output::Transcribe { ask, .. }, Happening::Words(of, _)) => {
                ask.purpose.is_passing() && of.purpose.is_passing()
            }
            _ => false,
        };
        self.due.retain(|_, due| due.as_it_was || !gone(&due.what));
    }
}

/// The agent's turn that the answer belongs to.
const fn turn_of(input: &Input) -> Option<u32> {
    match input {
        Input::Token { turn, .. }
        | Input::Generated { turn, .. }
        | Input::Speech { turn, .. }
        | Input::Spoken { turn, .. }
        | Input::Searched { turn, .. } => Some(*turn),
        _ => None,
    }
}
