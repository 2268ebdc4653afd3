//! Refusals of sockets by a relay.

use std::fmt;

use ktls_core::{Direction, Errno as CoreErrno};

/// The reason why a relay does not accept a `KtlsSocket`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnfitForRelay {
    /// A direction has no key: it would send plaintext, or return ciphertext as data.
    NoKey(Direction),
    /// The workers of a queue seal and open its records, and no descriptor shows their progress.
    Device,
    /// An invalid record header has ended its receiving direction.
    BadHeader,
}

impl UnfitForRelay {
    /// Returns the errno of this refusal.
    #[must_use]
    pub const fn errno(self) -> CoreErrno {
        match self {
            Self::NoKey(_) => CoreErrno::Inval,
            Self::Device => CoreErrno::OpNotSupp,
            Self::BadHeader => CoreErrno::BadMsg,
        }
    }
}

impl fmt::Display for UnfitForRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey(Direction::Tx) => "a KtlsSocket without a TLS_TX key is not pumped",
            Self::NoKey(Direction::Rx) => "a KtlsSocket without a TLS_RX key is not pumped",
            Self::Device => "a KtlsSocket over an OffloadQueue is not pumped",
            Self::BadHeader => "a bad record header has ended what the KtlsSocket receives",
        })
    }
}
