//! Both directions between two sides, one step at a time. The callers wait between the steps.

use std::time::{Duration, Instant};

use ktls_core::Error as CoreError;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::flow::{BUFFER, DirectionFlow, PumpProgress, SpareBuffers};
use super::pair::{PairEnd, TruncationPolicy};
use super::side::RelaySide;
use crate::descriptor::BothTurns;
use crate::wait::{FlushOutcome, ReadNow, WriteNow};
use crate::{NetError, Wait};

/// Two sides and the bytes on their way between them.
///
/// Memory is bounded, so a slow side slows the other side down. The end of one direction is passed
/// on while the other direction continues.
pub(super) struct PairPump {
    sides: [RelaySide; 2],
    /// Flow 0 leads from side 0 to side 1, flow 1 back.
    flows: [DirectionFlow; 2],
    /// For each side: sealed bytes wait for TCP.
    unsent: [bool; 2],
    /// Much was read but no data: the caller should check at once whether to stop.
    pause_requested: bool,
    /// The control record that was met. It stays unread, and nothing is read behind it.
    control: Option<PairEnd>,
    /// After a stop: when to give up the bytes that are in flight.
    give_up: Option<Instant>,
    /// The bytes of each direction at the time of the stop.
    at_stop: Option<[u64; 2]>,
    truncation: TruncationPolicy,
    /// The side that ended without close_notify.
    truncated: Option<usize>,
    /// For each side: the error of a write that found the connection reset. An end that is read
    /// from the side after that is not in order.
    reset: [Option<NetError>; 2],
    /// For each side: its peer has ended in order by close_notify.
    closed: [bool; 2],
}

/// A truncation is passed on when nothing has moved for this long. Not at once: a reset makes some
/// receivers drop bytes that they have not read, and the other direction may not have ended.
const QUIET: Duration = Duration::from_secs(5);
/// How long the bytes from before an error are kept for a side that accepts none of them.
const STALLED: Duration = Duration::from_secs(60);
/// How long the bytes in flight have to be delivered after a stop.
pub(super) const GRACE: Duration = Duration::from_secs(1);

impl PairPump {
    /// Makes a pump between two sides.
    pub(super) fn new(sides: [RelaySide; 2], truncation: TruncationPolicy) -> Self {
        Self {
            sides,
            flows: Default::default(),
            unsent: [false; 2],
            pause_requested: false,
            control: None,
            give_up: None,
            at_stop: None,
            truncation,
            truncated: None,
            reset: [None, None],
            closed: [false; 2],
        }
    }

    /// Returns both sides.
    pub(super) const fn sides(&self) -> &[RelaySide; 2] {
        &self.sides
    }

    /// Takes the right to read and write both sides, which is needed while the pump is used.
    ///
    /// # Errors
    /// EAGAIN if another call reads or writes a side and `patience` ends before that call does.
    pub(super) fn take_turns(&self, patience: Wait) -> Result<[Option<BothTurns>; 2], NetError> {
        let [a, b] = &self.sides;
        Ok([a.take_turns(patience)?, b.take_turns(patience)?])
    }

    /// Moves what can be moved now, in both directions.
    pub(super) fn pump_both(&mut self, spare: &mut SpareBuffers) -> PumpProgress {
        self.pump(0, spare).or(self.pump(1, spare))
    }

    /// Takes the memory that the sides need for the next steps.
    pub(super) fn borrow_memory(&self, spare: &mut SpareBuffers) {
        for side in &self.sides {
            side.borrow_memory(&mut spare.records);
        }
    }

    /// Returns memory that holds nothing, before a wait that may be long.
    pub(super) fn return_memory(&self, spare: &mut SpareBuffers) {
        for side in &self.sides {
            side.return_memory(&mut spare.records);
        }
    }

