//! TLS connections without a socket: the caller moves the wire bytes.
//!
//! The phase of the handshake has one lock. After it, the two halves of the session have a lock
//! each, so that one thread reads while another one writes. What a call seals waits in memory
//! without a limit.

mod handshake;
mod parts;
mod pool;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ktls_core::Error;
use ktls_core::rekey::Reply;
use ktls_core::session::{KeyUpdatePolicy, SessionRead, UnsentLimit};
use rustix::io::Errno;

use crate::NetError;
use crate::fork::Ownership;
use crate::handshake::{Handshake, HandshakeError};
use crate::session::{ConnectionCounts, DuplexSession, HandshakeFacts, ReadStep, TakeoverKeys};
use handshake::{HandshakePhase, ObjectPhase};
use pool::with_pool;

/// A TLS connection without a socket.
pub struct TlsObject {
    /// Ensures that only one of two processes goes on with the keys: both would use the same
    /// nonces.
    owner: Arc<Ownership>,
    /// The session, once the handshake is complete.
    session: OnceLock<DuplexSession>,
    handshake: Mutex<HandshakePhase>,
    policy: KeyUpdatePolicy,
    /// Whether the transport has ended.
    is_cut: AtomicBool,
    /// Whether the caller was told that the transport ended too early, or that the handshake
    /// failed.
    is_end_delivered: AtomicBool,
}

/// The result of one [`TlsObject::read`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectRead {
    /// This many bytes of application data are at the start of the buffer.
    Data(NonZeroUsize),
    /// The peer sent close_notify: no more data will come.
    End,
    /// More bytes of the peer are needed.
    NotYet,
}

impl TlsObject {
    /// Starts with a handshake of our own.
    #[must_use]
    pub fn new(handshake: Handshake, policy: &KeyUpdatePolicy) -> Self {
        Self::over(OnceLock::new(), HandshakePhase::running(handshake), policy)
    }

    /// Continues a connection whose handshake another TLS library has done. `received` are wire
    /// bytes that were read after it.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if the cipher has no implementation.
    pub fn from_secrets(
        keys: TakeoverKeys,
        server_side: bool,
        received: &[u8],
        policy: &KeyUpdatePolicy,
    ) -> Result<Self, NetError> {
        let limit = UnsentLimit::NONE;
        let session = DuplexSession::take_over(keys, server_side, received, policy, limit)?;
        Ok(Self::over(session.into(), HandshakePhase::over(), policy))
    }

    fn over(
        session: OnceLock<DuplexSession>,
        handshake: HandshakePhase,
        policy: &KeyUpdatePolicy,
    ) -> Self {
        Self {
            owner: Ownership::new(),
            session,
            handshake: Mutex::new(handshake),
            policy: *policy,
            is_cut: AtomicBool::new(false),
            is_end_delivered: AtomicBool::new(false),
        }
    }

    /// Returns what the handshake agreed on, once it is complete.
    pub fn facts(&self) -> Option<&HandshakeFacts> {
        Some(self.session.get()?.facts())
    }

    /// Returns what was sent and received after the handshake; `None` before its end.
    pub fn counts(&self) -> Option<ConnectionCounts> {
        Some(self.session.get()?.counts())
    }

    /// Returns `true` if [`TlsObject::receive`] or [`TlsObject::read`] would not have to wait for
    /// another thread, or for a step of a handshake.
    pub fn reads_at_once(&self) -> bool {
        self.session
            .get()
            .is_some_and(DuplexSession::is_receiver_free)
    }

    /// Returns `true` if [`TlsObject::write`] or [`TlsObject::take_unsent`] would not have to wait
    /// for another thread, or for a step of a handshake.
    pub fn writes_at_once(&self) -> bool {
        self.session
            .get()
            .is_some_and(DuplexSession::is_sender_free)
    }

