//! Both directions between two sides, a step at a time; who waits, and how, is another's business.

use std::time::{Duration, Instant};

use ktls_core::Error as CoreError;
use rustix::event::PollFlags;

use super::flow::{BUFFER, Flow, Spare};
use super::pair::End;
use super::side::Side;
use crate::descriptor::Turns;
use crate::wait::Now;
use crate::{Error, Patience};

/// Two sides and what is on its way between them. Memory is bounded, a slow side slows the other
/// down, and the end of one direction is passed on while the other goes on.
pub(super) struct Pump {
    sides: [Side; 2],
    /// From the side of the same number to the other one.
    flows: [Flow; 2],
    /// Sealed bytes wait for the peer of the side.
    unsent: [bool; 2],
    /// Much was read and no data among it: see at once whether it is to stop.
    look_up: bool,
    /// The record that is not ours to read, behind which nothing is read any more.
    control: Option<End>,
    /// After a stop: when to give up on what is in flight.
    give_up: Option<Instant>,
}

/// What is in flight gets this long after a stop.
pub(super) const GRACE: Duration = Duration::from_secs(1);

impl Pump {
    pub(super) fn new(sides: [Side; 2]) -> Self {
        Self {
            sides,
            flows: Default::default(),
            unsent: [false; 2],
            look_up: false,
            control: None,
            give_up: None,
        }
    }

    pub(super) const fn sides(&self) -> &[Side; 2] {
        &self.sides
    }

    /// The turns of both sides, for as long as somebody pumps.
    pub(super) fn turns(&self, patience: Patience) -> Result<[Option<Turns>; 2], Error> {
        let [a, b] = &self.sides;
        Ok([a.turns(patience)?, b.turns(patience)?])
    }

    /// Moves what can be moved; false when one has to wait.
    pub(super) fn step(&mut self, spare: &mut Spare) -> Result<bool, Error> {
        Ok(self.pump(0, spare)? | self.pump(1, spare)?)
    }

    /// Takes the memory that the sides need for the next steps.
    pub(super) fn borrow_memory(&self, spare: &mut Spare) {
        for side in &self.sides {
            side.borrow_memory(&mut spare.records);
        }
    }

    /// Gives back what holds nothing, before a wait that may be long.
    pub(super) fn return_memory(&self, spare: &mut Spare) {
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

    /// True when both directions have ended, and both sides know.
    pub(super) fn is_done(&self) -> bool {
        self.flows.iter().all(|flow| flow.told) && self.unsent == [false; 2]
    }

    /// How it has ended, once it has. At a control record that is when all from before is passed on.
    pub(super) fn ending(&self) -> Option<Result<End, Error>> {
        let end = match self.control {
            Some(_) if self.holds_bytes() => None,
            Some(control) => Some(control),
            None => self.is_done().then_some(End::Complete),
        };
        end.map(|end| self.outcome().map(|()| end))
    }

    /// True once a control record has been met.
    pub(super) const fn is_at_control(&self) -> bool {
        self.control.is_some()
    }

    /// True when time is up after a stop.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|end| now >= end)
    }

    /// When to give up, after a stop.
    pub(super) const fn give_up(&self) -> Option<Instant> {
        self.give_up
    }

    /// True once after a step that found much and no data among it.
    pub(super) const fn take_look_up(&mut self) -> bool {
        std::mem::replace(&mut self.look_up, false)
    }

    /// Has every peer of a connection told that no more will come, behind what is in flight, and
    /// gives up on the rest after `grace`.
    pub(super) fn stop(&mut self, grace: Duration) {
        // A grace too long to be told as an instant is no end at all.
        self.give_up = Instant::now().checked_add(grace);
        for (flow, to) in self.flows.iter_mut().zip(self.sides.iter().rev()) {
            flow.ended |= !to.is_plain();
        }
    }

