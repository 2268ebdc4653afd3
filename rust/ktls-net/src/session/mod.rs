//! Both halves of a TLS session whose handshake is done, and what they do to each other.
//!
//! A [`DuplexSession`] has no socket. Its owner moves the wire bytes: a `Connection` over a
//! descriptor, or the caller of a `TlsObject`. Neither half is locked while the other one is, so
//! that one thread reads while another one writes. The lock order is: one half of the session, then
//! the keys.

mod facts;
mod hand_over;
mod keys;
mod ktls_keys;
mod takeover;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use ktls_aead::PROVIDER;
use ktls_core::session::{
    KeyUpdatePolicy, SessionEvent, SessionRead, SessionReceiver, SessionSender, SessionSettings,
    UnsentLimit,
};
use ktls_core::{Error, FifoPool};

use crate::STATS;
use crate::handshake::EstablishedConnection;
use crate::mutex::lock;
use keys::{SharedKeys, StartingKeys};

pub use facts::{ConnectionCounts, DirectionCounts, HandshakeFacts};
pub(crate) use hand_over::HandOverKeys;
pub use hand_over::NextUser;
pub use ktls_keys::KtlsKeyState;
pub use takeover::TakeoverKeys;

/// Both halves of a TLS session after its handshake, without a socket.
pub(crate) struct DuplexSession {
    tx: Mutex<SessionSender>,
    /// Whether sealed bytes wait in `tx`. It is read without the lock, which a writer may hold for
    /// long.
    has_unsent: AtomicBool,
    rx: Mutex<SessionReceiver>,
    keys: SharedKeys,
    /// The reason why the session cannot continue.
    failed: OnceLock<Error>,
    start: Instant,
    facts: HandshakeFacts,
}

/// The locked sending half. When it is dropped, `has_unsent` is brought up to date.
pub(crate) struct SendingHalf<'a> {
    tx: MutexGuard<'a, SessionSender>,
    has_unsent: &'a AtomicBool,
}

/// The result of one attempt to read.
pub(crate) struct ReadStep {
    /// What was read. Data counts even if acting on `event` fails: the next call fails then.
    pub(crate) read: Result<SessionRead, Error>,
    /// The event at which reading has stopped, to be passed to [`DuplexSession::act_on`].
    pub(crate) event: Option<SessionEvent>,
}

impl DuplexSession {
    /// Starts the session after a handshake of our own. A policy that was chosen during the handshake replaces
    /// `policy`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if the cipher has no implementation.
    pub(crate) fn new(
        mut established: EstablishedConnection,
        policy: &KeyUpdatePolicy,
        unsent: UnsentLimit,
    ) -> Result<Self, Error> {
        let facts = HandshakeFacts::take_from(&mut established);
        let policy = established.policy.as_ref().unwrap_or(policy);
        let settings = settings(policy, unsent);
        let EstablishedConnection {
            tx,
            rx,
            keys,
            received,
            ..
        } = established;
        let keys = StartingKeys {
            tx,
            rx,
            source: keys,
        };
        Self::start(keys, &received, &settings, facts)
    }

    /// Starts a session whose handshake another TLS library has done. `received` are wire bytes
    /// that were read after it.
    ///
    /// # Errors
    /// Returns the errors of [`DuplexSession::new`].
    pub(crate) fn take_over(
        keys: TakeoverKeys,
        server_side: bool,
        received: &[u8],
        policy: &KeyUpdatePolicy,
        unsent: UnsentLimit,
    ) -> Result<Self, Error> {
        let facts = keys.facts();
        let keys = keys.into_starting_keys(server_side)?;
        Self::start(keys, received, &settings(policy, unsent), facts)
    }

    fn start(
        StartingKeys { tx, rx, source }: StartingKeys,
        received: &[u8],
        setting: &SessionSettings,
        facts: HandshakeFacts,
    ) -> Result<Self, Error> {
        let keys = SharedKeys::new(source);
        let tx = SessionSender::new(tx, Box::new(keys.clone()), setting)?;
        let rx = SessionReceiver::new(rx, Box::new(keys.clone()), setting, received)?;
        Ok(Self {
            tx: Mutex::new(tx),
            has_unsent: AtomicBool::new(false),
            rx: Mutex::new(rx),
            keys,
            failed: OnceLock::new(),
            start: Instant::now(),
            facts,
        })
    }

