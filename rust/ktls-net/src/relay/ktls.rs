//! The side of a pair that is a `KtlsSocket`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use ktls_core::FifoPool;

use crate::background_sender::reset_when_closed;
use crate::descriptor::{BothTurns, OpenFd};
use crate::wait::{ReadNow, WriteNow};
use crate::{FdSocket, NetError, Wait};

/// A socket of the kernel face, with what it has done for its pair.
pub struct KtlsSide {
    socket: Arc<FdSocket>,
    /// In use for as long as the side lives.
    fd: OpenFd,
    received: u64,
    sent: u64,
}

impl KtlsSide {
    pub(super) fn new(socket: Arc<FdSocket>) -> Result<Self, NetError> {
        let fd = socket.open()?;
        Ok(Self {
            socket,
            fd,
            received: 0,
            sent: 0,
        })
    }

    /// Both turns; under them nobody else makes it unfit.
    pub(super) fn take_turns(&self, patience: Wait) -> Result<BothTurns, NetError> {
        let turns = BothTurns::take(Arc::clone(&self.socket) as _, patience)?;
        self.socket.check_fit().map_err(ktls_side)?;
        Ok(turns)
    }

    pub(super) fn borrow_memory(&self, pool: &mut FifoPool) {
        self.socket.borrow_memory(pool);
    }

    pub(super) fn return_memory(&self, pool: &mut FifoPool) {
        self.socket.return_memory(pool);
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<ReadNow, NetError> {
        let read = self.socket.read_now(&self.fd, out, &mut self.received);
        read.map_err(ktls_side)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<WriteNow, NetError> {
        let written = self.socket.write_now(&self.fd, bytes, &mut self.sent);
        written.map_err(ktls_side)
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.socket.has_unsent()
    }

    /// FIN: a close_notify is a control record, and so its owner's.
    pub(super) fn end(&self) {
        self.socket.finish_sending(&self.fd);
    }

    /// So is an alert.
    pub(super) fn abort(&self) {
        reset_when_closed(&self.fd);
    }

    /// Records opened and records sealed.
    pub(super) const fn records(&self) -> (u64, u64) {
        (self.received, self.sent)
    }
}

impl AsFd for KtlsSide {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Who reads the error shall not be told that the peer has had an alert.
fn ktls_side(error: NetError) -> NetError {
    match error {
        NetError::Tls(error) => NetError::Ktls(error),
        error => error,
    }
}
