//! Closing a connection.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ktls_core::Alert;
use ktls_core::session::LastWord;
use rustix::net::{Shutdown, shutdown};

use super::{Connection, closing_bell};
use crate::background_sender::{EndSignal, deliver_and_close};

impl Connection {
    /// Closes the connection: the peer gets everything that was accepted, then close_notify, then
    /// FIN.
    ///
    /// Returns at once. Bytes that the socket does not accept now are sent in the background. A
    /// second call does nothing.
    pub fn close(&self) {
        if let Some(fd) = self.take_descriptor(|| true) {
            self.deliver(fd, Some(LastWord::CloseNotify));
        }
    }

    /// Closes the connection as [`Connection::close`] does, but sends an alert instead of
    /// close_notify. So the peer learns that bytes are missing.
    pub fn close_incomplete(&self) {
        if let Some(fd) = self.take_descriptor(|| true) {
            self.deliver(fd, Some(LastWord::Alert(Alert::InternalError)));
        }
    }

    /// Closes the connection for other calls, and returns the descriptor if this process has to end
    /// the stream. If another process of a fork might continue the connection, `left` decides
    /// whether it has to.
    fn take_descriptor(&self, left: impl FnOnce() -> bool) -> Option<Arc<OwnedFd>> {
        let fd = self.fd.close()?;
        self.fd.owner().has_to_finish(left).then_some(fd)
    }

    fn deliver(&self, fd: Arc<OwnedFd>, last_word: Option<LastWord>) {
        let unsent = self
            .session
            .sender()
            .finish(last_word.filter(|_| self.session.failure().is_none()));
        if Arc::strong_count(&fd) > 1 {
            closing_bell::ring();
        }
        self.end_background_flush();
        deliver_and_close(fd, unsent, EndSignal::Fin);
    }
}

impl Drop for Connection {
    /// Ends a connection that was not closed. The peer gets everything that was accepted and FIN,
    /// but no close_notify: the stream may be incomplete.
    fn drop(&mut self) {
        if let Some(fd) = self.take_descriptor(|| self.unsent() > 0) {
            self.deliver(fd, None);
        }
    }
}

/// Sends FIN behind the bytes that TCP has.
pub(crate) fn finish_sending(fd: &impl AsFd) {
    // ENOTCONN: the connection is gone already.
    let _gone = shutdown(fd, Shutdown::Write);
}