    /// Ends both directions so that nobody takes a part for the whole.
    pub(super) fn abort(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if side.has_alerts() || !inbound.told {
                side.abort();
            }
        }
    }

    /// True while something that was read has not been passed on.
    pub(super) fn holds_bytes(&self) -> bool {
        self.flows.iter().any(|flow| !flow.is_empty()) || self.unsent != [false; 2]
    }

    /// Tells those who do not know yet that no more will come.
    pub(super) fn end_all(&self) {
        for (side, inbound) in self.sides.iter().zip(self.flows.iter().rev()) {
            if !inbound.told {
                // Nobody is left who would want to know that it is gone.
                let _gone = side.end();
            }
        }
    }

    /// Bytes from each side to the other so far.
    pub(super) const fn totals(&self) -> [u64; 2] {
        [self.flows[0].total, self.flows[1].total]
    }

    /// How it went, at the end.
    pub(super) fn outcome(&self) -> Result<(), Error> {
        let refused = self.flows.iter().find_map(|flow| flow.refused.clone());
        refused.map_or(Ok(()), Err)
    }

    /// The direction that begins at side `from`.
    fn pump(&mut self, from: usize, spare: &mut Spare) -> Result<bool, Error> {
        let moved = self.read(from, spare)? | self.write(from)?;
        self.flows[from].rest(spare);
        Ok(moved | self.end(from)?)
    }

    fn read(&mut self, from: usize, spare: &mut Spare) -> Result<bool, Error> {
        let flow = &mut self.flows[from];
        let open = !flow.ended && self.control.is_none();
        if !open || !flow.is_empty() || self.unsent[1 - from] {
            return Ok(false);
        }
        let side = &mut self.sides[from];
        // Only what opens in place needs the byte behind whole records.
        let len = if side.is_plain() { BUFFER } else { BUFFER + 1 };
        match side.read(&mut flow.room(spare)[..len]) {
            Ok(Now::Data(count)) => flow.filled(count),
            Ok(Now::Busy) => self.look_up = true,
            Ok(Now::NotYet) => {
                self.unsent[from] = side.has_unsent();
                return Ok(false);
            }
            Err(Error::Ktls(CoreError::NoControlRoom { record_type })) => {
                self.meet_control(from, record_type);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// From here on only what was read before is passed on.
    fn meet_control(&mut self, side: usize, record_type: u8) {
        self.control = Some(End::Control { side, record_type });
        self.unsent = self.sides.each_ref().map(Side::has_unsent);
    }

    /// What a side without alerts refuses is read on and dropped: its answer may be on its way to the peer.
    fn write(&mut self, from: usize) -> Result<bool, Error> {
        let (flow, unsent) = (&mut self.flows[from], &mut self.unsent[1 - from]);
        if flow.refused.is_some() {
            return Ok(flow.discard());
        }
        if flow.is_empty() && !*unsent {
            return Ok(false);
        }
        let to = &mut self.sides[1 - from];
        match to.write(flow.waiting()) {
            Err(error) if to.is_gone(&error) => {
                flow.refused = Some(error);
                *unsent = false;
                Ok(flow.discard())
            }
            Err(error) => Err(error),
            Ok((count, flushed)) => {
                flow.wrote(count);
                let waited = std::mem::replace(unsent, !flushed);
                Ok(count > 0 || (waited && flushed))
            }
        }
    }

    /// Tells the receiver of a direction that it has ended. Once a control record was met not even a stop is
    /// told: both sides go back to their owner as they are.
    fn end(&mut self, from: usize) -> Result<bool, Error> {
        let to = 1 - from;
        if !self.flows[from].finished() || self.unsent[to] || self.control.is_some() {
            return Ok(false);
        }
        self.sides[to].end()?;
        self.unsent[to] = self.sides[to].has_unsent();
        self.flows[from].told = true;
        // Nobody waits for the rest of what the side has refused.
        if self.flows[to].refused.is_some() && self.give_up.is_none() {
            self.give_up = Some(Instant::now() + GRACE);
        }
        Ok(true)
    }
}
