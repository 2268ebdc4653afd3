//! One side of a pair: a TLS connection, a `KtlsSocket` or a plain socket. No call waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ktls_core::{Fifo, FifoPool};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::ktls::KtlsSide;
use crate::background_sender::{EndSignal, deliver_and_close, reset_when_closed};
use crate::descriptor::BothTurns;
use crate::wait::{FlushOutcome, ReadNow, WriteNow, read_now, write_now};
use crate::{Connection, FdSocket, NetError, OpenFd, Wait};

/// One side of a pair.
pub enum RelaySide {
    /// A TLS connection.
    Tls {
        /// The connection, which seals and opens the records.
        connection: Arc<Connection>,
        /// The descriptor of the connection. It stays open while the side exists.
        fd: OpenFd,
    },
    /// A `KtlsSocket`, of which only data records are pumped.
    Ktls(KtlsSide),
    /// A socket without TLS.
    Plain(OwnedFd),
}

impl RelaySide {
    /// Makes a side of a connection.
    ///
    /// # Errors
    /// EBADF if the connection is closed; EBUSY if another process of a fork uses it.
    pub fn tls(connection: Arc<Connection>) -> Result<Self, NetError> {
        let fd = connection.socket()?;
        Ok(Self::Tls { connection, fd })
    }

    /// Makes a side of a `KtlsSocket`.
    ///
    /// # Errors
    /// EBADF if the socket is closed; EBUSY if another process of a fork uses it.
    pub fn ktls(socket: Arc<FdSocket>) -> Result<Self, NetError> {
        KtlsSide::new(socket).map(Self::Ktls)
    }

    /// Returns `true` if the side does not use TLS.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Returns `true` if the side ends in order by a close_notify.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// Takes the right to read and write. Returns `None` for a plain side, which needs none.
    ///
    /// # Errors
    /// EAGAIN if another call reads or writes and `patience` ends before that call does.
    pub(super) fn take_turns(&self, patience: Wait) -> Result<Option<BothTurns>, NetError> {
        match self {
            Self::Tls { connection, .. } => {
                BothTurns::take(Arc::clone(connection) as _, patience).map(Some)
            }
            Self::Ktls(side) => side.take_turns(patience).map(Some),
            Self::Plain(_) => Ok(None),
        }
    }

    /// Takes memory for records from `pool`.
    pub(super) fn borrow_memory(&self, pool: &mut FifoPool) {
        match self {
            Self::Tls { connection, .. } => connection.borrow_memory(pool),
            Self::Ktls(side) => side.borrow_memory(pool),
            Self::Plain(_) => {}
        }
    }

    /// Returns memory that holds nothing to `pool`.
    pub(super) fn return_memory(&self, pool: &mut FifoPool) {
        match self {
            Self::Tls { connection, .. } => connection.return_memory(pool),
            Self::Ktls(side) => side.return_memory(pool),
            Self::Plain(_) => {}
        }
    }

    /// Reads plaintext into `out`.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<ReadNow, NetError> {
        match self {
            Self::Tls { connection, fd } => connection.read_now(fd, out),
            Self::Ktls(side) => side.read(out),
            Self::Plain(fd) => match read_now(fd.as_fd(), out) {
                Ok(count) => Ok(ReadNow::from_recv(count)),
                Err(NetError::Io(Errno::AGAIN)) => Ok(ReadNow::NotYet),
                Err(error) => Err(plain_side(error)),
            },
        }
    }

    /// Accepts some of `bytes`, if TCP has accepted everything from before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<WriteNow, NetError> {
        match self {
            Self::Tls { connection, fd } => connection.write_now(fd, bytes),
            Self::Ktls(side) => side.write(bytes),
            Self::Plain(fd) => {
                let taken = match write_now(fd.as_fd(), bytes) {
                    Ok(count) => count,
                    Err(NetError::Io(Errno::AGAIN)) => 0,
                    Err(error) => return Err(plain_side(error)),
                };
                // Nothing is sealed, so no sealed bytes wait.
                let flush = FlushOutcome::All;
                Ok(WriteNow { taken, flush })
            }
        }
    }

    /// Returns `true` while bytes that the side accepted wait for TCP.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Tls { connection, .. } => connection.unsent() > 0,
            Self::Ktls(side) => side.has_unsent(),
            Self::Plain(_) => false,
        }
    }

    /// Drops sealed bytes of a connection that cannot be sent any more.
    pub(super) fn forget_unsent(&self) {
        if let Self::Tls { connection, .. } = self {
            connection.abandon_unsent();
        }
    }

    /// Ends the stream to the peer of this side in order.
    pub(super) fn end(&self) -> Result<(), NetError> {
        match self {
            Self::Tls { connection, .. } => connection.close_notify(Wait::Never),
            Self::Ktls(side) => {
                side.end();
                Ok(())
            }
            Self::Plain(fd) => {
                // ENOTCONN: the connection is gone, which the other direction will notice.
                let _gone = shutdown(fd, Shutdown::Write);
                Ok(())
            }
        }
    }

    /// Ends the side so that its peer cannot mistake the bytes that it received for the whole
    /// stream. Behind the bytes of `waiting`, the peer of a connection gets an alert. Other peers
    /// get a reset when the socket is closed.
    pub(super) fn abort(&self, waiting: &[u8]) {
        match self {
            Self::Tls { connection, fd } => {
                // As much as fits. The alert marks the stream as cut, so no error matters here.
                let _taken = connection.write_now(fd, waiting);
                connection.abort(fd);
            }
            Self::Ktls(side) => side.abort(),
            Self::Plain(fd) => finish_plain(fd, waiting, EndSignal::Reset),
        }
    }

    /// Delivers the bytes of `waiting` and then the end to the peer of a plain side, in the
    /// background if necessary. Neither bytes that the peer sends meanwhile nor a close of the
    /// socket prevent that. Does nothing for other sides.
    pub(super) fn deliver_and_end(&self, waiting: &[u8]) {
        if let Self::Plain(fd) = self {
            finish_plain(fd, waiting, EndSignal::Fin);
        }
    }

    /// Returns the number of records received and sent, or `None` for a plain side. A connection
    /// also counts the records from before the pair began.
    pub(super) fn records(&self) -> Option<(u64, u64)> {
        match self {
            Self::Tls { connection, .. } => {
                let counts = connection.counts();
                Some((counts.received.records, counts.sent.records))
            }
            Self::Ktls(side) => Some(side.records()),
            Self::Plain(_) => None,
        }
    }
}

impl AsFd for RelaySide {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tls { fd, .. } => fd.as_fd(),
            Self::Ktls(side) => side.as_fd(),
            Self::Plain(fd) => fd.as_fd(),
        }
    }
}

/// Ends a plain socket, which stays with its owner. If bytes are not delivered yet, the background
/// sender delivers them through a duplicate first.
fn finish_plain(fd: &OwnedFd, waiting: &[u8], ending: EndSignal) {
    let delivered = waiting.is_empty() && ktls_sys::unacknowledged(fd).unwrap_or(0) == 0;
    match fd.try_clone() {
        Ok(own) if !delivered => deliver_and_close(Arc::new(own), Fifo::from(waiting), ending),
        _ if ending == EndSignal::Reset => reset_when_closed(fd),
        // ENOTCONN: the connection is gone already.
        _ => drop(shutdown(fd, Shutdown::Write)),
    }
}

/// Marks an error as one of the plain side.
fn plain_side(error: NetError) -> NetError {
    match error {
        NetError::Io(errno) => NetError::Plain(errno),
        error => error,
    }
}
