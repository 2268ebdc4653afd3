//! A connection whose caller does not wait, with sealed bytes that TCP had no room for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustix::event::PollFlags;

use super::Connection;
use crate::background_sender::{AfterTurn, CHECKS_PER_LIMIT, StalledSender, TaskLimits};

/// The connection. If it is dropped or closed meanwhile, that call takes care of the remaining
/// bytes.
pub(super) struct StalledConnection {
    connection: Weak<Connection>,
    /// The last time that TCP accepted bytes.
    progress: Instant,
    unsent: usize,
}

impl StalledConnection {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::downgrade(connection),
            progress: Instant::now(),
            unsent: usize::MAX,
        }
    }
}

impl StalledSender for StalledConnection {
    fn turn(&mut self, fd: &OwnedFd, now: Instant, limits: TaskLimits) -> AfterTurn {
        let left = self.connection.upgrade();
        let left = left.and_then(|connection| connection.push_in_background(fd));
        let Some(unsent) = left else {
            return AfterTurn::Done;
        };
        if unsent < self.unsent {
            (self.unsent, self.progress) = (unsent, now);
        }
        if limits.for_open_sockets && now >= self.progress + limits.stalled {
            return AfterTurn::Done;
        }
        // No event reports that the connection was closed, so it is checked from time to time.
        AfterTurn::Wait {
            events: PollFlags::OUT,
            look_at: now + limits.stalled / CHECKS_PER_LIMIT,
        }
    }

    fn give_up(&self, _fd: &OwnedFd) {
        // Nothing to do: the next call on the connection gets the same error.
    }

    fn deadline_of_close(&self, _limits: TaskLimits) -> Option<Instant> {
        None
    }
}
