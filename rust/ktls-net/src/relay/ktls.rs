//! A side of a pair that is a `KtlsSocket`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use ktls_core::FifoPool;

use crate::background_sender::reset_when_closed;
use crate::descriptor::{BothTurns, OpenFd};
use crate::wait::{ReadNow, WriteNow};
use crate::{FdSocket, NetError, Wait};

/// A `KtlsSocket` that is a side of a pair, with the number of records it opened and sealed for the
/// pair.
pub struct KtlsSide {
    socket: Arc<FdSocket>,
    /// Keeps the descriptor open while the side exists.
    fd: OpenFd,
    received: u64,
    sent: u64,
}

impl KtlsSide {
    /// Makes a side.
    ///
    /// # Errors
    /// EBADF if the socket is closed; EBUSY if another process of a fork uses it.
    pub(super) fn new(socket: Arc<FdSocket>) -> Result<Self, NetError> {
        let fd = socket.open()?;
        Ok(Self {
            socket,
            fd,
            received: 0,
            sent: 0,
        })
    }

    /// Takes the right to read and to write. Checks the socket after that, so no other call can
    /// make it unfit for a relay.
    ///
    /// # Errors
    /// EAGAIN if another call reads or writes and `patience` ends; [`NetError::Unfit`] or
    /// EKEYEXPIRED if a relay cannot pump the socket.
    pub(super) fn take_turns(&self, patience: Wait) -> Result<BothTurns, NetError> {
        let turns = BothTurns::take(Arc::clone(&self.socket) as _, patience)?;
        self.socket.check_fit().map_err(ktls_side)?;
        Ok(turns)
    }

    /// Takes memory for records from `pool`.
    pub(super) fn borrow_memory(&self, pool: &mut FifoPool) {
        self.socket.borrow_memory(pool);
    }

    /// Returns memory that holds nothing to `pool`.
    pub(super) fn return_memory(&self, pool: &mut FifoPool) {
        self.socket.return_memory(pool);
    }

    /// Reads whole records without waiting. The last byte of `out` is for the content type.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<ReadNow, NetError> {
        let read = self.socket.read_now(&self.fd, out, &mut self.received);
        read.map_err(ktls_side)
    }

    /// Seals and writes some of `bytes` without waiting.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<WriteNow, NetError> {
        let written = self.socket.write_now(&self.fd, bytes, &mut self.sent);
        written.map_err(ktls_side)
    }

    /// Returns `true` while sealed bytes wait for TCP.
    pub(super) fn has_unsent(&self) -> bool {
        self.socket.has_unsent()
    }

    /// Sends FIN, and no close_notify: control records are sent by the owner of the socket.
    pub(super) fn end(&self) {
        self.socket.finish_sending(&self.fd);
    }

    /// Has the connection reset when it is closed. No alert is sent: control records are sent by
    /// the owner of the socket.
    pub(super) fn abort(&self) {
        reset_when_closed(&self.fd);
    }

    /// Returns the number of records that were opened and sealed for the pair.
    pub(super) const fn records(&self) -> (u64, u64) {
        (self.received, self.sent)
    }
}

impl AsFd for KtlsSide {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Marks an error as one of a `KtlsSocket`, for which no alert was sent to the peer.
fn ktls_side(error: NetError) -> NetError {
    match error {
        NetError::Tls(error) => NetError::Ktls(error),
        error => error,
    }
}
