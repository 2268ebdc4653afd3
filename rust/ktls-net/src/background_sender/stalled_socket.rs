//! A kernel TLS socket whose sealed records TCP has no room for.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::PollFlags;

use super::{AfterTurn, TaskLimits, reset_when_closed};
use crate::fd_socket::{FdSocketTx, PushOutcome};
use crate::fork::CountedCall;

/// The sending direction of such a socket.
pub(crate) struct StalledSocket {
    side: Arc<FdSocketTx>,
    /// A child of a fork finds the socket in the middle of a call: its records are on their way.
    _call: CountedCall,
    /// When TCP took bytes last, or the socket was found closed.
    progress: Instant,
    closed: bool,
}

/// Looks at a socket while its peer takes nothing, until it is given up.
const LOOKS: u32 = 8;

impl StalledSocket {
    pub(crate) fn new(side: Arc<FdSocketTx>) -> Self {
        let call = side.owner().work();
        Self {
            side,
            _call: call,
            progress: Instant::now(),
            closed: false,
        }
    }

    /// True once nobody has the socket any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sends what TCP takes.
    pub(super) fn turn(&mut self, fd: &OwnedFd, now: Instant, limits: TaskLimits) -> AfterTurn {
        if !self.closed && self.side.is_orphaned() {
            // A wait that began before the close says nothing about the peer's time since then.
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
        // Nothing but a look tells that the socket has been closed.
        AfterTurn::Wait {
            events: PollFlags::OUT,
            look_at: now + limits.stalled / LOOKS,
        }
    }

    pub(super) fn deadline(&self, limits: TaskLimits) -> Instant {
        self.progress + limits.stalled
    }

    /// The peer of a closed socket learns by RST that something is missing.
    pub(super) fn give_up(&self, fd: &OwnedFd) {
        if self.closed {
            reset_when_closed(fd);
        }
    }
}
