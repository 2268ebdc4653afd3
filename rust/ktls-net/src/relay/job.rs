//! One pair in the hands of its thread.

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

/// A pair, what is watched of it, and who wants to hear of its end.
pub(super) struct PumpJob {
    pump: PairPump,
    /// Nobody else reads or writes meanwhile.
    turns: [Option<BothTurns>; 2],
    pub(super) pair: Arc<RelayPair>,
    on_close: OnClose,
    idle: Option<Duration>,
    /// When there was something to do last.
    last_turn: Instant,
    watched: [PollFlags; 2],
    /// It waits for its turn.
    pub(super) queued: bool,
    /// Records of before.
    records_before: [u64; 2],
    /// What does not end in time after a stop has failed.
    cut: bool,
}

/// What comes after a turn.
pub(super) enum PumpNext {
    /// There is more to do already.
    Turn,
    /// Nothing before one of the sides is ready.
    Wait,
    /// It has ended.
    End(PairEnd),
}

/// Steps of one pair before the next one has its turn.
const STEPS: usize = 64;

impl PumpJob {
    /// Takes the turns of both sides without waiting.
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

    /// Moves what can be moved, within bounds.
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

    /// Passes the numbers on; gives how many bytes are new.
    pub(super) fn publish_counts(&self) -> u64 {
        let [a, b] = records(self.pump.sides());
        let records = [a - self.records_before[0], b - self.records_before[1]];
        self.pair.publish_counts(self.pump.totals(), records)
    }

    /// When it must be looked at, whatever happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.pump.give_up() {
            Some(end) => Some(end),
            None => self
                .last_turn
                .checked_add(self.idle.into_iter().chain(self.pump.patience()).min()?),
        }
    }

    /// How it ends because of the time that has passed.
    pub(super) fn expire(&self) -> Result<PairEnd, NetError> {
        if self.pump.give_up().is_none() {
            return Err(self.pump.expire());
        }
        if self.cut && self.pump.holds_bytes() {
            return Err(NetError::Cut);
        }
        self.pump.end_stopped()
    }

    pub(super) fn stop(&mut self) {
        self.pump.stop(GRACE);
    }

    pub(super) fn close(&mut self, drain: Duration) {
        self.cut = true;
        self.pump.stop(drain);
    }

    /// Has the descriptors watched for what is wanted of them now.
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

    /// What one of the descriptors is watched for.
    pub(super) fn watched(&self, side: usize) -> WatchedFd<'_> {
        WatchedFd {
            fd: self.pump.sides()[side].as_fd(),
            id: self.pair.id(),
            events: self.watched[side],
        }
    }

    /// Lets go of both sides, then tells.
    pub(super) fn end(
        mut self,
        poller: &Poller,
        outcome: Result<PairEnd, NetError>,
    ) -> (Arc<RelayPair>, OnClose) {
        for side in 0..2 {
            // The descriptors may be open elsewhere, so that closing ours would not take them out.
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
        // Who sees that the pair is done may use both sides.
        drop((turns, pump));
        pair.end(outcome);
        (pair, on_close)
    }
}

/// Records of each direction, among them what the connections had before.
fn records(sides: &[RelaySide; 2]) -> [u64; 2] {
    let [a, b] = sides;
    [records_from(a, b), records_from(b, a)]
}

fn records_from(from: &RelaySide, to: &RelaySide) -> u64 {
    let received = from.records().map(|(received, _)| received);
    let sent = || to.records().map(|(_, sent)| sent);
    received.or_else(sent).unwrap_or(0)
}
