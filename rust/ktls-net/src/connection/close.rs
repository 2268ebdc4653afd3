//! The end of a connection.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ktls_core::session::Sender;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::Connection;
use crate::wait::{read_now, wait};
use crate::{Error, Patience};

/// How long a close may take for the peer's sake.
const LINGER: Duration = Duration::from_secs(1);

impl Connection {
    /// Says close_notify if that is still possible and closes; twice is once.
    ///
    /// After an error the peer gets up to a second to read its alert: closing a socket with unread
    /// bytes makes a reset, which would overtake it.
    pub fn close(&self) {
        let Some(fd) = self.fd.close() else { return };
        // A process that a fork made, and that never used it, only lets go of its copy.
        if !self.fd.owner().has_to_finish(|| true) {
            return;
        }
        let end = Patience::Until(Instant::now() + LINGER);
        // Nothing can be told to a caller who is done with the connection: each step is tried.
        let _closed = through_signals(|| self.with_room(&fd, end, Sender::close_notify));
        let flushed = through_signals(|| self.flush_to(&fd, end));
        finish_sending(&fd);
        if flushed.is_ok() && self.failed.get().is_some() {
            drain(&fd, end);
        }
        // A thread that still waits to read shall see that the connection is closed.
        let _gone = shutdown(&*fd, Shutdown::Both);
    }
}

/// Goes on after a signal, where there is no caller that could call again.
pub(crate) fn through_signals<T>(mut step: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match step() {
            Err(Error::Interrupted) => {}
            done => return done,
        }
    }
}

/// FIN: the peer will see the end behind our last byte.
pub(crate) fn finish_sending(fd: &impl AsFd) {
    // ENOTCONN says that the connection is gone already.
    let _gone = shutdown(fd, Shutdown::Write);
}

/// Reads and forgets until the peer is done or `patience` is at its end.
pub(crate) fn drain(fd: &impl AsFd, patience: Patience) {
    let mut sink = [0; 4096];
    while patience.left().is_ok() {
        match read_now(fd.as_fd(), &mut sink) {
            Ok(0) => return,
            Ok(_) | Err(Error::Interrupted) => {}
            Err(Error::Io(Errno::AGAIN)) => {
                if let Err(Error::TimedOut | Error::Io(_)) =
                    wait(fd.as_fd(), PollFlags::IN, patience)
                {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
