//! Waking calls that wait at a connection when another thread closes it.
//!
//! The descriptor itself cannot wake them: shutting down its receiving direction would make a reset of every
//! byte that the peer still sends, and the sending direction has to stay open until all is sent. So those
//! who wait also watch a bell. One serves all connections of the process: after it has rung it is replaced,
//! and those whose connection is still open wait again, with the new one.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};

use crate::bell::ReadinessBell;
use crate::mutex::lock;
use crate::wait::{SIGNAL_CHECK_INTERVAL, timespec, wait_for_any};
use crate::{NetError, Wait, fork};

/// The bell that has not rung.
static SILENT: Mutex<Option<SilentBell>> = Mutex::new(None);

struct SilentBell {
    bell: Arc<ReadinessBell>,
    /// A fork copies it, but it rings for the process that made it.
    birth: u64,
}

/// Wakes all calls that wait at a connection.
pub(super) fn ring() {
    let silent = lock(&SILENT).take();
    if let Some(silent) = silent.filter(|silent| silent.birth == fork::birth()) {
        silent.bell.ring();
    }
}

/// Waits until one of `events`, an error or a hang-up shows at `fd`, or until the bell rings; then it returns
/// no events.
///
/// # Errors
/// EAGAIN, [`NetError::TimedOut`], [`NetError::Interrupted`].
pub(super) fn wait(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    is_closed: impl FnOnce() -> bool,
    patience: Wait,
) -> Result<PollFlags, NetError> {
    let left = patience.left()?;
    let Some(bell) = current() else {
        // Without a descriptor for a bell one has to look.
        let left = left
            .unwrap_or(SIGNAL_CHECK_INTERVAL)
            .min(SIGNAL_CHECK_INTERVAL);
        let mut fds = [PollFd::from_borrowed_fd(fd, events)];
        poll(&mut fds, Some(&timespec(left)))?;
        return Ok(fds[0].revents());
    };
    if is_closed() {
        // Closed before the bell was taken, so that it will not ring for this.
        return Ok(PollFlags::empty());
    }
    let bell = PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN);
    let mut fds = [PollFd::from_borrowed_fd(fd, events), bell];
    wait_for_any(&mut fds, patience)?;
    Ok(fds[0].revents())
}

fn current() -> Option<Arc<ReadinessBell>> {
    let birth = fork::birth();
    let mut silent = lock(&SILENT);
    if silent.as_ref().is_none_or(|silent| silent.birth != birth) {
        let bell = Arc::new(ReadinessBell::new().ok()?);
        *silent = Some(SilentBell { bell, birth });
    }
    silent.as_ref().map(|silent| Arc::clone(&silent.bell))
}
