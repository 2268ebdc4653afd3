//! The RFC face over a socket: TLS connections whose handshake is done.
//!
//! The lock order is: a turn, then one half of the session, then the keys. No half is locked while
//! a call waits for the peer. So a reader can answer a KeyUpdate at any time, and a reader that
//! waits stops no writer.

mod close;
mod closing_bell;
mod hand_over;
mod handshake;
mod poll;
mod read;
mod stalled;
mod unsent;
mod write;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ktls_core::session::{KeyUpdatePolicy, UnsentLimit};
use ktls_core::{Alert, Error as CoreError, FifoPool};
use rustix::event::PollFlags;

use crate::bell::ReadinessWatchers;
use crate::descriptor::{HasTurns, IoTurn, OpenFd, SharedFd};
use crate::session::{ConnectionCounts, DuplexSession, HandshakeFacts, TakeoverKeys};
use crate::wait::ProgressDeadline;
use crate::{NetError, Wait};

pub use hand_over::{EngineHandOver, HandedOverConnection, InstallOutcome, ReadyToHandOver};
pub use handshake::StartingConnection;

/// A TLS connection over a stream socket.
pub struct Connection {
    fd: SharedFd,
    session: DuplexSession,
    /// The process whose background sender sends for this connection: its birth plus 1. 0 if there
    /// is none.
    in_background: AtomicU64,
    writer: IoTurn,
    reader: IoTurn,
    watchers: Arc<ReadinessWatchers>,
}

impl Connection {
    /// Takes over a socket on which another TLS library has completed a handshake. `received` are
    /// bytes that were read from it afterwards.
    ///
    /// # Errors
    /// [`ktls_core::Error::CipherMissing`] if the cipher has no implementation.
    pub fn from_secrets(
        fd: OwnedFd,
        keys: TakeoverKeys,
        server_side: bool,
        received: &[u8],
        policy: &KeyUpdatePolicy,
    ) -> Result<Self, NetError> {
        let limit = UnsentLimit::BOUNDED;
        let session = DuplexSession::take_over(keys, server_side, received, policy, limit)?;
        Ok(Self::over(SharedFd::new(fd), session, Arc::default()))
    }

    fn over(fd: SharedFd, session: DuplexSession, watchers: Arc<ReadinessWatchers>) -> Self {
        Self {
            fd,
            session,
            in_background: AtomicU64::new(0),
            writer: IoTurn::default(),
            reader: IoTurn::default(),
            watchers,
        }
    }

    /// Returns the bells that ring after each change of what waits in the session.
    const fn watchers(&self) -> &Arc<ReadinessWatchers> {
        &self.watchers
    }

    /// Returns the results of the handshake.
    #[must_use]
    pub const fn facts(&self) -> &HandshakeFacts {
        self.session.facts()
    }

    /// Returns what was sent and received so far.
    #[must_use]
    pub fn counts(&self) -> ConnectionCounts {
        self.session.counts()
    }

    /// Returns how many bytes can be processed before more is read from the socket: plaintext and
    /// whole sealed records.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.session.receiver().pending()
    }

    /// Returns how many sealed bytes TCP has not accepted yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.session.sender().wire().len()
    }

    /// Checks that this process may use the connection at all, before the caller waits for anything
    /// else.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that can never use the connection.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.fd.owner().check_reachable()
    }

    /// Returns `true` if the connection is open and no fork may have left it to another process.
    #[must_use]
    pub fn is_left_open(&self) -> bool {
        self.fd.is_left_open()
    }

    /// Takes memory from `pool` for the records that will be sent and received.
    pub(crate) fn borrow_memory(&self, pool: &mut FifoPool) {
        self.session.borrow_memory(pool);
    }

    /// Returns memory that holds nothing to `pool`.
    pub(crate) fn return_memory(&self, pool: &mut FifoPool) {
        self.session.return_memory(pool);
    }

    /// Returns the descriptor. It stays open while the returned value exists.
    ///
    /// # Errors
    /// EBADF if the connection is closed; EBUSY if another process of a fork uses it.
    pub fn socket(&self) -> Result<OpenFd, NetError> {
        self.fd.open()
    }

    /// Returns the descriptor, for the options and addresses of TCP. Unlike [`Connection::socket`],
    /// this does not count as a use of the connection.
    ///
    /// # Errors
    /// EBADF if the connection is closed.
    pub fn descriptor(&self) -> Result<Arc<OwnedFd>, NetError> {
        self.fd.number()
    }

    /// Ends the connection with an alert, so that the peer cannot mistake the bytes that it
    /// received for the whole stream.
    pub(crate) fn abort(&self, fd: &OwnedFd) {
        let mut tx = self.session.sender();
        tx.fail(Some(Alert::InternalError));
        let _unsent = write::push(fd, &mut tx);
    }

    /// Waits for `events` at the socket, or until another thread closes the connection.
    fn wait(&self, fd: &OwnedFd, events: PollFlags, patience: Wait) -> Result<PollFlags, NetError> {
        let is_closed = || self.fd.is_closed();
        let seen = closing_bell::wait(fd.as_fd(), events, is_closed, patience)?;
        self.fd.number().map(|_| seen)
    }

    fn wait_within(&self, fd: &OwnedFd, limit: &mut ProgressDeadline) -> Result<(), NetError> {
        limit.wait(limit.patience(), |patience| {
            self.wait(fd, PollFlags::OUT, patience)
        })?;
        Ok(())
    }

    /// Drops sealed bytes that cannot be sent any more.
    pub(crate) fn abandon_unsent(&self) {
        self.session.sender().abandon();
    }

    fn check_alive(&self) -> Result<(), NetError> {
        Ok(self.session.check_alive()?)
    }

    /// Ends the connection because of `error`. The peer gets the alert if TCP accepts it at once.
    fn fail(&self, fd: &impl AsFd, error: CoreError) -> NetError {
        let error = self.session.fail(error);
        let mut tx = self.session.sender();
        if write::push(fd, &mut tx).is_ok() && tx.wire().is_empty() {
            close::finish_sending(fd);
        }
        error.into()
    }
}

impl HasTurns for Connection {
    fn reader(&self) -> &IoTurn {
        &self.reader
    }

    fn writer(&self) -> &IoTurn {
        &self.writer
    }
}
