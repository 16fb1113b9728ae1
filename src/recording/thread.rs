//! The one thread that encodes and writes. It stands back for the media threads as inference does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::TICKS_WAITING;
use super::ogg_file::OggFile;
use super::sealed::SealKey;
use super::tape::Finished;
use crate::audio::opus::StereoEncoder;
use crate::audio::resample::Resampler;
use crate::audio::{HEAR_FRAME, HEAR_RATE, LINE_FRAME, LINE_RATE};
use crate::backend::niceness::lower_this_thread;
use crate::time::TICK;

/// nice(1): after the media threads, before the models.
const NICE: u8 = 2;
/// A hole longer than this is a fault of the clock and not of a busy machine: the file stops there.
const LONGEST_HOLE_TICKS: u64 = 50 * 60 * 60;

/// One tick of a call, both sides.
pub(super) struct Ticked {
    pub number: u64,
    pub caller: [i16; HEAR_FRAME],
    pub agent: [i16; LINE_FRAME],
}

/// Where a call's file is to be, and what it says about itself.
pub(super) struct Place {
    pub path: PathBuf,
    pub comments: Vec<(&'static str, String)>,
    pub key: Option<Arc<SealKey>>,
}

pub(super) enum Order {
    Open {
        tape: u64,
        place: Place,
    },
    Tick {
        tape: u64,
        tick: Box<Ticked>,
    },
    Finish {
        tape: u64,
        done: SyncSender<Option<Finished>>,
    },
    Discard {
        tape: u64,
    },
    /// Everything before it is done when this is answered.
    #[cfg(test)]
    Settle(SyncSender<()>),
}

/// Starts the thread; it ends when nobody can order any more.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start() -> std::io::Result<SyncSender<Order>> {
    let (orders, queue) = sync_channel(TICKS_WAITING);
    std::thread::Builder::new().name("recording".into()).spawn(move || {
        lower_this_thread(NICE);
        work(&queue);
    })?;
    Ok(orders)
}

fn work(orders: &Receiver<Order>) {
    let mut reels: HashMap<u64, Reel> = HashMap::new();
    while let Ok(order) = orders.recv() {
        match order {
            Order::Open { tape, place } => match Reel::open(place) {
                Ok(reel) => {
                    reels.insert(tape, reel);
                }
                Err(why) => tracing::error!(%why, "a call goes on without a recording"),
            },
            Order::Tick { tape, tick } => {
                if let Some(reel) = reels.get_mut(&tape) {
                    reel.tick(&tick);
                }
            }
            // Whoever asked may have given up waiting; the file is whole all the same.
            Order::Finish { tape, done } => drop(done.send(reels.remove(&tape).map(Reel::finish))),
            #[cfg(test)]
            Order::Settle(done) => drop(done.send(())),
            Order::Discard { tape } => {
                if let Some(reel) = reels.remove(&tape) {
                    let _ = std::fs::remove_file(&reel.path);
                }
            }
        }
    }
}

/// One call's file in the making.
struct Reel {
    path: PathBuf,
    file: OggFile,
    encoder: StereoEncoder,
    /// The caller's side comes at 16 kHz.
    upward: Resampler,
    raised: Vec<f32>,
    next: Option<u64>,
    written: u64,
    failing: bool,
}

const SILENCE: [f32; LINE_FRAME] = [0.0; LINE_FRAME];

impl Reel {
    fn open(Place { path, comments, key }: Place) -> Result<Self, String> {
        let mut encoder = StereoEncoder::new().map_err(|why| why.to_string())?;
        let upward = Resampler::live(HEAR_RATE, LINE_RATE).map_err(|why| why.to_string())?;
        let comments: Vec<(&str, &str)> = comments.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let file = OggFile::create_sealed(&path, encoder.pre_skip(), &comments, key.as_deref())
            .map_err(|why| format!("cannot write {}: {why}", path.display()))?;
        Ok(Self { path, file, encoder, upward, raised: Vec::new(), next: None, written: 0, failing: false })
    }

    fn tick(&mut self, tick: &Ticked) {
        let next = *self.next.get_or_insert(tick.number);
        if tick.number < next || tick.number - next > LONGEST_HOLE_TICKS {
            return;
        }
        // Ticks that did not come here have passed all the same.
        for _ in next..tick.number {
            self.put(&SILENCE, &SILENCE);
        }
        self.next = Some(tick.number + 1);
        let caller = tick.caller.map(|sample| f32::from(sample) / f32::from(i16::MAX));
        self.upward.push(&caller, &mut self.raised);
        let mut left = SILENCE;
        let ready = self.raised.len().min(LINE_FRAME);
        for (slot, sample) in left.iter_mut().zip(self.raised.drain(..ready)) {
            *slot = sample;
        }
        self.put(&left, &tick.agent.map(|sample| f32::from(sample) / f32::from(i16::MAX)));
    }

    fn put(&mut self, left: &[f32; LINE_FRAME], right: &[f32; LINE_FRAME]) {
        // A packet of one byte is a lost one to a decoder (RFC 6716, section 3.2.1): its time passes.
        let packet = self.encoder.encode(left, right).map_or_else(|_| vec![0x7c], |packet| packet.to_vec());
        self.written += 1;
        let kept = self.file.packet(packet);
        if !kept && !self.failing {
            tracing::error!(file = %self.path.display(), "the disk does not take the recording; the call goes on, and what is lost is counted");
        }
        self.failing = !kept;
    }

    fn finish(mut self) -> Finished {
        let last = self.encoder.encode(&SILENCE, &SILENCE).map_or_else(|_| vec![0x7c], |packet| packet.to_vec());
        let tick_ms = TICK.as_millis() as u64;
        let (bytes, sha256, lost) = self.file.finish(last);
        Finished { duration_ms: self.written * tick_ms, bytes, sha256, lost_ms: lost * tick_ms }
    }
}
