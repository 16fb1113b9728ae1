//! One call's recording, seen from the call: frames go in with the number of their tick, nothing waits.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::FINISH_WITHIN;
use super::thread::{Order, Place, Ticked};
use crate::audio::{HEAR_FRAME, LINE_FRAME};
use crate::time::{CallTime, TICK};

/// What a finished recording holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub duration_ms: u64,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
    /// Sound that the disk did not take in time.
    pub lost_ms: u64,
}

/// The way to one call's file.
pub struct Tape {
    orders: SyncSender<Order>,
    id: u64,
    /// The file, until it is made: a call that never connects leaves none.
    place: Option<Place>,
    /// The key that it is sealed with.
    key_id: Option<String>,
    /// The tick that the file begins with.
    first: Option<u64>,
    /// Ticks that were not taken.
    untaken: u64,
}

impl Tape {
    pub(super) fn new(orders: SyncSender<Order>, id: u64, place: Place) -> Self {
        let key_id = place.key.as_ref().map(|key| key.id());
        Self { orders, id, place: Some(place), key_id, first: None, untaken: 0 }
    }

    /// The id of the key that the file is sealed with.
    pub fn key_id(&self) -> Option<String> {
        self.key_id.clone()
    }

    /// One tick: what was heard of the caller, and what is sent. `due` is the tick's own moment. True in the first tick.
    pub fn tick(&mut self, due: CallTime, heard: &[f32], sent: &[f32; LINE_FRAME]) -> bool {
        let number = due.since(CallTime::ZERO).as_millis() as u64 / TICK.as_millis() as u64;
        let place = self.place.take();
        let begins = place.is_some();
        self.first.get_or_insert(number);
        if place.is_some_and(|place| self.orders.try_send(Order::Open { tape: self.id, place }).is_err()) {
            tracing::error!("the disk is too far behind to record this call");
        }
        let mut caller = [0.0; HEAR_FRAME];
        for (slot, sample) in caller.iter_mut().zip(heard) {
            *slot = *sample;
        }
        let tick = Ticked { number, caller: pack(&caller), agent: pack(sent) };
        if self.orders.try_send(Order::Tick { tape: self.id, tick: Box::new(tick) }).is_err() {
            self.untaken += 1;
        }
        begins
    }

    /// When the file begins.
    pub fn started_ms(&self) -> u64 {
        self.first.unwrap_or(0) * TICK.as_millis() as u64
    }

    /// The call is over: `None` where nothing was recorded, or the disk is too far behind to wait for.
    pub async fn finish(self) -> Option<Finished> {
        self.first?;
        let (done, finished) = sync_channel(1);
        let (orders, id) = (self.orders, self.id);
        // Waited for beside the runtime, in the time of the wall: the queue may be full of other calls' ticks.
        let finished = tokio::task::spawn_blocking(move || {
            orders.send(Order::Finish { tape: id, done }).ok()?;
            finished.recv_timeout(FINISH_WITHIN).ok().flatten()
        });
        let mut finished = finished.await.ok().flatten()?;
        finished.lost_ms += self.untaken * TICK.as_millis() as u64;
        Some(finished)
    }

    /// The caller does not want to be recorded: the file goes.
    pub fn discard(self) {
        let Self { orders, id, .. } = self;
        tokio::task::spawn_blocking(move || orders.send(Order::Discard { tape: id }));
    }
}

/// Sixteen bits are what the recording is made from: a quarter of the memory while it waits.
fn pack<const N: usize>(frame: &[f32; N]) -> [i16; N] {
    frame.map(|sample| (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)
}
