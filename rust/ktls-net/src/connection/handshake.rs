//! A connection from its first byte on: the handshake over a socket, and what comes of it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock};

use ktls_core::Fifo;
use ktls_core::session::{KeyUpdatePolicy, UnsentLimit};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Connection, closing_bell};
use crate::background_sender::{EndSignal, deliver_and_close};
use crate::bell::{ReadinessBell, ReadinessWatchers};
use crate::descriptor::{IoTurn, SharedFd};
use crate::fd_socket::{SocketReadiness, poll_now};
use crate::handshake::{ConfigAnswer, Handshake, HandshakeError, ServerNameRequest};
use crate::mutex::lock;
use crate::session::DuplexSession;
use crate::wait::{read_now, write_now};
use crate::{NetError, Wait};

/// A connection whose handshake may not be complete.
///
/// If it is closed or dropped during the handshake, the peer gets everything that was to be sent
/// until then, including an alert.
pub struct StartingConnection {
    /// The connection, once the handshake is complete.
    established: OnceLock<Arc<Connection>>,
    /// The descriptor; closed once the connection has it.
    fd: SharedFd,
    /// The right to continue the handshake, which is held while waiting for the peer.
    turn: IoTurn,
    /// `None` once the handshake has become a connection. Not locked while waiting for the peer.
    handshake: Mutex<Option<Box<Handshake>>>,
    policy: KeyUpdatePolicy,
    watchers: Arc<ReadinessWatchers>,
}

/// What the handshake needs next.
#[derive(Clone, Debug, Eq, PartialEq)]
enum HandshakeNeed {
    /// Nothing: it is complete.
    Nothing,
    /// One of these events at the descriptor.
    Event(PollFlags),
    /// The choice of a server's configuration.
    Config(ServerNameRequest),
}

/// The size of the read buffer, in bytes. The flight of a server with a usual chain fits.
const READ: usize = 16 << 10;

impl StartingConnection {
    /// Makes a handshake over `fd`, which it owns. Sends nothing yet.
    #[must_use]
    pub fn new(fd: OwnedFd, handshake: Handshake, policy: &KeyUpdatePolicy) -> Self {
        Self {
            established: OnceLock::new(),
            fd: SharedFd::new(fd),
            turn: IoTurn::default(),
            handshake: Mutex::new(Some(Box::new(handshake))),
            policy: *policy,
            watchers: Arc::default(),
        }
    }

    /// Returns the connection, if the handshake is complete.
    #[must_use]
    pub fn connection(&self) -> Option<&Arc<Connection>> {
        self.established.get()
    }

    /// Continues the handshake until it is complete, and returns the connection.
    ///
    /// `choose` answers a server's request to choose a configuration. It is called without a lock, but other
    /// calls that need the handshake wait for it.
    ///
    /// # Errors
    /// - [`NetError::Handshake`], again at each later call. The alert was sent as far as TCP
    ///   accepted it.
    /// - The errors of the system, and EBADF if it is closed.
    /// - The errors of waiting, after which it can be called again.
    pub fn do_handshake(
        &self,
        patience: Wait,
        mut choose: impl FnMut(ServerNameRequest) -> ConfigAnswer,
    ) -> Result<&Arc<Connection>, NetError> {
        if let Some(connection) = self.established.get() {
            return Ok(connection);
        }
        let fd = match self.fd.open() {
            Ok(fd) => fd,
            // Another thread may have completed it in between.
            Err(error) => return self.established.get().ok_or(error),
        };
        let _ring = self.watchers.ring_later();
        let _turn = self.turn.take(patience)?;
        loop {
            match self.advance(&fd)? {
                HandshakeNeed::Nothing => {
                    return self.established.get().ok_or(NetError::Io(Errno::BADF));
                }
                HandshakeNeed::Config(request) => self.answer(choose(request)),
                HandshakeNeed::Event(events) => {
                    closing_bell::wait(fd.as_fd(), events, || self.fd.is_closed(), patience)?;
                }
            }
        }
    }

