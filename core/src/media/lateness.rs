//! How late the agent's frames leave: each 20 ms frame has a moment at which it is due, and is counted by how long after it
//! its packet left for the network.

use std::time::Duration;

/// A bucket holds what was later than the one before it and at most this, milliseconds. Fine where a receiver's buffer
/// hides it, coarse where nothing does; later than the last is counted with the last.
pub const BUCKETS_MS: [u32; 14] = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1_000];
/// A frame this late leaves after the next one was due.
pub const LATE_MS: u32 = 20;

/// The frames of one call, of fixed size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    frames: [u64; BUCKETS_MS.len()],
    worst: Duration,
}

/// The bucket of a frame that left so long after it was due.
pub fn bucket_of(late: Duration) -> usize {
    let bucket = BUCKETS_MS.iter().position(|most| late <= Duration::from_millis(u64::from(*most)));
    bucket.unwrap_or(BUCKETS_MS.len() - 1)
}

impl Lateness {
    /// Frames as they were counted, by [`bucket_of`], and the latest.
    pub const fn of(frames: [u64; BUCKETS_MS.len()], worst: Duration) -> Self {
        Self { frames, worst }
    }

    /// Frames in all.
    pub fn total(&self) -> u64 {
        self.frames.iter().sum()
    }

    /// The latest frame.
    pub const fn worst(&self) -> Duration {
        self.worst
    }

    /// The buckets that hold any frame, with the milliseconds that are their upper end; that of the last is the latest frame,
    /// rounded up.
    pub fn buckets(&self) -> Vec<(u32, u64)> {
        let held = BUCKETS_MS.into_iter().zip(self.frames).filter(|(_, frames)| *frames > 0);
        let mut buckets: Vec<(u32, u64)> = held.collect();
        if let Some((most_ms, _)) = buckets.last_mut() {
            *most_ms = u32::try_from(self.worst.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_counted_by_how_late_it_left() {
        let mut frames = [0; BUCKETS_MS.len()];
        let late_us = [0, 300, 1_000, 1_001, 19_999, 20_000, 20_001, 5_000_100];
        for us in late_us {
            frames[bucket_of(Duration::from_micros(us))] += 1;
        }
        let lateness = Lateness::of(frames, Duration::from_micros(5_000_100));
        assert_eq!(lateness.buckets(), [(1, 3), (2, 1), (20, 2), (30, 1), (5_001, 1)]);
        assert_eq!((lateness.total(), lateness.worst().as_secs()), (8, 5));
    }

    #[test]
    fn frames_that_were_all_on_time_are_one_bucket() {
        let mut frames = [0; BUCKETS_MS.len()];
        frames[bucket_of(Duration::ZERO)] = 50;
        assert_eq!(Lateness::of(frames, Duration::ZERO).buckets(), [(1, 50)]);
        assert_eq!(Lateness::default().buckets(), []);
    }

    #[test]
    fn the_buckets_rise_and_one_of_them_ends_where_a_frame_is_late() {
        assert!(BUCKETS_MS.is_sorted());
        assert!(BUCKETS_MS.contains(&LATE_MS));
    }
}
