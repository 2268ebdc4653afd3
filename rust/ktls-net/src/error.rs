//! What can go wrong at a descriptor.

use std::fmt;

use rustix::io::Errno;

use crate::fd_socket::UnfitForRelay;
use crate::fork::ForkRefusal;
use crate::handshake::HandshakeError;

/// Why a call on a socket did not do what it was asked to.
#[derive(Clone, Debug)]
pub enum NetError {
    /// The record layer refused, or the peer broke a rule.
    Tls(ktls_core::Error),
    /// The system call failed; EAGAIN is "not yet" on a non-blocking socket.
    Io(Errno),
    /// The same on the plain side of a relay.
    Plain(Errno),
    /// The record layer of a relay's side that is a `KtlsSocket`, whose peer is told nothing of it.
    Ktls(ktls_core::Error),
    /// A relay does not take such a socket.
    Unfit(UnfitForRelay),
    /// The handshake failed.
    Handshake(HandshakeError),
    /// Another process has it since a fork.
    Forked(ForkRefusal),
    /// The relay was closed while bytes were on their way.
    Cut,
    /// The socket's timeout has passed.
    TimedOut,
    /// A signal came while waiting: nothing is lost, call again after its handler has run.
    Interrupted,
}

impl NetError {
    /// True for what says that a wait is over, and nothing else.
    pub(crate) const fn ends_a_wait(&self) -> bool {
        matches!(
            self,
            Self::Io(Errno::AGAIN) | Self::TimedOut | Self::Interrupted
        )
    }

    /// True when a TLS peer has ended without close_notify, which is no error where programs commonly do so.
    #[must_use]
    pub const fn is_truncation(&self) -> bool {
        matches!(self, Self::Tls(ktls_core::Error::Truncated))
    }

    /// What a write meets whose peer is gone; that says nothing of what the peer has sent.
    pub(crate) const fn is_gone(&self) -> Option<Errno> {
        match *self {
            Self::Io(errno @ (Errno::PIPE | Errno::CONNRESET))
            | Self::Plain(errno @ (Errno::PIPE | Errno::CONNRESET)) => Some(errno),
            _ => None,
        }
    }
}

/// What the standard library tells of the system.
pub(crate) fn system(error: std::io::Error) -> NetError {
    let code = error.raw_os_error().unwrap_or_default();
    NetError::Io(Errno::from_raw_os_error(code))
}

/// What the system says, without the number that Rust adds: "no such file or directory".
pub(crate) fn system_reason(error: &std::io::Error) -> String {
    if error.raw_os_error().is_none() && error.kind() == std::io::ErrorKind::InvalidInput {
        return "a name with a zero byte in it cannot be given to the system".into();
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
