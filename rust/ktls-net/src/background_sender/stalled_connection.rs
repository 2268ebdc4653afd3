//! A connection whose caller does not wait, with sealed bytes that TCP had no room for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustix::event::PollFlags;

use super::{AfterTurn, CHECKS_PER_LIMIT, TaskLimits};
use crate::Connection;

/// The connection. If it is dropped or closed meanwhile, that call takes care of the remaining
/// bytes.
pub(crate) struct StalledConnection {
    connection: Weak<Connection>,
    /// The last time that TCP accepted bytes.
    progress: Instant,
    unsent: usize,
}

impl StalledConnection {
    pub(crate) fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::downgrade(connection),
            progress: Instant::now(),
            unsent: usize::MAX,
        }
    }

    /// Sends what TCP accepts.
    pub(super) fn turn(&mut self, fd: &OwnedFd, now: Instant, limits: TaskLimits) -> AfterTurn {
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
}