    /// Returns what the handshake agreed on.
    pub(crate) const fn facts(&self) -> &HandshakeFacts {
        &self.facts
    }

    /// Returns what was sent and received so far.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        let sent = {
            let tx = self.sender();
            DirectionCounts {
                generation: tx.generation(),
                records: tx.records(),
                bytes: tx.data(),
            }
        };
        let rx = self.receiver();
        let received = DirectionCounts {
            generation: rx.generation(),
            records: rx.records(),
            bytes: rx.data(),
        };
        ConnectionCounts { sent, received }
    }

    /// Locks the sending half.
    pub(crate) fn sender(&self) -> SendingHalf<'_> {
        SendingHalf {
            tx: lock(&self.tx),
            has_unsent: &self.has_unsent,
        }
    }

    /// Locks the receiving half.
    pub(crate) fn receiver(&self) -> MutexGuard<'_, SessionReceiver> {
        lock(&self.rx)
    }

    /// Returns `true` if [`DuplexSession::sender`] would not have to wait at this moment.
    pub(crate) fn is_sender_free(&self) -> bool {
        self.tx.try_lock().is_ok()
    }

    /// Returns `true` if [`DuplexSession::receiver`] would not have to wait at this moment.
    pub(crate) fn is_receiver_free(&self) -> bool {
        self.rx.try_lock().is_ok()
    }

    /// Returns `true` if sealed bytes wait to be sent. It takes no lock.
    pub(crate) fn has_unsent(&self) -> bool {
        self.has_unsent.load(Ordering::Acquire)
    }

    /// Opens received records into `out`, which is not empty. The receiving half is not locked any
    /// more when it returns, so that the caller can act on the event.
    pub(crate) fn read(&self, out: &mut [u8]) -> ReadStep {
        let mut rx = self.receiver();
        ReadStep {
            read: rx.read(out, self.now()),
            event: rx.poll(),
        }
    }

    /// Has the sending half act on an event of the receiving half. What it seals waits to be sent.
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::take_peer_update`]. They end the session: pass them
    /// to [`DuplexSession::fail`].
    pub(crate) fn act_on(&self, event: SessionEvent) -> Result<(), Error> {
        let mut was_requested = false;
        let acted = {
            let mut tx = self.sender();
            match event {
                SessionEvent::KeyUpdate(reply) => {
                    was_requested = tx.awaits_update();
                    tx.take_peer_update(reply, self.now())
                }
                // Without room for the warning, the peer does not read. No answer is a refusal too.
                SessionEvent::Renegotiation => tx.refuse_renegotiation().or(Ok(())),
            }
        };
        if was_requested {
            self.receiver().excuse_key_update();
        }
        acted
    }

    /// Returns the time since the session began, for the clocks of both halves.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the error that has ended the session, if one has.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.get().copied()
    }

    /// Checks that the session can continue.
    ///
    /// # Errors
    /// Returns the error that has ended it.
    pub(crate) fn check_alive(&self) -> Result<(), Error> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Ends the session because of `error`, and seals its alert. Returns the error of the first
    /// such call, which is the reason for all later failures.
    pub(crate) fn fail(&self, error: Error) -> Error {
        let error = *self.failed.get_or_init(|| error);
        self.sender().fail(error.alert());
        error
    }

    /// Takes memory from `pool` for what will be sent and received.
    pub(crate) fn borrow_memory(&self, pool: &mut FifoPool) {
        lock(&self.tx).borrow_memory(pool);
        self.receiver().borrow_memory(pool);
    }

    /// Returns memory that holds nothing to `pool`.
    pub(crate) fn return_memory(&self, pool: &mut FifoPool) {
        lock(&self.tx).return_memory(pool);
        self.receiver().return_memory(pool);
    }
}

fn settings(policy: &KeyUpdatePolicy, unsent: UnsentLimit) -> SessionSettings {
    SessionSettings {
        provider: &PROVIDER,
        policy: *policy,
        stats: Arc::clone(&STATS),
        unsent,
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
