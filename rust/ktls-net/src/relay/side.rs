//! One end of a pair: a TLS connection, a `KtlsSocket` or a plain socket, read and written without waiting.

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

/// What one end of a pair is.
pub enum RelaySide {
    /// Records of a connection.
    Tls {
        /// Who seals and opens.
        connection: Arc<Connection>,
        /// Its descriptor, in use for as long as the side lives.
        fd: OpenFd,
    },
    /// Data records of a socket of the kernel face.
    Ktls(KtlsSide),
    /// The bytes as they are.
    Plain(OwnedFd),
}

impl RelaySide {
    /// The side of a connection.
    ///
    /// # Errors
    /// EBADF when it is closed; EBUSY when another process of a fork uses it.
    pub fn tls(connection: Arc<Connection>) -> Result<Self, NetError> {
        let fd = connection.socket()?;
        Ok(Self::Tls { connection, fd })
    }

    /// The side of a `KtlsSocket`.
    ///
    /// # Errors
    /// As [`RelaySide::tls`].
    pub fn ktls(socket: Arc<FdSocket>) -> Result<Self, NetError> {
        KtlsSide::new(socket).map(Self::Ktls)
    }

    /// True where the bytes are as they are.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// True where an end in order is a close_notify.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// The right to read and write; a plain side needs none.
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

    /// Gives memory that holds nothing back to `pool`.
    pub(super) fn return_memory(&self, pool: &mut FifoPool) {
        match self {
            Self::Tls { connection, .. } => connection.return_memory(pool),
            Self::Ktls(side) => side.return_memory(pool),
            Self::Plain(_) => {}
        }
    }

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

    /// Takes some of `bytes` once TCP has all that was taken before.
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
                // Nothing is sealed, so that nothing waits.
                let flush = FlushOutcome::All;
                Ok(WriteNow { taken, flush })
            }
        }
    }

    /// True while bytes that it took have not been sent.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Tls { connection, .. } => connection.unsent() > 0,
            Self::Ktls(side) => side.has_unsent(),
            Self::Plain(_) => false,
        }
    }

    /// Drops sealed bytes that cannot be sent any more.
    pub(super) fn forget_unsent(&self) {
        if let Self::Tls { connection, .. } = self {
            connection.abandon_unsent();
        }
    }

    /// Says that no more will come.
    pub(super) fn end(&self) -> Result<(), NetError> {
        match self {
            Self::Tls { connection, .. } => connection.close_notify(Wait::Never),
            Self::Ktls(side) => {
                side.end();
                Ok(())
            }
            Self::Plain(fd) => {
                // ENOTCONN says that it is gone already, which the other direction will notice.
                let _gone = shutdown(fd, Shutdown::Write);
                Ok(())
            }
        }
    }

    /// Makes sure that nobody takes a part for the whole: behind what waits for it, the peer of a
    /// connection gets an alert, any other a reset when it is closed.
    pub(super) fn abort(&self, waiting: &[u8]) {
        match self {
            Self::Tls { connection, fd } => {
                // As much as there is room for; the alert says that something is missing.
                let _taken = connection.write_now(fd, waiting);
                connection.abort(fd);
            }
            Self::Ktls(side) => side.abort(),
            Self::Plain(fd) => finish_plain(fd, waiting, EndSignal::Reset),
        }
    }

    /// Makes sure that a side which was told its end, or shall be, gets what waits for it, whatever it
    /// sends in the meantime and whoever closes it.
    pub(super) fn deliver_and_end(&self, waiting: &[u8]) {
        if let Self::Plain(fd) = self {
            finish_plain(fd, waiting, EndSignal::Fin);
        }
    }

    /// Records received and sent, of a plain side none; those of a connection in all its life.
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

/// Leaves a plain socket to its owner, and to the background what TCP has not delivered.
fn finish_plain(fd: &OwnedFd, waiting: &[u8], ending: EndSignal) {
    let delivered = waiting.is_empty() && ktls_sys::unacknowledged(fd).unwrap_or(0) == 0;
    match fd.try_clone() {
        Ok(own) if !delivered => deliver_and_close(Arc::new(own), Fifo::from(waiting), ending),
        _ if ending == EndSignal::Reset => reset_when_closed(fd),
        // ENOTCONN says that it is gone already.
        _ => drop(shutdown(fd, Shutdown::Write)),
    }
}

/// Who reads the error shall know which of the two sides it is about.
fn plain_side(error: NetError) -> NetError {
    match error {
        NetError::Io(errno) => NetError::Plain(errno),
        error => error,
    }
}
