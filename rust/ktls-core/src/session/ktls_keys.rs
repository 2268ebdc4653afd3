//! The keys of a session whose records a kTLS socket seals and opens.
//!
//! A [`KtlsKeys`] holds the secrets and the rules of the RFC, the socket has the records. The
//! driver reports what it sends and receives, passes every record that is not application data to
//! [`KtlsKeys::take_record`], and installs the keys that it gets from here with `setsockopt`.
//!
//! A key counts as installed only when the driver reports it. So a driver that is interrupted
//! between two calls of the system continues where it was, and no secret is skipped.

mod receive;
mod send;

use std::time::Duration;

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::key::TrafficSecret;
use crate::session::handshake::HandshakeAssembler;
use crate::session::key_update_storm::StormGuard;
use crate::session::{KeySource, SessionReceiver, SessionSender};
use crate::wire::TLS13;
use receive::KtlsReceiveKeys;

pub(super) use send::KtlsSendKeys;
pub use send::KtlsSendLimits;

/// The secrets of a session whose records a kTLS socket seals and opens.
pub struct KtlsKeys {
    source: Box<dyn KeySource>,
    version: u16,
    tx: KtlsSendKeys,
    rx: KtlsReceiveKeys,
}

/// The state of a sending half that goes on elsewhere.
pub(super) struct SenderHandOver {
    pub(super) version: u16,
    pub(super) keys: KtlsSendKeys,
}

/// The state of a receiving half that goes on elsewhere.
pub(super) struct ReceiverHandOver {
    pub(super) messages: HandshakeAssembler,
    pub(super) storm: StormGuard,
    pub(super) generation: u64,
    pub(super) is_closed: bool,
}

impl KtlsKeys {
    /// Takes over both halves of a session. From here on they neither seal nor open records.
    ///
    /// `source` is the source of their next keys. The keys in use are [`SessionSender::live_info`]
    /// and [`SessionReceiver::live_info`], which have to be read before.
    pub fn take_over(
        tx: &mut SessionSender,
        rx: &mut SessionReceiver,
        source: Box<dyn KeySource>,
    ) -> Self {
        let tx = tx.hand_over();
        Self {
            source,
            version: tx.version,
            tx: tx.keys,
            rx: KtlsReceiveKeys::new(rx.hand_over()),
        }
    }

    /// Returns the protocol version: 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Returns the secret of the newest key of a direction, if the source has secrets.
    #[must_use]
    pub fn secret(&self, direction: Direction) -> Option<TrafficSecret> {
        self.source.secret(direction)
    }

    /// Returns the number of key updates in a direction, without one that is under way.
    #[must_use]
    pub const fn generation(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Tx => self.tx.generation,
            Direction::Rx => self.rx.generation,
        }
    }

    /// Notes `len` bytes of application data that were received at `now`.
    ///
    /// # Errors
    /// - [`Error::Interleaved`] if a handshake message of the peer is not complete (RFC 8446 §5.1).
    /// - The error that has ended the session before.
    pub fn note_received(&mut self, len: usize, now: Duration) -> Result<(), Error> {
        self.rx.note_data(len, now)
    }

    /// Acts on a whole record that is not application data.
    ///
    /// Afterwards [`KtlsKeys::next_receive_key`], [`KtlsKeys::owes_update`],
    /// [`KtlsKeys::take_renegotiation`] and [`KtlsKeys::is_closed_by_peer`] show what is to be
    /// done.
    ///
    /// # Errors
    /// Returns what the peer did wrong. The session has ended: every further call returns the same.
    pub fn take_record(
        &mut self,
        record_type: u8,
        plaintext: &[u8],
        now: Duration,
    ) -> Result<(), Error> {
        let source = &mut *self.source;
        let update = self
            .rx
            .take_record(self.version, source, (record_type, plaintext), now)?;
        if update.is_some_and(|reply| self.tx.take_peer_update(reply)) {
            self.rx.excuse_key_update();
        }
        Ok(())
    }

    /// Ends the session because of `error`. Returns the error of the first such call.
    pub fn fail(&mut self, error: Error) -> Error {
        self.tx.end_failed();
        self.rx.fail(error)
    }

    /// Checks that the session has not failed.
    ///
    /// # Errors
    /// Returns the error that has ended it.
    pub fn check_alive(&self) -> Result<(), Error> {
        self.rx.check_alive()
    }

    fn is_tls13(&self) -> bool {
        self.version == TLS13
    }

    /// Moves `direction` on to its next key.
    fn next_key(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        self.source.next(direction)
    }
}
