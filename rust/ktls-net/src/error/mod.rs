//! Errors of calls on descriptors.

mod fork;
mod handshake;
mod relay;

use std::fmt;

use rustix::io::Errno;

pub(crate) use fork::ForkRefusal;
pub use handshake::{HandshakeError, HandshakeErrorKind};
pub use relay::UnfitForRelay;

/// The reason why a call on a socket failed.
#[derive(Clone, Debug)]
pub enum NetError {
    /// The record layer refused the call, or the peer broke a rule.
    Tls(ktls_core::Error),
    /// A system call failed. EAGAIN means "not yet" on a non-blocking socket.
    Io(Errno),
    /// A system call failed on the plain side of a relay.
    Plain(Errno),
    /// The record layer failed on a relay's side that is a `KtlsSocket`. The peer gets no alert.
    Ktls(ktls_core::Error),
    /// A relay does not accept this socket.
    Unfit(UnfitForRelay),
    /// The handshake failed.
    Handshake(HandshakeError),
    /// Another process uses the object since a fork.
    Forked(ForkRefusal),
    /// The relay was closed while it held bytes.
    Cut,
    /// The socket's timeout has passed.
    TimedOut,
    /// A signal arrived during a wait. Nothing is lost: call again after the signal handler has
    /// run.
    Interrupted,
}

impl NetError {
    /// Returns `true` for errors that only mean that a wait has ended.
    pub(crate) const fn ends_a_wait(&self) -> bool {
        matches!(
            self,
            Self::Io(Errno::AGAIN) | Self::TimedOut | Self::Interrupted
        )
    }

    /// Returns `true` if a TLS peer ended the stream without close_notify. Some protocols do not
    /// treat that as an error.
    #[must_use]
    pub const fn is_truncation(&self) -> bool {
        matches!(self, Self::Tls(ktls_core::Error::Truncated))
    }

    /// Returns the errno if a write failed because the peer is gone. That does not mean that all
    /// bytes of the peer were read.
    pub(crate) const fn is_gone(&self) -> Option<Errno> {
        match *self {
            Self::Io(errno @ (Errno::PIPE | Errno::CONNRESET))
            | Self::Plain(errno @ (Errno::PIPE | Errno::CONNRESET)) => Some(errno),
            _ => None,
        }
    }
}

/// Converts an error of the standard library.
pub(crate) fn system(error: std::io::Error) -> NetError {
    let code = error.raw_os_error().unwrap_or_default();
    NetError::Io(Errno::from_raw_os_error(code))
}

/// Describes a system error without the number that Rust appends: "no such file or directory".
pub(crate) fn system_reason(error: &std::io::Error) -> String {
    if error.raw_os_error().is_none() && error.kind() == std::io::ErrorKind::InvalidInput {
        return "a name with a zero byte in it cannot be passed to the system".into();
    }
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_lowercase);
    first.chain(rest).collect()
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) | Self::Ktls(error) => error.fmt(f),
            Self::Io(errno) => f.write_str(&system_reason(&(*errno).into())),
            Self::Plain(errno) => {
                write!(f, "the plain side: {}", system_reason(&(*errno).into()))
            }
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Handshake(error) => error.fmt(f),
            Self::Forked(forked) => forked.fmt(f),
            Self::Cut => f.write_str("the relay was closed while bytes were on their way"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Interrupted => f.write_str("interrupted by a signal"),
        }
    }
}

impl std::error::Error for NetError {}

impl From<ktls_core::Error> for NetError {
    fn from(error: ktls_core::Error) -> Self {
        Self::Tls(error)
    }
}

impl From<ForkRefusal> for NetError {
    fn from(refusal: ForkRefusal) -> Self {
        Self::Forked(refusal)
    }
}

impl From<UnfitForRelay> for NetError {
    fn from(unfit: UnfitForRelay) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<HandshakeError> for NetError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<Errno> for NetError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::INTR => Self::Interrupted,
            errno => Self::Io(errno),
        }
    }
}