    /// Returns the events to wait for at a side. If they are empty, the side must not be watched:
    /// once it has hung up, it would end every wait at once.
    pub(super) fn events(&self, side: usize) -> PollFlags {
        let (flow, inbound) = (&self.flows[side], &self.flows[1 - side]);
        let open = !flow.ended && self.control.is_none();
        let reads = open && flow.is_empty() && !self.unsent[1 - side];
        let writes = self.unsent[side] || (self.sides[side].is_plain() && !inbound.is_empty());
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, reads);
        events.set(PollFlags::OUT, writes);
        events
    }

    /// Returns how the pair has ended, or `None` if it has not. At a control record, the pair ends
    /// when all data before the record is passed on.
    pub(super) fn ending(&self) -> Option<Result<PairEnd, NetError>> {
        let end = match self.control {
            Some(_) if self.holds_bytes() => None,
            Some(control) => Some(control),
            None => self.is_complete().then_some(PairEnd::Complete),
        };
        end.map(|end| self.outcome().map(|()| end))
    }

    /// Returns `true` if nothing is left to be done for either direction.
    fn is_complete(&self) -> bool {
        self.is_complete_from(0) && self.is_complete_from(1)
    }

    /// Returns `true` if nothing is left to be done for the direction that begins at side `from`.
    fn is_complete_from(&self, from: usize) -> bool {
        let (flow, back) = (&self.flows[from], &self.flows[1 - from]);
        // The rest of a direction that its receiver has refused does not matter if nothing comes
        // back.
        let pointless = flow.refused.is_some() && back.broken.is_some();
        pointless || ((flow.end_sent || flow.broken.is_some()) && self.is_delivered_from(from))
    }

    /// Returns `true` if TCP has everything that was read from side `from`.
    fn is_delivered_from(&self, from: usize) -> bool {
        self.flows[from].is_empty() && !self.unsent[1 - from]
    }

    /// Returns for how long nothing may move if a direction has not ended in order, or `None` if
    /// all have.
    pub(super) fn patience(&self) -> Option<Duration> {
        let is_broken = self.flows.iter().any(|flow| flow.broken.is_some());
        is_broken.then_some(if self.holds_bytes() { STALLED } else { QUIET })
    }

    /// Returns the side that ended without close_notify, if any.
    pub(super) const fn truncated(&self) -> Option<usize> {
        self.truncated
    }

    /// Returns `true` if the time after a stop is over.
    pub(super) fn is_time_up(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|end| now >= end)
    }

    /// Returns when to give up after a stop, or `None` if the pump was not stopped.
    pub(super) const fn give_up(&self) -> Option<Instant> {
        self.give_up
    }

    /// Returns `true` once after a step that read much but no data: check whether to stop.
    pub(super) const fn take_pause_request(&mut self) -> bool {
        std::mem::replace(&mut self.pause_requested, false)
    }

    /// Stops the pump. The peer of each connection gets an end as soon as no more bytes are there
    /// for it. The rest is given up after `grace`.
    pub(super) fn stop(&mut self, grace: Duration) {
        // If `grace` is too long for an `Instant`, there is no limit.
        self.give_up = Instant::now().checked_add(grace);
        self.at_stop = Some(self.totals());
    }

    /// Returns the error with which the pair ends if nothing has moved for too long.
    pub(super) fn expire(&self) -> NetError {
        self.outcome().err().unwrap_or(NetError::TimedOut)
    }

    /// Returns how the pair ends when its time after a stop is over, and ends both sides if that is
    /// in order.
    ///
    /// # Errors
    /// [`NetError::Cut`] if a stream is still on its way; the error of the pair if it had one.
    pub(super) fn end_stopped(&self) -> Result<PairEnd, NetError> {
        let is_cut = |from: usize| {
            let flow = &self.flows[from];
            let moved = self.at_stop.is_some_and(|at| flow.total > at[from]);
            !flow.is_empty() || (!flow.ended && (moved || self.unsent[1 - from]))
        };
        if self.control.is_some() || is_cut(0) || is_cut(1) {
            return Err(NetError::Cut);
        }
        self.outcome()?;
        self.end_all();
        Ok(PairEnd::Complete)
    }

    /// Ends both sides so that no peer can mistake the bytes that it received for the whole stream.
    /// Bytes that were read before are delivered first.
    pub(super) fn abort(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if inbound.end_sent {
                side.deliver_and_end(inbound.waiting());
            } else {
                side.abort(inbound.waiting());
            }
        }
    }

    /// Returns `true` while bytes that were read have not been passed on.
    pub(super) fn holds_bytes(&self) -> bool {
        self.flows.iter().any(|flow| !flow.is_empty()) || self.unsent != [false; 2]
    }

    /// Ends both sides in order, behind the bytes that were read before.
    fn end_all(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if inbound.end_sent || side.is_plain() {
                side.deliver_and_end(inbound.waiting());
            } else {
                // An error is of no use: the pair is ending, and the peer is gone.
                let _gone = side.end();
            }
        }
    }

    /// Returns the bytes of each direction so far.
    pub(super) const fn totals(&self) -> [u64; 2] {
        [self.flows[0].total, self.flows[1].total]
    }

    /// Returns the outcome of the pair.
    ///
    /// # Errors
    /// The first of these that occurred: an error of a side, a truncation, a refusal of a receiver.
    pub(super) fn outcome(&self) -> Result<(), NetError> {
        let broken = || self.flows.iter().filter_map(|flow| flow.broken.as_ref());
        let refused = || [0, 1].into_iter().filter_map(|from| self.refusal(from));
        let failed = broken().find(|error| !error.is_truncation());
        let first = failed.or_else(|| broken().chain(refused()).next());
        first.map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Returns why the receiver of a direction refused more bytes, or `None` if it did not, or if
    /// the refusal does not count. A peer that is gone after its close_notify was done: its system
    /// sends a reset merely because bytes such as session tickets were not read.
    fn refusal(&self, from: usize) -> Option<&NetError> {
        let has_left = self.closed[1 - from];
        let refused = self.flows[from].refused.as_ref();
        refused.filter(|error| !has_left || error.is_gone().is_none())
    }

    /// Takes one step of the direction that begins at side `from`.
    fn pump(&mut self, from: usize, spare: &mut SpareBuffers) -> PumpProgress {
        let moved = self.read(from, spare).or(self.write(from));
        self.flows[from].release_if_empty(spare);
        moved.or(self.end(from))
    }

    /// Reads from side `from`, if its buffer is empty and the other side can accept more.
    fn read(&mut self, from: usize, spare: &mut SpareBuffers) -> PumpProgress {
        let flow = &mut self.flows[from];
        let open = !flow.ended && self.control.is_none();
        if !open || !flow.is_empty() || self.unsent[1 - from] {
            return PumpProgress::Stalled;
        }
        let side = &mut self.sides[from];
        // Only a side that opens records in place needs the byte behind whole records.
        let len = if side.is_plain() { BUFFER } else { BUFFER + 1 };
        match side.read(&mut flow.room(spare)[..len]) {
            Ok(ReadNow::Data(count)) => flow.filled(count.get()),
            Ok(ReadNow::End) => self.meet_end(from),
            Ok(ReadNow::Busy) | Err(NetError::Interrupted) => self.pause_requested = true,
            Ok(ReadNow::NotYet) => {
                self.unsent[from] = side.has_unsent();
                return self.end_if_stopped(from);
            }
            Err(NetError::Ktls(CoreError::NoControlRoom { record_type })) => {
                self.meet_control(from, record_type);
            }
            Err(error) if error.is_truncation() => self.meet_truncation(from, &error),
            Err(error) => self.lose_side(from, &error),
        }
        PumpProgress::Moved
    }

    /// Ends a direction that has paused, after a stop, if it leads to the peer of a connection.
    fn end_if_stopped(&mut self, from: usize) -> PumpProgress {
        let ends = self.at_stop.is_some() && !self.sides[1 - from].is_plain();
        self.flows[from].ended |= ends;
        PumpProgress::when(ends)
    }

    /// Notes a control record. From now on, only bytes that were read before are passed on.
    fn meet_control(&mut self, side: usize, record_type: u8) {
        self.control = Some(PairEnd::Control { side, record_type });
        self.unsent = self.sides.each_ref().map(RelaySide::has_unsent);
    }

    /// Notes the end of a side.
    fn meet_end(&mut self, side: usize) {
        match self.reset[side].take() {
            // A close_notify is authentic, so a reset behind it does not matter.
            Some(error) if !self.sides[side].is_tls() => self.lose_side(side, &error),
            _ => {
                self.closed[side] = self.sides[side].is_tls();
                self.flows[side].ended = true;
            }
        }
    }

    /// Notes an end without close_notify. The other direction continues: the peer may have closed
    /// only its sending direction.
    fn meet_truncation(&mut self, side: usize, error: &NetError) {
        if let Some(error) = self.reset[side].take() {
            return self.lose_side(side, &error);
        }
        self.truncated = Some(side);
        match self.truncation {
            TruncationPolicy::Reset => self.flows[side].break_off(error),
            TruncationPolicy::Fin => self.flows[side].ended = true,
        }
    }

    /// Ends both directions with the error of a side: it neither sends nor receives any more.
    fn lose_side(&mut self, side: usize, error: &NetError) {
        self.flows[side].break_off(error);
        self.flows[1 - side].break_off(error);
    }

    /// Writes to the receiver of a direction. If the receiver has refused, drops the bytes: the
    /// direction is read on, because the receiver's answer may still be on its way to the other
    /// side.
    fn write(&mut self, from: usize) -> PumpProgress {
        let (flow, unsent) = (&mut self.flows[from], &mut self.unsent[1 - from]);
        if flow.refused.is_some() {
            return flow.discard();
        }
        if flow.is_empty() && !*unsent {
            return PumpProgress::Stalled;
        }
        match self.sides[1 - from].write(flow.waiting()) {
            Err(NetError::Interrupted) => PumpProgress::Moved,
            Err(error) => self.meet_refusal(from, error),
            Ok(WriteNow { taken, flush }) => {
                flow.wrote(taken);
                let waits = flush == FlushOutcome::Full;
                let waited = std::mem::replace(unsent, waits);
                PumpProgress::when(taken > 0 || (waited && !waits))
            }
        }
    }

    /// Notes that the receiver of a direction accepts no more bytes.
    fn meet_refusal(&mut self, from: usize, error: NetError) -> PumpProgress {
        let to = 1 - from;
        self.unsent[to] = false;
        match error.is_gone() {
            // The side's FIN came before its reset, so all that it sent can still be read.
            Some(Errno::PIPE) => self.sides[to].forget_unsent(),
            Some(_) => {
                self.reset[to] = Some(error.clone());
                self.sides[to].forget_unsent();
            }
            None => self.lose_side(to, &error),
        }
        let flow = &mut self.flows[from];
        flow.refused = Some(error);
        flow.discard()
    }

    /// Passes the end of a direction on to its receiver. Once a control record was met, no end is
    /// passed on, not even after a stop: both sides return to their owner as they are.
    fn end(&mut self, from: usize) -> PumpProgress {
        let to = 1 - from;
        if !self.flows[from].has_end_to_send() || self.unsent[to] || self.control.is_some() {
            return PumpProgress::Stalled;
        }
        if self.flows[from].refused.is_none()
            && let Err(error) = self.sides[to].end()
        {
            self.meet_refusal(from, error);
        }
        self.unsent[to] = self.sides[to].has_unsent();
        self.flows[from].end_sent = true;
        // The receiver of the other direction has refused its rest, so nothing waits for that.
        if self.flows[to].refused.is_some() && self.give_up.is_none() {
            self.give_up = Some(Instant::now() + GRACE);
        }
        PumpProgress::Moved
    }
}
