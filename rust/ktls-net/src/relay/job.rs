//! A pair as its thread sees it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::flow::{PumpProgress, SpareBuffers};
use super::pair::{OnClose, PairEnd, PairOptions, RelayPair};
use super::pump::{GRACE, PairPump};
use super::side::RelaySide;
use crate::descriptor::BothTurns;
use crate::poller::{Poller, WatchedFd};
use crate::{NetError, Wait};

/// A pair with its pump, its watched descriptors and the callback for its end.
pub(super) struct PumpJob {
    pump: PairPump,
    /// The right to read and write both sides: no other call does meanwhile.
    turns: [Option<BothTurns>; 2],
    pub(super) pair: Arc<RelayPair>,
    on_close: OnClose,
    idle: Option<Duration>,
    /// When the pair last had a turn.
    last_turn: Instant,
    /// The events for which the poller watches each side.
    watched: [PollFlags; 2],
    /// The pair waits for a turn.
    pub(super) queued: bool,
    /// Records that the sides had received and sent before the pair began.
    records_before: [u64; 2],
    /// The pair fails if it does not end in time after a stop.
    cut: bool,
}

/// What a pair needs after a turn.
pub(super) enum PumpNext {
    /// Another turn: there is more to do.
    Turn,
    /// A wait until one of the sides is ready.
    Wait,
    /// Nothing: it has ended.
    End(PairEnd),
}

/// The most steps of one pair in a turn.
const STEPS: usize = 64;

impl PumpJob {
    /// Makes a job. Takes the right to read and write both sides.
    ///
    /// # Errors
    /// EAGAIN if another call reads or writes one of the sides.
    pub(super) fn new(
        sides: [RelaySide; 2],
        options: PairOptions,
        pair: Arc<RelayPair>,
        on_close: OnClose,
    ) -> Result<Self, NetError> {
        let pump = PairPump::new(sides, options.truncation);
        Ok(Self {
            turns: pump.take_turns(Wait::Never)?,
            records_before: records(pump.sides()),
            pump,
            pair,
            on_close,
            idle: options.idle,
            last_turn: Instant::now(),
            watched: [PollFlags::empty(); 2],
            queued: false,
            cut: false,
        })
    }

    /// Moves what can be moved, up to [`STEPS`] steps.
    ///
    /// # Errors
    /// The error with which the pair has ended.
    pub(super) fn turn(&mut self, spare: &mut SpareBuffers) -> Result<PumpNext, NetError> {
        self.last_turn = Instant::now();
        self.pump.borrow_memory(spare);
        let next = self.take_steps(spare)?;
        if !matches!(next, PumpNext::Turn) {
            self.pump.return_memory(spare);
        }
        Ok(next)
    }

    fn take_steps(&mut self, spare: &mut SpareBuffers) -> Result<PumpNext, NetError> {
        for _ in 0..STEPS {
            let progress = self.pump.pump_both(spare);
            if let Some(ending) = self.pump.ending() {
                return ending.map(PumpNext::End);
            }
            if progress == PumpProgress::Stalled {
                return Ok(PumpNext::Wait);
            }
            if self.pump.take_pause_request() {
                break;
            }
        }
        Ok(PumpNext::Turn)
    }

    /// Publishes the counters of the pair. Returns by how many bytes they have grown.
    pub(super) fn publish_counts(&self) -> u64 {
        let [a, b] = records(self.pump.sides());
        let records = [a - self.records_before[0], b - self.records_before[1]];
        self.pair.publish_counts(self.pump.totals(), records)
    }

    /// Returns when [`PumpJob::expire`] has to be called, or `None` if never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.pump.give_up() {
            Some(end) => Some(end),
            None => self
                .last_turn
                .checked_add(self.idle.into_iter().chain(self.pump.patience()).min()?),
        }
    }

    /// Returns how the pair ends at its deadline.
    pub(super) fn expire(&self) -> Result<PairEnd, NetError> {
        if self.pump.give_up().is_none() {
            return Err(self.pump.expire());
        }
        if self.cut && self.pump.holds_bytes() {
            return Err(NetError::Cut);
        }
        self.pump.end_stopped()
    }

    /// Asks the pair to end in order.
    pub(super) fn stop(&mut self) {
        self.pump.stop(GRACE);
    }

    /// Asks the pair to end in order. If it still holds bytes after `drain`, it fails.
    pub(super) fn close(&mut self, drain: Duration) {
        self.cut = true;
        self.pump.stop(drain);
    }

    /// Updates the events for which the descriptors are watched.
    pub(super) fn watch(&mut self, poller: &Poller) -> Result<(), NetError> {
        for side in 0..2 {
            self.watch_for(poller, side, self.pump.events(side))?;
        }
        Ok(())
    }

    fn watch_for(
        &mut self,
        poller: &Poller,
        side: usize,
        wanted: PollFlags,
    ) -> Result<(), NetError> {
        let had = std::mem::replace(&mut self.watched[side], wanted);
        Ok(poller.watch(&self.watched(side), had)?)
    }

    /// Returns one of the descriptors and the events for which it is watched.
    pub(super) fn watched(&self, side: usize) -> WatchedFd<'_> {
        WatchedFd {
            fd: self.pump.sides()[side].as_fd(),
            id: self.pair.id(),
            events: self.watched[side],
        }
    }

    /// Releases both sides, then publishes the outcome. Returns the callback to be called.
    pub(super) fn end(
        mut self,
        poller: &Poller,
        outcome: Result<PairEnd, NetError>,
    ) -> (Arc<RelayPair>, OnClose) {
        for side in 0..2 {
            // A duplicate of the descriptor may be open elsewhere. Then closing ours would not
            // remove it from the poller.
            let _gone = self.watch_for(poller, side, PollFlags::empty());
        }
        if outcome.is_err() {
            self.pump.abort();
        }
        let Self {
            pump,
            turns,
            pair,
            on_close,
            ..
        } = self;
        pair.note_truncation(pump.truncated());
        // Before the outcome is published: a thread that sees it may use both sides.
        drop((turns, pump));
        pair.end(outcome);
        (pair, on_close)
    }
}

/// Returns the records of each direction, including those from before the pair began.
fn records(sides: &[RelaySide; 2]) -> [u64; 2] {
    let [a, b] = sides;
    [records_from(a, b), records_from(b, a)]
}

/// Returns the records that `from` has received, or, if it is plain, those that `to` has sent.
fn records_from(from: &RelaySide, to: &RelaySide) -> u64 {
    let received = from.records().map(|(received, _)| received);
    let sent = || to.records().map(|(_, sent)| sent);
    received.or_else(sent).unwrap_or(0)
}
