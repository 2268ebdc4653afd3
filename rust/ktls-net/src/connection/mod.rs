//! The RFC face over a socket: TLS connections whose handshake is done.
//!
//! The lock order is: a turn, then one half of the session, then the keys. No half is locked while
//! a call waits for the peer. So a reader can answer a KeyUpdate at any time, and a reader that
//! waits stops no writer.

mod close;
mod closing_bell;
mod handshake;
mod poll;
mod read;
mod stalled;
mod unsent;
mod write;

use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use ktls_aead::PROVIDER;
use ktls_core::session::{
    KeySource, KeyUpdatePolicy, SecretChain, SessionReceiver, SessionSender, SessionSettings,
};
use ktls_core::wire::TLS13;
use ktls_core::{Alert, CryptoInfo, Direction, Error as CoreError, FifoPool, TrafficSecret};
use rustix::event::PollFlags;

use crate::bell::ReadinessWatchers;
use crate::descriptor::{HasTurns, IoTurn, OpenFd, SharedFd};
use crate::handshake::EstablishedConnection;
use crate::mutex::lock;
use crate::wait::ProgressDeadline;
use crate::{NetError, STATS, Wait};

pub use handshake::HandshakingSocket;

/// A TLS connection over a stream socket.
pub struct Connection {
    fd: SharedFd,
    tx: Mutex<SessionSender>,
    /// Sealed bytes wait in `tx`. It is read without the lock, which a writer may hold for long.
    has_unsent: AtomicBool,
    /// The process whose background sender sends for this connection: its birth plus 1. 0 if there
    /// is none.
    in_background: AtomicU64,
    rx: Mutex<SessionReceiver>,
    writer: IoTurn,
    reader: IoTurn,
    /// Why the connection cannot go on.
    failed: OnceLock<CoreError>,
    start: Instant,
    facts: HandshakeFacts,
    watchers: ReadinessWatchers,
}

/// The locked sending half. When it is dropped, `has_unsent` is brought up to date.
struct SendingHalf<'a> {
    tx: MutexGuard<'a, SessionSender>,
    has_unsent: &'a AtomicBool,
}

/// The results of a handshake.
#[derive(Clone, Debug, Default)]
pub struct HandshakeFacts {
    /// The protocol version: 0x0303 or 0x0304.
    pub version: u16,
    /// The name of the cipher suite.
    pub cipher: String,
    /// The application protocol, if one was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The server name that the client sent, if any.
    pub server_name: Option<String>,
    /// The certificate chain of the peer as DER, leaf first; empty without certificates.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

/// The counters of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionCounts {
    /// The counters of the sending direction.
    pub sent: DirectionCounts,
    /// The counters of the receiving direction.
    pub received: DirectionCounts,
}

/// The counters of one direction.
#[derive(Clone, Copy, Debug)]
pub struct DirectionCounts {
    /// The number of key updates.
    pub generation: u64,
    /// The number of records, including those of KeyUpdates and alerts.
    pub records: u64,
    /// The number of bytes of application data.
    pub bytes: u64,
}

impl Connection {
    /// Takes over a socket on which a handshake is complete.
    ///
    /// # Errors
    /// `Error::CipherMissing` if the cipher has no implementation.
    pub fn new(
        fd: OwnedFd,
        established: EstablishedConnection,
        policy: &KeyUpdatePolicy,
    ) -> Result<Self, NetError> {
        let EstablishedConnection {
            tx,
            rx,
            keys,
            received,
            ..
        } = established;
        let facts = HandshakeFacts {
            version: established.version,
            cipher: established.suite_name,
            alpn: established.alpn,
            server_name: established.server_name,
            peer_certificates: established.peer_certificates,
            resumed: established.resumed,
        };
        Self::build(fd, (tx, rx), keys, &received, policy, facts)
    }

    /// Takes over a socket on which another TLS library has completed a TLS 1.3 handshake.
    ///
    /// # Errors
    /// Returns the errors of [`Connection::new`].
    pub fn from_secrets(
        fd: OwnedFd,
        server_side: bool,
        tx: TrafficSecret,
        rx: TrafficSecret,
        received: &[u8],
        policy: &KeyUpdatePolicy,
    ) -> Result<Self, NetError> {
        let infos = (tx.crypto_info(&PROVIDER, 0)?, rx.crypto_info(&PROVIDER, 0)?);
        let cipher = tx.suite().name.to_owned();
        let facts = HandshakeFacts {
            version: TLS13,
            cipher,
            ..HandshakeFacts::default()
        };
        let keys = Box::new(SecretChain::new(tx, rx, server_side, &PROVIDER));
        Self::build(fd, infos, keys, received, policy, facts)
    }

