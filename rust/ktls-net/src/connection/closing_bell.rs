//! Waking calls that wait at a connection when another thread closes it.
//!
//! The descriptor itself cannot wake them. Shutting down its receiving direction would answer every
//! byte that the peer still sends with a reset, and the sending direction has to stay open until
//! all is sent. So the calls also wait at a bell. One bell serves all connections of the process.
//! After it has rung it is replaced, and calls whose connection is still open wait again, at the
//! new bell.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};

use crate::bell::ReadinessBell;
use crate::mutex::lock;
use crate::wait::{SIGNAL_CHECK_INTERVAL, timespec, wait_for_any};
use crate::{NetError, Wait, fork};

/// The bell that has not rung.
static SILENT: Mutex<Option<SilentBell>> = Mutex::new(None);

/// A bell that has not rung.
struct SilentBell {
    bell: Arc<ReadinessBell>,
    /// The process that made the bell. A child of a fork has a copy, which must not be rung.
    birth: u64,
}

/// Wakes all calls that wait at a connection.
pub(super) fn ring() {
    let silent = lock(&SILENT).take();
    if let Some(silent) = silent.filter(|silent| silent.birth == fork::birth()) {
        silent.bell.ring();
    }
}

/// Waits until one of `events`, an error or a hang-up shows at `fd`, or until the bell rings; then
/// it returns no events.
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
        // Without a descriptor for a bell, the caller checks from time to time.
        let left = left
            .unwrap_or(SIGNAL_CHECK_INTERVAL)
            .min(SIGNAL_CHECK_INTERVAL);
        let mut fds = [PollFd::from_borrowed_fd(fd, events)];
        poll(&mut fds, Some(&timespec(left)))?;
        return Ok(fds[0].revents());
    };
    if is_closed() {
        // The connection was closed before the bell was taken, so this bell will not ring for it.
        return Ok(PollFlags::empty());
    }
    let bell = PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN);
    let mut fds = [PollFd::from_borrowed_fd(fd, events), bell];
    wait_for_any(&mut fds, patience)?;
    Ok(fds[0].revents())
}

/// Returns the bell that has not rung, or `None` if there is no descriptor for one.
fn current() -> Option<Arc<ReadinessBell>> {
    let birth = fork::birth();
    let mut silent = lock(&SILENT);
    if silent.as_ref().is_none_or(|silent| silent.birth != birth) {
        let bell = Arc::new(ReadinessBell::new().ok()?);
        *silent = Some(SilentBell { bell, birth });
    }
    silent.as_ref().map(|silent| Arc::clone(&silent.bell))
}
