//! Waiting for a descriptor, as patiently as a socket's timeout says.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::NetError;

mod limit;

pub use limit::ProgressDeadline;

/// The peer has sent FIN. Where poll cannot say so, reading does.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub const PEER_DONE: PollFlags = PollFlags::RDHUP;
/// The peer has sent FIN. Where poll cannot say so, reading does.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub const PEER_DONE: PollFlags = PollFlags::empty();

/// How long a call may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Not at all: the call fails with EAGAIN instead.
    Never,
    /// Until this time; then the call fails with [`NetError::TimedOut`].
    Until(Instant),
    /// Until it is done.
    Forever,
}

impl Wait {
    /// From a Python timeout: `None` blocks, zero does not.
    #[must_use]
    pub fn from_timeout(timeout: Option<Duration>) -> Self {
        match timeout {
            None => Self::Forever,
            Some(Duration::ZERO) => Self::Never,
            // A timeout too far away to be told as an instant is none.
            Some(timeout) => Instant::now()
                .checked_add(timeout)
                .map_or(Self::Forever, Self::Until),
        }
    }

    /// True when it goes on after `time`.
    fn is_longer(self, time: Instant) -> bool {
        match self {
            Self::Never => false,
            Self::Until(end) => end > time,
            Self::Forever => true,
        }
    }

    /// Time left; `None` is for ever.
    ///
    /// # Errors
    /// EAGAIN or [`NetError::TimedOut`] when there is none.
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

/// Waits until one of `events`, an error or a hang-up shows at `fd`.
///
/// # Errors
/// EAGAIN, [`NetError::TimedOut`], [`NetError::Interrupted`].
pub fn wait(fd: BorrowedFd<'_>, events: PollFlags, patience: Wait) -> Result<PollFlags, NetError> {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    wait_for_any(&mut fds, patience)?;
    Ok(fds[0].revents())
}

/// Waits until something shows at one of `fds`.
///
/// # Errors
/// EAGAIN, [`NetError::TimedOut`], [`NetError::Interrupted`].
pub(crate) fn wait_for_any(fds: &mut [PollFd<'_>], patience: Wait) -> Result<(), NetError> {
    match poll(fds, patience.left()?.map(timespec).as_ref())? {
        0 => Err(NetError::TimedOut),
        _ => Ok(()),
    }
}

/// A duration as poll wants it; more than it can tell is as good as for ever.
#[must_use]
pub fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    })
}

/// What there was to read as data.
pub(crate) enum ReadNow {
    /// So many bytes; none is the end.
    Data(usize),
    /// Nothing has come.
    NotYet,
    /// Much has come and no data among it: look at the clock and at signals, then go on.
    Busy,
}

/// Reads what is there, never waiting; 0 is the end of the stream.
///
/// # Errors
/// EAGAIN and what the connection says.
pub fn read_now(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, NetError> {
    let (got, _) = recv(fd, buf, RecvFlags::DONTWAIT)?;
    Ok(got)
}

/// Writes what the socket takes, never waiting and never raising SIGPIPE.
///
/// # Errors
/// EAGAIN and what the connection says.
pub fn write_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, NetError> {
    Ok(send(fd, bytes, send_flags())?)
}

/// The same for bytes behind which more come at once: the system need not send a short segment.
///
/// # Errors
/// As [`write_now`].
pub fn write_before_more(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, NetError> {
    Ok(send(fd, bytes, send_flags() | MORE)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE: SendFlags = SendFlags::MORE;
/// Elsewhere a short segment leaves.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
const fn send_flags() -> SendFlags {
    SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL)
}

/// Apple has no such flag; Python ignores SIGPIPE anyway.
#[cfg(target_vendor = "apple")]
const fn send_flags() -> SendFlags {
    SendFlags::DONTWAIT
}