    fn build(
        fd: OwnedFd,
        (tx, rx): (CryptoInfo, CryptoInfo),
        keys: Box<dyn KeySource>,
        received: &[u8],
        policy: &KeyUpdatePolicy,
        facts: HandshakeFacts,
    ) -> Result<Self, NetError> {
        let keys = SharedKeys(Arc::new(Mutex::new(keys)));
        let setting = SessionSettings {
            provider: &PROVIDER,
            policy: *policy,
            stats: Arc::clone(&STATS),
        };
        let tx = SessionSender::new(tx, Box::new(keys.clone()), &setting)?;
        let rx = SessionReceiver::new(rx, Box::new(keys), &setting, received)?;
        Ok(Self {
            fd: SharedFd::new(fd),
            tx: Mutex::new(tx),
            has_unsent: AtomicBool::new(false),
            in_background: AtomicU64::new(0),
            rx: Mutex::new(rx),
            writer: IoTurn::default(),
            reader: IoTurn::default(),
            failed: OnceLock::new(),
            start: Instant::now(),
            facts,
            watchers: ReadinessWatchers::default(),
        })
    }

    /// Returns the results of the handshake.
    #[must_use]
    pub const fn facts(&self) -> &HandshakeFacts {
        &self.facts
    }

    /// Returns what was sent and received so far.
    #[must_use]
    pub fn counts(&self) -> ConnectionCounts {
        let sent = {
            let tx = self.sending_half();
            DirectionCounts {
                generation: tx.generation(),
                records: tx.records(),
                bytes: tx.data(),
            }
        };
        let rx = lock(&self.rx);
        let received = DirectionCounts {
            generation: rx.generation(),
            records: rx.records(),
            bytes: rx.data(),
        };
        ConnectionCounts { sent, received }
    }

    /// Returns how many bytes can be processed before more is read from the socket: plaintext and
    /// whole sealed records.
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.rx).pending()
    }

    /// Returns how many sealed bytes TCP has not accepted yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.sending_half().wire().len()
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
        lock(&self.tx).borrow_memory(pool);
        lock(&self.rx).borrow_memory(pool);
    }

    /// Returns memory that holds nothing to `pool`.
    pub(crate) fn return_memory(&self, pool: &mut FifoPool) {
        lock(&self.tx).return_memory(pool);
        lock(&self.rx).return_memory(pool);
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
        let mut tx = self.sending_half();
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

    fn sending_half(&self) -> SendingHalf<'_> {
        SendingHalf {
            tx: lock(&self.tx),
            has_unsent: &self.has_unsent,
        }
    }

    /// Drops sealed bytes that cannot be sent any more.
    pub(crate) fn abandon_unsent(&self) {
        self.sending_half().abandon();
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn check_alive(&self) -> Result<(), NetError> {
        self.failed.get().map_or(Ok(()), |&error| Err(error.into()))
    }

    /// Ends the connection because of `error`. The peer gets the alert if TCP accepts it at once.
    fn fail(&self, fd: &impl AsFd, error: CoreError) -> NetError {
        let error = *self.failed.get_or_init(|| error);
        let mut tx = self.sending_half();
        tx.fail(error.alert());
        if write::push(fd, &mut tx).is_ok() && tx.wire().is_empty() {
            close::finish_sending(fd);
        }
        error.into()
    }
}

impl Deref for SendingHalf<'_> {
    type Target = SessionSender;

    fn deref(&self) -> &SessionSender {
        &self.tx
    }
}

impl DerefMut for SendingHalf<'_> {
    fn deref_mut(&mut self) -> &mut SessionSender {
        &mut self.tx
    }
}

impl Drop for SendingHalf<'_> {
    fn drop(&mut self) {
        let unsent = !self.tx.wire().is_empty();
        self.has_unsent.store(unsent, Ordering::Release);
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

/// The source of keys that both halves share.
#[derive(Clone)]
struct SharedKeys(Arc<Mutex<Box<dyn KeySource>>>);

impl KeySource for SharedKeys {
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, CoreError> {
        lock(&self.0).next(direction)
    }

    fn is_client(&self) -> bool {
        lock(&self.0).is_client()
    }

    fn ticket(&mut self, body: &[u8]) -> Result<(), CoreError> {
        lock(&self.0).ticket(body)
    }
}
