//! The keys of a session whose handshake another TLS library has done.

use ktls_aead::PROVIDER;
use ktls_core::session::{FixedKeys, SecretChain};
use ktls_core::wire::{TLS12, TLS13};
use ktls_core::{CryptoInfo, Error, TrafficSecret};

use super::HandshakeFacts;
use super::keys::StartingKeys;

/// The keys in use after a handshake of another TLS library.
pub enum TakeoverKeys {
    /// The secrets of TLS 1.3, each with the number of the next record under it.
    Tls13 {
        /// Our direction.
        tx: (TrafficSecret, u64),
        /// The peer's direction.
        rx: (TrafficSecret, u64),
    },
    /// The keys of TLS 1.2, which never change.
    Tls12 {
        /// Our direction.
        tx: CryptoInfo,
        /// The peer's direction.
        rx: CryptoInfo,
    },
}

impl TakeoverKeys {
    /// Checks that the two directions do not share a key, now or after a few key updates.
    ///
    /// # Errors
    /// Returns [`Error::OneSecret`] if they do.
    pub fn check_apart(&self) -> Result<(), Error> {
        match self {
            Self::Tls13 { tx, rx } => tx.0.check_apart(&rx.0, &PROVIDER),
            Self::Tls12 { tx, rx } => tx.check_apart(rx),
        }
    }

    /// Returns what is known about the handshake.
    pub(super) fn facts(&self) -> HandshakeFacts {
        let (version, cipher) = match self {
            Self::Tls13 { tx, .. } => (TLS13, tx.0.suite().name),
            Self::Tls12 { tx, .. } => (TLS12, tx.cipher().name),
        };
        HandshakeFacts {
            version,
            cipher: cipher.to_owned(),
            ..HandshakeFacts::default()
        }
    }

    /// Returns the first keys, and the source of the next ones.
    pub(super) fn into_starting_keys(self, server_side: bool) -> Result<StartingKeys, Error> {
        Ok(match self {
            Self::Tls13 { tx, rx } => StartingKeys {
                tx: tx.0.crypto_info(&PROVIDER, tx.1)?,
                rx: rx.0.crypto_info(&PROVIDER, rx.1)?,
                source: Box::new(SecretChain::new(tx.0, rx.0, server_side, &PROVIDER)),
            },
            Self::Tls12 { tx, rx } => StartingKeys {
                tx,
                rx,
                source: Box::new(FixedKeys::new(server_side)),
            },
        })
    }
}
