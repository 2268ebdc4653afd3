//! A connection whose caller does not wait, and whose sealed bytes TCP has no room for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustix::event::PollFlags;

use super::{AfterTurn, TaskLimits};
use crate::Connection;

/// The connection, which may be dropped or closed meanwhile: that sees to the rest by itself.
pub(crate) struct StalledConnection {
    connection: Weak<Connection>,
    /// When TCP took bytes last.
    progress: Instant,
    unsent: usize,
}

/// Looks at a connection while its peer takes nothing.
const LOOKS: u32 = 8;

impl StalledConnection {
    pub(crate) fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::downgrade(connection),
            progress: Instant::now(),
            unsent: usize::MAX,
        }
    }

    /// Sends what TCP takes.
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
        // Nothing but a look tells that the connection has been closed.
        AfterTurn::Wait {
            events: PollFlags::OUT,
            look_at: now + limits.stalled / LOOKS,
        }
    }
}
