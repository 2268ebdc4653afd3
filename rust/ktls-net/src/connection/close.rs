//! The end of a connection.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ktls_core::Alert;
use ktls_core::session::LastWord;
use rustix::net::{Shutdown, shutdown};

use super::{Connection, closing_bell};
use crate::background_sender::{EndSignal, deliver_and_close};
use crate::mutex::lock;

impl Connection {
    /// Ends the stream in order: the peer gets everything that was accepted, then close_notify, then FIN.
    /// Returns at once; what the socket does not take now is sent in the background. Twice is once.
    pub fn close(&self) {
        if let Some(fd) = self.take_descriptor(|| true) {
            self.deliver(fd, Some(LastWord::CloseNotify));
        }
    }

    /// As [`Connection::close`], but the peer is told by an alert that something is missing.
    pub fn close_incomplete(&self) {
        if let Some(fd) = self.take_descriptor(|| true) {
            self.deliver(fd, Some(LastWord::Alert(Alert::InternalError)));
        }
    }

    /// The descriptor, of which this process has to make an end; `left` says whether that would be so if
    /// another process might go on with the connection. None closes this process's copy at most.
    fn take_descriptor(&self, left: impl FnOnce() -> bool) -> Option<Arc<OwnedFd>> {
        let fd = self.fd.close()?;
        self.fd.owner().has_to_finish(left).then_some(fd)
    }

    fn deliver(&self, fd: Arc<OwnedFd>, last_word: Option<LastWord>) {
        let unsent = lock(&self.tx).finish(last_word.filter(|_| self.failed.get().is_none()));
        if Arc::strong_count(&fd) > 1 {
            closing_bell::ring();
        }
        self.end_background_flush();
        deliver_and_close(fd, unsent, EndSignal::Fin);
    }
}

impl Drop for Connection {
    /// Dropped without a close it does not say that this was all: the peer gets what was accepted, and FIN.
    fn drop(&mut self) {
        if let Some(fd) = self.take_descriptor(|| self.unsent() > 0) {
            self.deliver(fd, None);
        }
    }
}

/// FIN: the peer will see the end behind our last byte.
pub(crate) fn finish_sending(fd: &impl AsFd) {
    // ENOTCONN says that the connection is gone already.
    let _gone = shutdown(fd, Shutdown::Write);
}
