//! The sockets of a queue, as its workers need them.

use std::fmt::Debug;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::fork::CountedCall;

/// A sending direction whose records are in a ring.
pub(crate) trait RingSender: Debug + Send + Sync {
    /// Counts the records in flight as a call: a child of a fork finds the socket in the middle of it.
    fn begin_work(&self) -> CountedCall;

    /// Wakes those who wait for a change of the socket.
    fn ring_watchers(&self);

    /// Returns true once the socket is closed, and a peer that takes nothing is given up in the end.
    fn is_orphaned(&self) -> bool;

    /// TCP refused a record: the next send has to report it.
    fn write_failed(&self, errno: Errno);
}

/// A receiving direction of which a worker opens records ahead.
pub(crate) trait RingReceiver: Debug + Send + Sync {
    /// Opens one record, or takes bytes from TCP once.
    fn open_ahead(&self, fd: &OwnedFd) -> ReadAheadNext;
}

/// How a worker goes on with a receiving direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadAheadNext {
    /// There may be more to do.
    Some,
    /// TCP has to have bytes first.
    Blocked,
    /// A reader has to make room first.
    Over,
}
