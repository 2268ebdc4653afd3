//! Waits for a descriptor, for as long as a socket's timeout allows.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::NetError;

mod deadline;

pub use deadline::ProgressDeadline;

/// The event that the peer has sent FIN. Empty on systems where poll cannot report it; there a read
/// does.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub const PEER_DONE: PollFlags = PollFlags::RDHUP;
/// The event that the peer has sent FIN. Empty on systems where poll cannot report it; there a read
/// does.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub const PEER_DONE: PollFlags = PollFlags::empty();

/// How often a wait that a signal does not end returns, so that the caller can run signal handlers.
pub(crate) const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a call may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// The call does not wait: it fails with EAGAIN instead.
    Never,
    /// The call waits until this time. Then it fails with [`NetError::TimedOut`].
    Until(Instant),
    /// The call waits without a limit.
    Forever,
}

impl Wait {
    /// Converts a Python timeout: `None` means to wait forever, zero not to wait.
    #[must_use]
    pub fn from_timeout(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Forever,
            Some(Duration::ZERO) => Self::Never,
            // A timeout too large for an `Instant` counts as none.
            Some(timeout) => Instant::now()
                .checked_add(timeout)
                .map_or(Self::Forever, Self::Until),
        }
    }

    /// Returns `true` if the wait may last beyond `time`.
    fn is_longer(self, time: Instant) -> bool {
        match self {
            Self::Never => false,
            Self::Until(end) => end > time,
            Self::Forever => true,
        }
    }

    /// Returns the time left. `None` means forever.
    ///
    /// # Errors
    /// - EAGAIN for [`Wait::Never`].
    /// - [`NetError::TimedOut`] if no time is left.
    pub fn left(self) -> Result<Option<Duration>, NetError> {
        match self {
            Self::Never => Err(NetError::Io(Errno::AGAIN)),
            Self::Forever => Ok(None),
            Self::Until(end) => match end.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => Err(NetError::TimedOut),
                left => Ok(left),
            },
        }
    }
}

/// Waits until one of `events`, an error or a hang-up occurs on `fd`, and returns what occurred.
///
/// # Errors
/// Returns EAGAIN, [`NetError::TimedOut`] or [`NetError::Interrupted`].
pub fn wait(fd: BorrowedFd<'_>, events: PollFlags, patience: Wait) -> Result<PollFlags, NetError> {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    wait_for_any(&mut fds, patience)?;
    Ok(fds[0].revents())
}

/// Waits until something occurs on one of `fds`.
///
/// # Errors
/// Returns EAGAIN, [`NetError::TimedOut`] or [`NetError::Interrupted`].
pub(crate) fn wait_for_any(fds: &mut [PollFd<'_>], patience: Wait) -> Result<(), NetError> {
    match poll(fds, patience.left()?.map(timespec).as_ref())? {
        0 => Err(NetError::TimedOut),
        _ => Ok(()),
    }
}

/// Converts a duration for poll. One that is too large becomes the largest `Timespec`.
#[must_use]
pub fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    })
}

/// The result of reading without waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadNow {
    /// This many bytes of data.
    Data(NonZeroUsize),
    /// The stream has ended: there will be no more data.
    End,
    /// Nothing has arrived.
    NotYet,
    /// Much has arrived, but no data. Check the timeout and signals, then call again.
    Busy,
}

impl ReadNow {
    /// From what `recv` returns for a buffer that is not empty: 0 is the end of the stream.
    pub(crate) fn from_recv(count: usize) -> Self {
        NonZeroUsize::new(count).map_or(Self::End, Self::Data)
    }
}

/// The result of writing plaintext without waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WriteNow {
    /// Bytes that were taken.
    pub(crate) taken: usize,
    /// Whether TCP has all that was sealed.
    pub(crate) flush: FlushOutcome,
}

/// How far a write to TCP came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FlushOutcome {
    /// TCP has everything.
    All,
    /// TCP has no room for the rest.
    Full,
}

impl FlushOutcome {
    /// From the bytes that TCP has not taken.
    pub(crate) const fn from_unsent(unsent: &[u8]) -> Self {
        if unsent.is_empty() {
            Self::All
        } else {
            Self::Full
        }
    }
}

/// Reads what has arrived, without waiting. Returns 0 at the end of the stream.
///
/// # Errors
/// Returns EAGAIN if nothing has arrived, or the connection's error.
pub fn read_now(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, NetError> {
    let (got, _) = recv(fd, buf, RecvFlags::DONTWAIT)?;
    Ok(got)
}

/// Writes as much as the socket accepts, without waiting and without raising SIGPIPE.
///
/// # Errors
/// Returns EAGAIN if there is no room, or the connection's error.
pub fn write_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, NetError> {
    Ok(send(fd, bytes, send_flags())?)
}

/// Writes as [`write_now`] does, with a hint that more bytes follow at once, so that the system
/// need not send a short segment.
///
/// # Errors
/// Returns EAGAIN if there is no room, or the connection's error.
pub fn write_before_more(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, NetError> {
    Ok(send(fd, bytes, send_flags() | MORE)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE: SendFlags = SendFlags::MORE;
/// Without the flag, a short segment is sent.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
const fn send_flags() -> SendFlags {
    SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL)
}

/// Apple's systems have no such flag. Python ignores SIGPIPE anyway.
#[cfg(target_vendor = "apple")]
const fn send_flags() -> SendFlags {
    SendFlags::DONTWAIT
}
