//! One sender's stream in the buffer: what is accepted, and what is played when.

use super::*;

/// What is to be played, and when it came if it came.
pub(super) struct Played {
    pub pull: Pull,
    pub arrived: Option<CallTime>,
}

impl From<Pull> for Played {
    fn from(pull: Pull) -> Self {
        Self { pull, arrived: None }
    }
}

impl Stream {
    pub(super) fn begin(at: CallTime, packet: RtpPacket, shape: Shape, codec: LineCodec, delay: Delay) -> Self {
        // Unwrapped numbers start one cycle up, so that packets from before the first one stay positive.
        let sequence = i64::from(packet.sequence) + (1 << 16);
        let timestamp = i64::from(packet.timestamp) + (1 << 32);
        let mut stream = Self {
            ssrc: packet.ssrc,
            codec,
            newest: Arrival { at, sequence, timestamp },
            seen: Seen::starting_at(sequence),
            held: BTreeMap::new(),
            delay,
            first: None,
            next: sequence,
            position: timestamp,
            resting: Some(Rest::Pause),
            stalled: Duration::ZERO,
            bridged: Duration::ZERO,
            was_late: false,
            silent: false,
            copies: Copies::default(),
            others: VecDeque::new(),
            hush: None,
        };
        stream.accept(at, sequence, packet, shape, &mut JitterStats::default());
        stream
    }

    /// The full number of a 16-bit sequence number: the nearest to the newest.
    pub(super) fn unwrap_sequence(&self, sequence: u16) -> i64 {
        self.newest.sequence + i64::from(sequence.wrapping_sub(self.newest.sequence as u16) as i16)
    }

    fn unwrap_timestamp(&self, timestamp: u32) -> i64 {
        self.newest.timestamp + i64::from(timestamp.wrapping_sub(self.newest.timestamp as u32) as i32)
    }

    pub(super) fn accept(
        &mut self,
        at: CallTime,
        sequence: i64,
        packet: RtpPacket,
        shape: Shape,
        stats: &mut JitterStats,
    ) -> PushOutcome {
        if self.seen.note(sequence) {
            stats.duplicate += 1;
            return PushOutcome::Duplicate;
        }
        let timestamp = self.unwrap_timestamp(packet.timestamp);
        self.copies.share += (f32::from(u8::from(shape.copy)) - self.copies.share) / COPIES_OVER;
        let held = Held { packet, timestamp, length: shape.length, copy: shape.copy, arrived: at };
        self.follow_timing(sequence, &held);
        let transit_us = held.transit_us();
        self.delay.arrived(at, transit_us);
        if let Some(first) = self.first.filter(|_| sequence < self.next) {
            // What lies before the first packet that was played was never missed.
            stats.lost -= u64::from(sequence > first);
            stats.late += 1;
            self.was_late = true;
            self.delay.tardy(at, transit_us);
            return PushOutcome::Late;
        }
        if !self.stalled.is_zero() && sequence == self.next {
            self.delay.tardy(at, transit_us);
        }
        self.held.insert(sequence, held);
        PushOutcome::Accepted
    }

    /// Keeps the newest arrival, and notices when the sender's clock has jumped or the stream has paused.
    fn follow_timing(&mut self, sequence: i64, held: &Held) {
        let newest = self.newest;
        let since_us = held.arrived.since(newest.at).as_micros() as i64;
        let passed = held.timestamp - newest.timestamp;
        // A packet on time has passed as much by its own clock as by ours. One that is merely slow has at least passed
        // as much as its number says.
        let off_clock = (ticks_us(passed) - since_us).abs() > NEW_TIMING.as_micros() as i64;
        let off_count =
            ticks_us(passed - (sequence - newest.sequence) * held.length).abs() > NEW_TIMING.as_micros() as i64;
        let paused = self.held.is_empty() && self.resting.is_some() && held.arrived.since(newest.at) > NEW_TIMING;
        if (off_clock && off_count) || paused {
            self.delay.forget_fastest();
        }
        if sequence >= newest.sequence {
            self.newest = Arrival { at: held.arrived, sequence, timestamp: held.timestamp };
        }
    }

