//! The source of a session's keys.

use crate::aead::Provider;
use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::key::TrafficSecret;
use crate::wire::NEW_SESSION_TICKET;

/// The source of a session's next keys: a chain of secrets, or the TLS library that did the
/// handshake.
pub trait KeySource: Send {
    /// Advances `direction` to its next key and returns it (RFC 8446 §7.2).
    ///
    /// # Errors
    /// - [`Error::NoRekeyIn12`] in TLS 1.2.
    /// - [`Error::CipherMissing`] if the provider does not have the cipher or its hash.
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error>;

    /// Returns `true` on the client's side. Only a client receives tickets.
    fn is_client(&self) -> bool;

    /// Takes the body of a NewSessionTicket, without its 4-byte header.
    ///
    /// # Errors
    /// - [`Error::BadTicket`] if the ticket is malformed.
    /// - [`Error::UnexpectedMessage`] if the session cannot have tickets.
    fn ticket(&mut self, body: &[u8]) -> Result<(), Error>;

    /// Returns the number of our key updates before the first key of the session. Only a session
    /// that another implementation has begun has any.
    fn past_updates(&self) -> u64 {
        0
    }

    /// Returns the secret of the newest key of `direction`; `None` if the source keeps no secrets.
    fn secret(&self, _direction: Direction) -> Option<TrafficSecret> {
        None
    }
}

/// The source of keys of a TLS 1.2 session, whose keys never change.
#[derive(Clone, Copy, Debug)]
pub struct FixedKeys {
    server_side: bool,
}

impl FixedKeys {
    /// Makes the source for one side of a session.
    #[must_use]
    pub const fn new(server_side: bool) -> Self {
        Self { server_side }
    }
}

impl KeySource for FixedKeys {
    fn next(&mut self, _direction: Direction) -> Result<CryptoInfo, Error> {
        Err(Error::NoRekeyIn12)
    }

    fn is_client(&self) -> bool {
        !self.server_side
    }

    /// Refuses the ticket: TLS 1.2 sends tickets only during the handshake.
    fn ticket(&mut self, _body: &[u8]) -> Result<(), Error> {
        Err(Error::UnexpectedMessage {
            message_type: NEW_SESSION_TICKET,
        })
    }
}

/// A source of keys that holds the traffic secrets of both directions, for example from a key log.
pub struct SecretChain {
    tx: TrafficSecret,
    rx: TrafficSecret,
    server_side: bool,
    provider: &'static dyn Provider,
}

impl SecretChain {
    /// Makes a source that starts at the secrets in use.
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

    /// Ignores the ticket: it is useless without the other secrets of the handshake.
    fn ticket(&mut self, _body: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn past_updates(&self) -> u64 {
        self.tx.generation()
    }

    fn secret(&self, direction: Direction) -> Option<TrafficSecret> {
        Some(match direction {
            Direction::Tx => self.tx.clone(),
            Direction::Rx => self.rx.clone(),
        })
    }
}
