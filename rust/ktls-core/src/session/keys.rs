//! Where the keys of a session come from.

use crate::aead::Provider;
use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::key::TrafficSecret;

/// The source of a session's next keys: a chain of secrets, or the TLS library that did the handshake.
pub trait KeySource: Send {
    /// Moves `direction` on to its next key and returns it (RFC 8446 §7.2).
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::CipherMissing`]
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error>;

    /// Returns true on the client's side: only a client is sent tickets.
    fn is_client(&self) -> bool;

    /// Takes the body of a NewSessionTicket, without its 4-byte header.
    ///
    /// # Errors
    /// [`Error::BadTicket`]
    fn ticket(&mut self, body: &[u8]) -> Result<(), Error>;
}

/// A source of keys that holds the traffic secrets of both directions, as a key log gives them.
pub struct SecretChain {
    tx: TrafficSecret,
    rx: TrafficSecret,
    server_side: bool,
    provider: &'static dyn Provider,
}

impl SecretChain {
    /// Starts at the secrets now in use.
    #[must_use]
    pub fn new(
        tx: TrafficSecret,
        rx: TrafficSecret,
        server_side: bool,
        provider: &'static dyn Provider,
    ) -> Self {
        Self {
            tx,
            rx,
            server_side,
            provider,
        }
    }
}

impl KeySource for SecretChain {
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error> {
        let secret = match direction {
            Direction::Tx => &mut self.tx,
            Direction::Rx => &mut self.rx,
        };
        let next = secret.next(self.provider)?;
        let info = next.crypto_info(self.provider, 0)?;
        *secret = next;
        Ok(info)
    }

    fn is_client(&self) -> bool {
        !self.server_side
    }

    /// A client without the handshake's other secrets has no use for a ticket.
    fn ticket(&mut self, _body: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}