    /// Gives up the oldest packets when there is more to play than the longest delay.
    pub(super) fn drop_excess(&mut self, settings: JitterSettings, stats: &mut JitterStats) {
        let most = i64::from(settings.max_ms + 2 * settings.packet_ms) * i64::from(LINE_RATE / 1_000);
        let mut ticks: i64 = self.held.values().map(|held| held.length).sum();
        while self.held.len() > 1 && (ticks > most || self.held.len() > MOST_PACKETS) {
            ticks -= self.pass_head(stats).map_or(0, |held| held.length);
            stats.dropped += 1;
        }
    }

    /// Takes the first packet out; the ones missing before it are lost.
    pub(super) fn pass_head(&mut self, stats: &mut JitterStats) -> Option<Held> {
        let (sequence, held) = self.held.pop_first()?;
        if self.first.is_some() {
            self.count_lost(sequence - self.next - self.others_before(sequence), stats);
        }
        self.copies.loss -= self.copies.loss / LOSS_OVER;
        self.first.get_or_insert(sequence);
        self.next = sequence + 1;
        self.position = held.timestamp + held.length;
        self.stalled = Duration::ZERO;
        Some(held)
    }

    fn play_head(&mut self, stats: &mut JitterStats) -> Played {
        let Some(held) = self.pass_head(stats) else { return Pull::Wait.into() };
        self.resting = None;
        self.bridged = Duration::ZERO;
        self.silent = self.codec.is_silence(&held.packet.payload);
        stats.played += 1;
        Played { pull: Pull::Packet(held.packet), arrived: Some(held.arrived) }
    }

    /// A number that is not sound's: a key of the telephone, say.
    pub(super) fn other(&mut self, sequence: u16) {
        let sequence = self.unwrap_sequence(sequence);
        if sequence >= self.next && !self.others.contains(&sequence) {
            self.others.push_back(sequence);
            if self.others.len() > OTHERS_MOST {
                self.others.pop_front();
            }
        }
    }

    /// The number of a packet that says that silence follows. The packets before it are sound, and may still come.
    pub(super) fn silence(&mut self, sequence: u16) {
        self.other(sequence);
        self.hush = self.hush.max(Some(self.unwrap_sequence(sequence)));
    }

    /// Of the numbers that are still to be played before this one, how many are not sound's.
    fn others_before(&self, sequence: i64) -> i64 {
        self.others.iter().filter(|other| (self.next..sequence).contains(other)).count() as i64
    }

    /// Packets that were passed over.
    fn count_lost(&mut self, packets: i64, stats: &mut JitterStats) {
        stats.lost += packets.unsigned_abs();
        for _ in 0..packets.min(LOSS_OVER as i64) {
            self.copies.loss += (1.0 - self.copies.loss) / LOSS_OVER;
        }
    }

    /// The delay to play at: what the network's jitter asks for, and a packet more where the copy of a lost one in the next
    /// is worth waiting for.
    pub(super) fn target_us(&self, at: CallTime, max_us: i64) -> i64 {
        let room_us = if self.copies.waited_for { TICK.as_micros() as i64 } else { 0 };
        (self.delay.target_us(at) + room_us).min(max_us)
    }

    /// The delay of what would be played at `at` from this timestamp.
    fn delay_us(&self, at: CallTime, timestamp: i64) -> i64 {
        // A packet that is played the moment it arrives has a transit of "now minus its timestamp".
        self.delay.jitter_us(at.us() as i64 - ticks_us(timestamp))
    }

    pub(super) fn pull(&mut self, at: CallTime, max_us: i64, stats: &mut JitterStats) -> Played {
        match self.resting {
            Some(rest) => self.pull_resting(rest, at, max_us, stats),
            None => self.pull_playing(at, max_us, stats),
        }
    }

    /// Nothing plays: at the start, in a silence, after a stop. The first packet waits until it has the target delay.
    fn pull_resting(&mut self, rest: Rest, at: CallTime, max_us: i64, stats: &mut JitterStats) -> Played {
        match self.held.values().next() {
            Some(head) if self.delay_us(at, head.timestamp) >= self.target_us(at, max_us) => self.play_head(stats),
            _ => rest.pull().into(),
        }
    }