    /// Returns `true` if the handshake waits for TCP to accept bytes, not for the peer.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        let handshake = lock(&self.handshake);
        handshake
            .as_ref()
            .is_some_and(|handshake| !handshake.outgoing().is_empty())
    }

    /// Returns how many bytes TCP has not accepted yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        match self.established.get() {
            Some(connection) => connection.unsent(),
            None => lock(&self.handshake)
                .as_ref()
                .map_or(0, |handshake| handshake.outgoing().len()),
        }
    }

    /// Sends and receives, and makes the connection when the handshake is complete. Does not wait.
    fn advance(&self, fd: &OwnedFd) -> Result<HandshakeNeed, NetError> {
        let mut slot = lock(&self.handshake);
        let mut buffer = [0; READ];
        loop {
            let Some(handshake) = slot.as_mut() else {
                return Ok(HandshakeNeed::Nothing);
            };
            // After a close the unsent bytes belong to the background sender.
            self.fd.number()?;
            let flushed = send(fd, handshake);
            // The reason of a failure says more than an error of the socket.
            handshake.check()?;
            if let Some(need) = flushed? {
                return Ok(need);
            }
            if let Some(request) = handshake.take_server_name_request() {
                return Ok(HandshakeNeed::Config(request));
            }
            if handshake.is_complete() {
                let complete = slot.take();
                return self.establish(complete).map(|()| HandshakeNeed::Nothing);
            }
            match read_now(fd.as_fd(), &mut buffer) {
                Ok(0) => return Err(HandshakeError::closed().into()),
                // An error is returned after its alert was sent.
                Ok(count) => drop(handshake.receive(&buffer[..count])),
                Err(NetError::Io(Errno::AGAIN)) => return Ok(HandshakeNeed::Event(PollFlags::IN)),
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&self, answer: ConfigAnswer) {
        if let Some(handshake) = lock(&self.handshake).as_mut() {
            // The next step sends the alert, and returns the error.
            let _progress = handshake.answer(answer);
        }
    }

    fn establish(&self, complete: Option<Box<Handshake>>) -> Result<(), NetError> {
        let handshake = complete.ok_or(NetError::Io(Errno::BADF))?;
        let session = DuplexSession::new(handshake.finish()?, &self.policy, UnsentLimit::BOUNDED)?;
        let fd = self.fd.take()?;
        let watchers = Arc::clone(&self.watchers);
        let connection = Connection::over(fd, session, watchers);
        // The caller has the lock of the handshake, so nobody else sets it.
        let _was_empty = self.established.set(Arc::new(connection));
        Ok(())
    }

    /// Closes the connection as [`Connection::close`] does. During the handshake the peer gets what
    /// was to be sent until then, and FIN.
    pub fn close(&self) {
        self.end(Connection::close);
    }

    /// Closes the connection as [`Connection::close_incomplete`] does. See
    /// [`StartingConnection::close`].
    pub fn close_incomplete(&self) {
        self.end(Connection::close_incomplete);
    }

    fn end(&self, close: fn(&Connection)) {
        if self.established.get().is_none() {
            self.end_handshake(|_has_unsent| true);
        }
        // Another thread may have completed it in between.
        if let Some(connection) = self.established.get() {
            close(connection);
        }
    }

    /// Ends a handshake that is not complete. If another process of a fork might continue it,
    /// `left` decides whether this one has to end the stream.
    fn end_handshake(&self, left: impl FnOnce(bool) -> bool) {
        if self.fd.owner().is_stuck() {
            // The lock may stay locked forever in this child of a fork.
            drop(self.fd.close());
            return;
        }
        let handshake = lock(&self.handshake);
        let Some(fd) = self.fd.close() else {
            return;
        };
        let unsent = handshake
            .as_ref()
            .map_or(&[][..], |handshake| handshake.outgoing());
        if Arc::strong_count(&fd) > 1 {
            closing_bell::ring();
        }
        if self.fd.owner().has_to_finish(|| left(!unsent.is_empty())) {
            deliver_and_close(fd, Fifo::from(unsent), EndSignal::Fin);
        }
    }

    /// Checks that this process may use the connection at all.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that can never use the connection.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        match self.established.get() {
            Some(connection) => connection.check_reachable(),
            None => self.fd.owner().check_reachable(),
        }
    }

    /// Returns `true` if it is open, and cannot have been claimed by the other process of a fork.
    #[must_use]
    pub fn is_left_open(&self) -> bool {
        match self.established.get() {
            Some(connection) => connection.is_left_open(),
            None => self.fd.is_left_open(),
        }
    }

    /// Returns the descriptor for calls that ask TCP only.
    ///
    /// # Errors
    /// EBADF if it is closed.
    pub fn descriptor(&self) -> Result<Arc<OwnedFd>, NetError> {
        match self.established.get() {
            Some(connection) => connection.descriptor(),
            None => self.fd.number(),
        }
    }

    /// Returns which of `events` are ready now, and which to wait for; see
    /// [`Connection::readiness`]. During the handshake they are those of the descriptor.
    ///
    /// # Errors
    /// EBADF if it is closed.
    pub fn readiness(&self, events: u16) -> Result<SocketReadiness, NetError> {
        if let Some(connection) = self.established.get() {
            return connection.readiness(events);
        }
        let events = PollFlags::from_bits_retain(events);
        let fd = self.fd.open()?;
        let known = events | PollFlags::ERR | PollFlags::HUP;
        Ok(SocketReadiness {
            now: (poll_now(&fd, events) & known).bits(),
            watch: events.bits(),
        })
    }

    /// Registers `bell`; see [`Connection::watch`].
    pub fn watch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.add(bell);
    }

    /// Removes `bell`, so that it no longer rings.
    pub fn unwatch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.remove(bell);
    }
}

impl From<Connection> for StartingConnection {
    /// Wraps a connection whose handshake is complete.
    fn from(connection: Connection) -> Self {
        Self {
            fd: SharedFd::closed(),
            turn: IoTurn::default(),
            handshake: Mutex::default(),
            policy: KeyUpdatePolicy::default(),
            watchers: Arc::clone(connection.watchers()),
            established: Arc::new(connection).into(),
        }
    }
}

impl Drop for StartingConnection {
    fn drop(&mut self) {
        if self.established.get().is_none() {
            self.end_handshake(|has_unsent| has_unsent);
        }
    }
}

/// Sends what TCP accepts. Returns the event to wait for if something is left.
fn send(fd: &OwnedFd, handshake: &mut Handshake) -> Result<Option<HandshakeNeed>, NetError> {
    while !handshake.outgoing().is_empty() {
        match write_now(fd.as_fd(), handshake.outgoing()) {
            Ok(count) => handshake.sent(count),
            Err(NetError::Io(Errno::AGAIN)) => {
                return Ok(Some(HandshakeNeed::Event(PollFlags::OUT)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
