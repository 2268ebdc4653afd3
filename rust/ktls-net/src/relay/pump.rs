//! Both directions between two sides, a step at a time; who waits, and how, is another's business.

use std::time::{Duration, Instant};

use ktls_core::Error as CoreError;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::flow::{BUFFER, DirectionFlow, PumpProgress, SpareBuffers};
use super::pair::PairEnd;
use super::side::RelaySide;
use crate::descriptor::BothTurns;
use crate::wait::{FlushOutcome, ReadNow, WriteNow};
use crate::{NetError, Wait};

/// Two sides and what is on its way between them. Memory is bounded, a slow side slows the other
/// down, and the end of one direction is passed on while the other goes on.
pub(super) struct PairPump {
    sides: [RelaySide; 2],
    /// From the side of the same number to the other one.
    flows: [DirectionFlow; 2],
    /// Sealed bytes wait for the peer of the side.
    unsent: [bool; 2],
    /// Much was read and no data among it: see at once whether it is to stop.
    pause_requested: bool,
    /// The record that is not ours to read, behind which nothing is read any more.
    control: Option<PairEnd>,
    /// After a stop: when to give up on what is in flight.
    give_up: Option<Instant>,
    /// Bytes of each direction when it was stopped.
    at_stop: Option<[u64; 2]>,
    truncation: TruncationPolicy,
    /// The side that ended without close_notify.
    truncated: Option<usize>,
    /// The side has reset its connection, as a write has met: an end that is read from it then is none in
    /// order.
    reset: [Option<NetError>; 2],
    /// The side has said by close_notify that it has sent everything.
    closed: [bool; 2],
}

/// What a pair makes of a TLS peer that ends without close_notify, so that nobody knows whether this was
/// all that it had to send. Either way everything that it sent is passed on first, and the other
/// direction goes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TruncationPolicy {
    /// The other side gets a reset or an alert, once it has ended too or nothing has moved for some
    /// seconds.
    #[default]
    Reset,
    /// The other side gets an end as any other.
    Fin,
}

/// A truncation is told when nothing has moved for this long: a reset makes some receivers drop what they
/// have not read, and the other direction may not have ended.
const QUIET: Duration = Duration::from_secs(5);
/// What was received before an error is kept this long for a side that takes nothing of it.
const STALLED: Duration = Duration::from_secs(60);
/// What is in flight gets this long after a stop.
pub(super) const GRACE: Duration = Duration::from_secs(1);

impl PairPump {
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

    pub(super) const fn sides(&self) -> &[RelaySide; 2] {
        &self.sides
    }

    /// The turns of both sides, for as long as somebody pumps.
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

    /// Gives back what holds nothing, before a wait that may be long.
    pub(super) fn return_memory(&self, spare: &mut SpareBuffers) {
        for side in &self.sides {
            side.return_memory(&mut spare.records);
        }
    }

    /// What to wait for at a side. One that nothing is wanted of must not be watched: it would wake
    /// us for ever once it has hung up.
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

    /// How it has ended, once it has. At a control record that is when all from before is passed on.
    pub(super) fn ending(&self) -> Option<Result<PairEnd, NetError>> {
        let end = match self.control {
            Some(_) if self.holds_bytes() => None,
            Some(control) => Some(control),
            None => self.is_complete().then_some(PairEnd::Complete),
        };
        end.map(|end| self.outcome().map(|()| end))
    }

    fn is_complete(&self) -> bool {
        self.is_complete_from(0) && self.is_complete_from(1)
    }

    /// True when nothing is left to be done for the direction that begins at side `from`.
    fn is_complete_from(&self, from: usize) -> bool {
        let (flow, back) = (&self.flows[from], &self.flows[1 - from]);
        // Nobody waits for the rest of what a side has refused when nothing will come back.
        let pointless = flow.refused.is_some() && back.broken.is_some();
        pointless || ((flow.end_sent || flow.broken.is_some()) && self.is_delivered_from(from))
    }

    /// True when the system has everything that was read from side `from`.
    fn is_delivered_from(&self, from: usize) -> bool {
        self.flows[from].is_empty() && !self.unsent[1 - from]
    }

    /// How long nothing may move, where a direction has not ended in order.
    pub(super) fn patience(&self) -> Option<Duration> {
        let is_broken = self.flows.iter().any(|flow| flow.broken.is_some());
        is_broken.then_some(if self.holds_bytes() { STALLED } else { QUIET })
    }

    /// The side that ended without close_notify.
    pub(super) const fn truncated(&self) -> Option<usize> {
        self.truncated
    }

    /// True once a control record has been met.
    pub(super) const fn is_at_control(&self) -> bool {
        self.control.is_some()
    }