    /// Checks, before a caller waits for anything else, that this process may use the object.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that can never use it.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.owner.check_reachable()
    }

    /// Takes wire bytes of the peer. Continues the handshake, whose errors are returned by
    /// [`TlsObject::do_handshake`] and later calls.
    ///
    /// # Errors
    /// - EBUSY if another process of a fork uses the object.
    /// - [`Error::NoMemory`] if there is no memory for a copy.
    pub fn receive(&self, bytes: &[u8]) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        match self.phase() {
            ObjectPhase::Session(session) => receive_into(session, bytes),
            ObjectPhase::Handshake(mut handshake) => {
                self.continue_handshake(&mut handshake, bytes);
                Ok(())
            }
        }
    }

    /// Notes that the transport has ended: no more bytes of the peer will come. Returns `false` if
    /// that was noted before.
    pub fn receive_eof(&self) -> bool {
        !self.is_cut.swap(true, Ordering::AcqRel)
    }

    /// Returns `true` once [`TlsObject::receive_eof`] was called.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Returns `true` once the handshake is complete.
    pub fn is_established(&self) -> bool {
        self.session.get().is_some()
    }

    /// Checks that the handshake is complete.
    ///
    /// # Errors
    /// - EAGAIN if bytes of the peer are missing.
    /// - [`NetError::Handshake`] if it has failed; the alert waits to be sent.
    pub fn do_handshake(&self) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        self.established().map(drop)
    }

    fn established(&self) -> Result<&DuplexSession, NetError> {
        let handshake = match self.phase() {
            ObjectPhase::Session(session) => return Ok(session),
            ObjectPhase::Handshake(handshake) => handshake,
        };
        let failure = handshake.failure().or_else(|| {
            self.is_cut()
                .then(|| NetError::Handshake(HandshakeError::closed()))
        });
        Err(match failure {
            Some(failure) => {
                self.is_end_delivered.store(true, Ordering::Release);
                failure
            }
            None => NetError::Io(Errno::AGAIN),
        })
    }

    /// Returns how many bytes [`TlsObject::take_unsent`] has.
    pub fn unsent(&self) -> usize {
        match self.phase() {
            ObjectPhase::Session(session) => session.sender().wire().len(),
            ObjectPhase::Handshake(handshake) => handshake.outgoing().len(),
        }
    }

    /// Moves bytes to be sent to the peer into `out`, and returns their number.
    ///
    /// # Errors
    /// EBUSY if another process of a fork uses the object.
    pub fn take_unsent(&self, out: &mut [u8]) -> Result<usize, NetError> {
        let _call = self.owner.enter()?;
        Ok(match self.phase() {
            ObjectPhase::Session(session) => take_sealed(session, out),
            ObjectPhase::Handshake(mut handshake) => handshake.take_outgoing(out),
        })
    }

    /// Returns how many bytes of the peer complete the record, or the header, that is read next; 0
    /// if there is something to read.
    pub fn wants(&self) -> usize {
        match self.phase() {
            ObjectPhase::Session(session) => session.receiver().wants(),
            ObjectPhase::Handshake(handshake) => handshake.wants(),
        }
    }

    /// Returns the size of a buffer for everything that [`TlsObject::read`] can read now: at most
    /// one byte more than `most`.
    pub fn readable(&self, most: usize) -> usize {
        self.session
            .get()
            .map_or(0, |session| session.receiver().readable(most))
    }

    /// Reads up to `most` bytes of application data into `out`, which is not empty. It may be
    /// longer than `most`, as [`TlsObject::readable`] says, so that records are opened in place.
    ///
    /// # Errors
    /// - The errors of [`TlsObject::do_handshake`], except for EAGAIN.
    /// - What the peer did wrong, again at each later call; the alert waits to be sent.
    /// - [`Error::Truncated`] if the transport has ended without close_notify.
    pub fn read(&self, most: usize, out: &mut [u8]) -> Result<ObjectRead, NetError> {
        let _call = self.owner.enter()?;
        let session = match self.established() {
            Err(NetError::Io(Errno::AGAIN)) => return Ok(ObjectRead::NotYet),
            session => session?,
        };
        session.check_alive()?;
        // Each turn consumes a record, so the loop ends.
        loop {
            let ReadStep { read, event } = read_step(session, most, out);
            let acted = event.map_or(Ok(()), |event| session.act_on(event));
            let acted = acted.map_err(|error| session.fail(error));
            match read.map_err(|error| session.fail(error))? {
                // The data counts: if acting on the event failed, the next call fails.
                SessionRead::Data(count) => return Ok(ObjectRead::Data(count)),
                SessionRead::EndOfStream => return Ok(ObjectRead::End),
                SessionRead::EventFirst => acted?,
                SessionRead::NeedMore => return self.read_nothing(),
            }
        }
    }

    fn read_nothing(&self) -> Result<ObjectRead, NetError> {
        if !self.is_cut() {
            return Ok(ObjectRead::NotYet);
        }
        self.is_end_delivered.store(true, Ordering::Release);
        Err(Error::Truncated.into())
    }

    /// Seals all of `data`.
    ///
    /// # Errors
    /// - The errors of [`TlsObject::do_handshake`].
    /// - The error that has ended the connection.
    /// - The errors of [`ktls_core::session::SessionSender::write`]. The front of `data` may be
    ///   sealed.
    pub fn write(&self, data: &[u8]) -> Result<(), NetError> {
        self.write_parts(&[data])
    }

    /// Seals all parts as one stream of bytes: short parts share records.
    ///
    /// # Errors
    /// Returns the errors of [`TlsObject::write`].
    pub fn write_parts(&self, parts: &[&[u8]]) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        let session = self.alive()?;
        let now = session.now();
        let mut tx = session.sender();
        with_pool(|pool| tx.borrow_memory(pool));
        parts::for_each_piece(parts, |piece| {
            let mut rest = piece;
            // A call ends early only before an error, which the next one returns.
            while !rest.is_empty() {
                let taken = tx.write(rest, now)?;
                rest = rest.get(taken..).unwrap_or_default();
            }
            Ok(())
        })
    }

    /// Seals a KeyUpdate and puts our next key in use.
    ///
    /// # Errors
    /// - The errors of [`TlsObject::do_handshake`], and the error that has ended the connection.
    /// - The errors of [`ktls_core::session::SessionSender::key_update`].
    pub fn key_update(&self, reply: Reply) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        let session = self.alive()?;
        Ok(session.sender().key_update(reply, session.now())?)
    }

    /// Seals close_notify: no more data will be sent. A second call does nothing.
    ///
    /// # Errors
    /// - The errors of [`TlsObject::do_handshake`], and the error that has ended the connection.
    pub fn close_notify(&self) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        Ok(self.alive()?.sender().close_notify()?)
    }

    fn alive(&self) -> Result<&DuplexSession, NetError> {
        let session = self.established()?;
        session.check_alive()?;
        Ok(session)
    }

    /// Returns how many bytes can be processed before more are received: plaintext and whole sealed
    /// records. The end of the stream or an error counts until a call has returned it.
    pub fn pending(&self) -> usize {
        let session = match self.phase() {
            ObjectPhase::Session(session) => session,
            ObjectPhase::Handshake(handshake) => {
                let failed = self.is_cut() || handshake.failure().is_some();
                return usize::from(failed && !self.is_end_delivered.load(Ordering::Acquire));
            }
        };
        let (pending, is_closed) = {
            let rx = session.receiver();
            (rx.pending(), rx.check_end().is_ok())
        };
        let truncated = self.is_cut() && !is_closed && session.failure().is_none();
        let hidden = truncated && !self.is_end_delivered.load(Ordering::Acquire);
        pending + usize::from(hidden)
    }

    /// Returns `true` if the peer has sent close_notify and all data in front of it was read.
    pub fn is_closed_by_peer(&self) -> bool {
        self.session
            .get()
            .is_some_and(|session| session.receiver().is_at_end())
    }

    /// Takes the bytes behind the peer's close_notify, which are not TLS.
    ///
    /// # Errors
    /// EBUSY if another process of a fork uses the object.
    pub fn take_leftover(&self) -> Result<Vec<u8>, NetError> {
        let _call = self.owner.enter()?;
        let leftover = |session: &DuplexSession| session.receiver().take_leftover();
        Ok(self.session.get().map(leftover).unwrap_or_default())
    }
}

fn receive_into(session: &DuplexSession, bytes: &[u8]) -> Result<(), NetError> {
    let mut rx = session.receiver();
    with_pool(|pool| rx.borrow_memory(pool));
    Ok(rx.push(bytes)?)
}

fn read_step(session: &DuplexSession, most: usize, out: &mut [u8]) -> ReadStep {
    let mut rx = session.receiver();
    let read = rx.read_up_to(most, out, session.now());
    with_pool(|pool| rx.return_memory(pool));
    ReadStep {
        read,
        event: rx.poll(),
    }
}

fn take_sealed(session: &DuplexSession, out: &mut [u8]) -> usize {
    let mut tx = session.sender();
    let count = tx.wire().len().min(out.len());
    out[..count].copy_from_slice(&tx.wire()[..count]);
    tx.wrote(count);
    // An answer to the peer may have waited for room. Its error is the next write's.
    let _shows_again = tx.answer_peer_update();
    with_pool(|pool| tx.return_memory(pool));
    count
}