    fn pull_playing(&mut self, at: CallTime, max_us: i64, stats: &mut JitterStats) -> Played {
        let Some((&sequence, head)) = self.held.first_key_value() else { return self.starve().into() };
        let gap = head.timestamp - self.position;
        let missing = sequence - self.next - self.others_before(sequence);
        if missing == 0 {
            // The sender was silent: time has passed, but no packet is missing.
            return if gap > head.length / 2 {
                self.rest(Rest::Pause, at, max_us, stats)
            } else {
                self.play_head(stats)
            };
        }
        // The length of one missing packet, in whole steps of the decoder.
        let length = (gap / missing + STEP_TICKS / 2) / STEP_TICKS * STEP_TICKS;
        if length <= 0 {
            return self.play_head(stats);
        }
        // Some of it was concealed while nothing had come.
        let concealed = (self.stalled.as_micros() as i64 * 6 / 125 / length).min(missing);
        self.lose(concealed, length, stats);
        let missing = missing - concealed;
        let hole = ticks_duration(length * missing);
        if missing == 0 {
            return self.play_head(stats);
        }
        if length > LONGEST_PACKET || (missing > 1 && self.bridged + hole > HOLE_MOST) {
            // More than concealment is good for: nothing, until the packet behind the hole is due.
            return self.rest(Rest::Gone, at, max_us, stats);
        }
        let next = Some(&self.held[&sequence]).filter(|head| missing == 1 && head.copy);
        let next = next.map(|head| head.packet.clone());
        self.lose(1, length, stats);
        let length = ticks_duration(length);
        match next {
            Some(next) => Pull::Recover { next, length }.into(),
            None => {
                self.bridged += length;
                Pull::Conceal { length }.into()
            }
        }
    }

    fn rest(&mut self, rest: Rest, at: CallTime, max_us: i64, stats: &mut JitterStats) -> Played {
        self.resting = Some(rest);
        self.pull_resting(rest, at, max_us, stats)
    }

    /// Passes over packets that are not there.
    fn lose(&mut self, packets: i64, length: i64, stats: &mut JitterStats) {
        self.count_lost(packets, stats);
        for _ in 0..packets {
            while self.others.contains(&self.next) {
                self.next += 1;
            }
            self.next += 1;
        }
        self.position += packets * length;
        if packets > 0 {
            self.stalled = Duration::ZERO;
        }
    }

    /// Nothing is here. The next packet may be slow, so its place is kept; concealment bridges the time.
    fn starve(&mut self) -> Pull {
        let silent = self.silent || self.hush == Some(self.next);
        if silent || self.bridged >= CONCEAL_MOST {
            let rest = if silent { Rest::Pause } else { Rest::Gone };
            self.resting = Some(rest);
            return rest.pull();
        }
        self.stalled += TICK;
        self.bridged += TICK;
        Pull::Conceal { length: TICK }
    }

    /// How the delay should change. What decides is not when a packet is heard but when it must be here: at the beginning of
    /// the tick in which the sound before it runs out. Sound that is left over from there is delay without use.
    pub(super) fn wish(&mut self, at: CallTime, left: Duration, max_us: i64) -> Wish {
        if self.resting.is_some() || !self.stalled.is_zero() {
            return Wish::Keep;
        }
        self.copies.waited_for = self.copies.share >= COPIES_LEAST
            && self.copies.loss >= if self.copies.waited_for { ROOM_BELOW } else { ROOM_FROM };
        let tick_us = TICK.as_micros() as i64;
        let over_us = left.as_micros() as i64 % tick_us;
        let here_us = self.delay_us(at + left, self.position) - over_us;
        let lacking_us = self.target_us(at, max_us) - here_us;
        if lacking_us > 0 {
            let longer = here_us + tick_us <= max_us;
            let by = Duration::from_micros((tick_us - over_us).unsigned_abs());
            return if longer { Wish::Longer { by, soon: self.was_late } } else { Wish::Keep };
        }
        self.was_late = false;
        // Whole ticks only where the next packet is here: a delay is not shortened by concealing.
        let ready = self.held.contains_key(&self.next);
        let ticks = if ready { (-lacking_us - SWING_US).max(0) / tick_us } else { 0 };
        let too_long_us = over_us + ticks * tick_us;
        if too_long_us == 0 {
            return Wish::Keep;
        }
        Wish::Shorter { by: Duration::from_micros(too_long_us.unsigned_abs()), soon: too_long_us >= FAR_ABOVE_US }
    }
}
