//! RFC 8446 / RFC 9846 on top of the record layer.

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;

/// Where the next keys come from: a secret chain, or the TLS library that did the handshake.
pub trait KeySource: Send {
    /// The next key of `direction` (RFC 8446 §7.2).
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::CipherMissing`]
    fn next(&mut self, direction: Direction) -> Result<CryptoInfo, Error>;

    /// A NewSessionTicket's body, without its 4-byte header, came in.
    ///
    /// # Errors
    /// [`Error::UnexpectedMessage`] at a server, [`Error::BadTicket`]
    fn ticket(&mut self, body: &[u8]) -> Result<(), Error>;
}
