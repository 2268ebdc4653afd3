//! Errors of configurations and handshakes.

use std::fmt;

/// Who has to correct an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeErrorKind {
    /// The caller: the configuration does not parse or contradicts itself (EINVAL).
    Config,
    /// Either side: the handshake with this peer failed (EPROTO).
    Failed,
}

/// The reason why a configuration was refused or a handshake failed. It never contains key bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HandshakeError {
    kind: HandshakeErrorKind,
    text: String,
}

impl HandshakeError {
    /// Returns who has to correct the error.
    #[must_use]
    pub const fn kind(&self) -> HandshakeErrorKind {
        self.kind
    }

    pub(crate) fn config(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            kind: HandshakeErrorKind::Config,
            text,
        }
    }

    /// The error for a stream that ended before the handshake did.
    pub(crate) fn closed() -> Self {
        Self::failed("the peer closed the connection during the handshake")
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            kind: HandshakeErrorKind::Failed,
            text,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for HandshakeError {}