    /// True when time is up after a stop.
    pub(super) fn is_time_up(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|end| now >= end)
    }

    /// When to give up, after a stop.
    pub(super) const fn give_up(&self) -> Option<Instant> {
        self.give_up
    }

    /// True once after a step that found much and no data among it.
    pub(super) const fn take_pause_request(&mut self) -> bool {
        std::mem::replace(&mut self.pause_requested, false)
    }

    /// Has every peer of a connection told that no more will come, as soon as nothing more is there for
    /// it, and gives up on the rest after `grace`.
    pub(super) fn stop(&mut self, grace: Duration) {
        // A grace too long to be told as an instant is no end at all.
        self.give_up = Instant::now().checked_add(grace);
        self.at_stop = Some(self.totals());
    }

    /// How it ends because nothing has moved for too long.
    pub(super) fn expire(&self) -> NetError {
        self.outcome().err().unwrap_or(NetError::TimedOut)
    }

    /// How it ends because its time after a stop is up. A stream that is still on its way is cut.
    pub(super) fn end_stopped(&self) -> Result<PairEnd, NetError> {
        let is_cut = |from: usize| {
            let flow = &self.flows[from];
            let moved = self.at_stop.is_some_and(|at| flow.total > at[from]);
            !flow.is_empty() || (!flow.ended && (moved || self.unsent[1 - from]))
        };
        if self.is_at_control() || is_cut(0) || is_cut(1) {
            return Err(NetError::Cut);
        }
        self.outcome()?;
        self.end_all();
        Ok(PairEnd::Complete)
    }

    /// Ends both directions so that nobody takes a part for the whole, behind what was received.
    pub(super) fn abort(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if inbound.end_sent {
                side.deliver_and_end(inbound.waiting());
            } else {
                side.abort(inbound.waiting());
            }
        }
    }

    /// True while something that was read has not been passed on.
    pub(super) fn holds_bytes(&self) -> bool {
        self.flows.iter().any(|flow| !flow.is_empty()) || self.unsent != [false; 2]
    }

    /// Tells those who do not know yet that no more will come, behind what was received.
    fn end_all(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if inbound.end_sent || side.is_plain() {
                side.deliver_and_end(inbound.waiting());
            } else {
                // Nobody is left who would want to know that it is gone.
                let _gone = side.end();
            }
        }
    }

    /// Bytes from each side to the other so far.
    pub(super) const fn totals(&self) -> [u64; 2] {
        [self.flows[0].total, self.flows[1].total]
    }

    /// How it went, at the end: errors of a side before what its peer left unsaid, and that before what
    /// nobody wanted to have.
    pub(super) fn outcome(&self) -> Result<(), NetError> {
        let broken = || self.flows.iter().filter_map(|flow| flow.broken.as_ref());
        let refused = || [0, 1].into_iter().filter_map(|from| self.refusal(from));
        let failed = broken().find(|error| !error.is_truncation());
        let first = failed.or_else(|| broken().chain(refused()).next());
        first.map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Why the receiver of a direction took no more. One that is gone after its close_notify has left when
    /// it was done, and its system has sent a reset only because session tickets, say, lay unread.
    fn refusal(&self, from: usize) -> Option<&NetError> {
        let has_left = self.closed[1 - from];
        let refused = self.flows[from].refused.as_ref();
        refused.filter(|error| !has_left || error.is_gone().is_none())
    }

    /// The direction that begins at side `from`.
    fn pump(&mut self, from: usize, spare: &mut SpareBuffers) -> PumpProgress {
        let moved = self.read(from, spare).or(self.write(from));
        self.flows[from].release_if_empty(spare);
        moved.or(self.end(from))
    }

    fn read(&mut self, from: usize, spare: &mut SpareBuffers) -> PumpProgress {
        let flow = &mut self.flows[from];
        let open = !flow.ended && self.control.is_none();
        if !open || !flow.is_empty() || self.unsent[1 - from] {
            return PumpProgress::Stalled;
        }
        let side = &mut self.sides[from];
        // Only what opens in place needs the byte behind whole records.
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

    /// A stop ends what is on its way to the peer of a connection where it has paused.
    fn end_if_stopped(&mut self, from: usize) -> PumpProgress {
        let ends = self.at_stop.is_some() && !self.sides[1 - from].is_plain();
        self.flows[from].ended |= ends;
        PumpProgress::when(ends)
    }

    /// From here on only what was read before is passed on.
    fn meet_control(&mut self, side: usize, record_type: u8) {
        self.control = Some(PairEnd::Control { side, record_type });
        self.unsent = self.sides.each_ref().map(RelaySide::has_unsent);
    }

    fn meet_end(&mut self, side: usize) {
        match self.reset[side].take() {
            // A close_notify is authentic, whatever TCP met behind it.
            Some(error) if !self.sides[side].is_tls() => self.lose_side(side, &error),
            _ => {
                self.closed[side] = self.sides[side].is_tls();
                self.flows[side].ended = true;
            }
        }
    }

    /// The peer may have closed its sending direction only, so the other direction goes on.
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

    /// Nothing more comes from a side, and nothing that comes from now on would reach it.
    fn lose_side(&mut self, side: usize, error: &NetError) {
        self.flows[side].break_off(error);
        self.flows[1 - side].break_off(error);
    }

    /// What a side refuses is read on and dropped: its answer may be on its way to the peer.
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

    /// The receiver of a direction takes no more.
    fn meet_refusal(&mut self, from: usize, error: NetError) -> PumpProgress {
        let to = 1 - from;
        self.unsent[to] = false;
        match error.is_gone() {
            // Its FIN came before its reset, and so did all that it had to send.
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

    /// Tells the receiver of a direction that it has ended. Once a control record was met not even a stop is
    /// told: both sides go back to their owner as they are.
    fn end(&mut self, from: usize) -> PumpProgress {
        let to = 1 - from;
        if !self.flows[from].finished() || self.unsent[to] || self.control.is_some() {
            return PumpProgress::Stalled;
        }
        if self.flows[from].refused.is_none()
            && let Err(error) = self.sides[to].end()
        {
            self.meet_refusal(from, error);
        }
        self.unsent[to] = self.sides[to].has_unsent();
        self.flows[from].end_sent = true;
        // Nobody waits for the rest of what the side has refused.
        if self.flows[to].refused.is_some() && self.give_up.is_none() {
            self.give_up = Some(Instant::now() + GRACE);
        }
        PumpProgress::Moved
    }
}
