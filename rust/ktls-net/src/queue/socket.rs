//! The interface between the workers of a queue and its sockets.

use std::fmt::Debug;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::fork::CountedCall;

/// A sending direction whose records are in a ring.
pub(crate) trait RingSender: Debug + Send + Sync {
    /// Counts the records in flight as a running call, for the checks after a fork.
    fn begin_work(&self) -> CountedCall;

    /// Notifies the threads that wait for a change of the socket.
    fn ring_watchers(&self);

    /// Returns `true` if the socket is closed. A peer that accepts nothing is then given up after a
    /// time.
    fn is_orphaned(&self) -> bool;

    /// Stores the error of a write to TCP, which the next send reports.
    fn write_failed(&self, errno: Errno);
}

/// A receiving direction of which a worker opens records ahead.
pub(crate) trait RingReceiver: Debug + Send + Sync {
    /// Opens one record, or reads from TCP once.
    fn open_ahead(&self, fd: &OwnedFd) -> ReadAheadNext;
}

/// How a worker continues with a receiving direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadAheadNext {
    /// Call again: there may be more to do.
    Some,
    /// Wait until TCP has bytes.
    Blocked,
    /// End the task until it is posted again: a reader has to make room first.
    Over,
}
