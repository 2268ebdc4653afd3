//! The end of a session that goes on elsewhere.

use ktls_core::session::{KeySource as _, KtlsKeys, SettleOutcome, UnreadBytes};
use ktls_core::{CryptoInfo, Direction, Error, TrafficSecret};

use super::{DuplexSession, KtlsKeyState, SendingHalf};

/// The keys of both directions at the moment of the hand-over, with the number of their next
/// records.
#[derive(Clone)]
pub(crate) struct HandOverKeys {
    pub(crate) tx: CryptoInfo,
    pub(crate) rx: CryptoInfo,
    pub(crate) tx_secret: Option<TrafficSecret>,
    pub(crate) rx_secret: Option<TrafficSecret>,
    pub(crate) is_client: bool,
}

/// Who continues a connection that is handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextUser {
    /// A kTLS socket of the engine, which takes the bytes that were read, opened or not.
    Engine,
    /// A kTLS socket of the kernel. All records that were read are opened before, and a record of
    /// which a part was read is completed, because the kernel takes no bytes.
    Kernel,
    /// Somebody else, who gets the keys and the bytes, but not the state of the handshake messages.
    Export,
}

/// What remains of a session that was handed over.
pub(crate) struct HandedOverSession {
    pub(crate) keys: KtlsKeyState,
    pub(crate) unread: UnreadBytes,
    pub(crate) is_closed_by_peer: bool,
}

impl DuplexSession {
    /// Opens all records that were received, without delivering their data.
    ///
    /// # Errors
    /// Returns what the peer did wrong, to be passed to no one else: the next reads return it
    /// behind the data.
    pub(crate) fn settle(&self) -> Result<SettleOutcome, Error> {
        self.receiver().settle(self.now())
    }

    /// Ends this session, so that no record number is used twice, and returns what remains of it.
    ///
    /// `install` gets the keys first. While it runs, both halves are locked. If it fails, nothing
    /// has changed.
    ///
    /// # Errors
    /// - The error that has ended the session, or that the peer has caused and no read has returned
    ///   yet.
    /// - [`Error::NoRoom`] if something waits to be sent.
    /// - [`Error::MessageIncomplete`] if an export would lose a part of a handshake message.
    /// - The errors of `install`.
    pub(crate) fn hand_over<T, E: From<Error>>(
        &self,
        user: NextUser,
        install: impl FnOnce(&HandOverKeys) -> Result<T, E>,
    ) -> Result<(HandedOverSession, T), E> {
        self.check_alive()?;
        let mut tx: SendingHalf<'_> = self.sender();
        let mut rx = self.receiver();
        if !tx.is_settled() {
            let need = tx.wire().len();
            return Err(Error::NoRoom { need, have: 0 }.into());
        }
        rx.check_alive()?;
        if user == NextUser::Export {
            rx.check_message_boundary()?;
        }
        let keys = HandOverKeys {
            tx: tx.live_info(),
            rx: rx.live_info(),
            tx_secret: self.keys.secret(Direction::Tx),
            rx_secret: self.keys.secret(Direction::Rx),
            is_client: self.keys.is_client(),
        };
        let done = install(&keys)?;

        // Nothing below may fail: the keys are in use elsewhere.
        let unread = rx.take_unread();
        let source = Box::new(self.keys.clone());
        let keys = KtlsKeys::take_over(&mut tx, &mut rx, source);
        // Calls that find the session before they find the descriptor closed fail, too.
        let _first = self.failed.set(Error::Dead);
        let is_closed_by_peer = keys.is_closed_by_peer();
        let session = HandedOverSession {
            keys: KtlsKeyState::new(keys, self.start),
            unread,
            is_closed_by_peer,
        };
        Ok((session, done))
    }
}
