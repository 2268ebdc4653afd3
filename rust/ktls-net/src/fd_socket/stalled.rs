//! A kernel TLS socket with sealed records that TCP had no room for.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::PollFlags;

use super::tx_side::{FdSocketTx, PushOutcome};
use crate::background_sender::{
    AfterTurn, CHECKS_PER_LIMIT, StalledSender, TaskLimits, reset_when_closed,
};
use crate::fork::CountedCall;

/// The sending direction of a kernel TLS socket.
pub(super) struct StalledSocket {
    side: Arc<FdSocketTx>,
    /// A child of a fork sees the socket in the middle of a call: its records are being sent.
    _call: CountedCall,
    /// The last time that TCP accepted bytes, or the time at which the socket was found closed.
    progress: Instant,
    closed: bool,
}

impl StalledSocket {
    pub(super) fn new(side: Arc<FdSocketTx>) -> Self {
        let call = side.owner().work();
        Self {
            side,
            _call: call,
            progress: Instant::now(),
            closed: false,
        }
    }

    fn deadline(&self, limits: TaskLimits) -> Instant {
        self.progress + limits.stalled
    }
}

impl StalledSender for StalledSocket {
    fn turn(&mut self, fd: &OwnedFd, now: Instant, limits: TaskLimits) -> AfterTurn {
        if !self.closed && self.side.is_closed() {
            // The peer's time starts anew: it has not run before the close.
            (self.closed, self.progress) = (true, now);
        }
        match self.side.push_some(fd) {
            PushOutcome::All => return AfterTurn::Done,
            PushOutcome::Some => self.progress = now,
            PushOutcome::Nothing => {}
        }
        if (self.closed || limits.for_open_sockets) && now >= self.deadline(limits) {
            self.give_up(fd);
            return AfterTurn::Done;
        }
        // No event reports that the socket was closed, so it is checked from time to time.
        AfterTurn::Wait {
            events: PollFlags::OUT,
            look_at: now + limits.stalled / CHECKS_PER_LIMIT,
        }
    }

    /// If the socket is closed, the peer learns from a reset that bytes are missing.
    fn give_up(&self, fd: &OwnedFd) {
        if self.closed {
            reset_when_closed(fd);
        }
    }

    fn deadline_of_close(&self, limits: TaskLimits) -> Option<Instant> {
        self.closed.then(|| self.deadline(limits))
    }
}
