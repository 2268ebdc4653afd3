//! Conversion of all errors to Python exceptions.

use ktls_core::{Blame, Errno, Error};
use ktls_net::NetError;
use ktls_net::handshake::HandshakeErrorKind;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTimeoutError};
use pyo3::prelude::*;

mod py {
    pyo3::import_exception!(ktls_fast.errors, AlertReceivedError);
    pyo3::import_exception!(ktls_fast.errors, BadRecordError);
    pyo3::import_exception!(ktls_fast.errors, ConfigError);
    pyo3::import_exception!(ktls_fast.errors, HandshakeError);
    pyo3::import_exception!(ktls_fast.errors, KeyExpiredError);
    pyo3::import_exception!(ktls_fast.errors, KeyLimitError);
    pyo3::import_exception!(ktls_fast.errors, KtlsError);
    pyo3::import_exception!(ktls_fast.errors, PeerError);
    pyo3::import_exception!(ktls_fast.errors, RecordTooLargeError);
    pyo3::import_exception!(ktls_fast.errors, TruncatedError);
    pyo3::import_exception!(ktls_fast.errors, WantReadError);
    pyo3::import_exception!(ktls_fast.errors, WantWriteError);
}

/// Imports the exception classes now.
///
/// An import waits for other threads. The child of a fork does not have them, and must be able to
/// raise an exception without waiting.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    py.import("ktls_fast.errors")?;
    let _known = py.get_type::<py::KtlsError>();
    Ok(())
}

/// An error of the record layer, to be converted to an exception.
pub(crate) struct CoreError(pub(crate) Error);

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<CoreError> for PyErr {
    fn from(CoreError(error): CoreError) -> Self {
        let args = (error.errno().code(), error.to_string());
        match error {
            Error::AlertReceived(_) => py::AlertReceivedError::new_err(args),
            Error::Truncated => py::TruncatedError::new_err(args),
            Error::KeyExpired => py::KeyExpiredError::new_err(args),
            Error::KeyExhausted { .. } | Error::KeyUpdatesExhausted => {
                py::KeyLimitError::new_err(args)
            }
            Error::NoMemory { .. } => PyMemoryError::new_err(args.1),
            _ => by_errno(error, args),
        }
    }
}

fn by_errno(error: Error, args: (i32, String)) -> PyErr {
    match (error.errno(), error.blame()) {
        (Errno::BadMsg, Blame::Peer) => py::BadRecordError::new_err(args),
        (Errno::MsgSize, _) => py::RecordTooLargeError::new_err(args),
        (Errno::Again | Errno::Pipe | Errno::ConnReset, _) => class_by_errno(args),
        _ => py::KtlsError::new_err(args),
    }
}

/// Creates the subclass of `OSError` that belongs to the errno, such as `BlockingIOError`.
///
/// `OSError` selects the subclass when an instance is created. It is created at once, because up to
/// Python 3.11 extension modules such as uvloop compare the class that was raised.
fn class_by_errno(args: (i32, String)) -> PyErr {
    let error = PyOSError::new_err(args);
    Python::attach(|py| PyErr::from_value(error.into_value(py).into_bound(py).into_any()))
}

/// Creates the exception for an errno, with the system's description after `side`.
pub(crate) fn os_error(code: i32, side: &str) -> PyErr {
    let text = std::io::Error::from_raw_os_error(code).to_string();
    let suffix = format!(" (os error {code})");
    class_by_errno((code, format!("{side}{}", text.trim_end_matches(&suffix))))
}

/// Creates a `KtlsError` for a condition that only the bindings can detect.
pub(crate) fn refused(errno: Errno, text: impl Into<String>) -> PyErr {
    py::KtlsError::new_err((errno.code(), text.into()))
}

/// Creates a `ConfigError`.
pub(crate) fn misconfigured(text: impl Into<String>) -> PyErr {
    py::ConfigError::new_err((Errno::Inval.code(), text.into()))
}

/// Creates the `WantReadError` of a call that cannot continue without bytes of the peer.
pub(crate) fn want_read() -> PyErr {
    let text = "more bytes of the peer are needed";
    py::WantReadError::new_err((Errno::Again.code(), text))
}

/// Creates the `WantWriteError` of a call that cannot continue before TCP accepts bytes.
pub(crate) fn want_write() -> PyErr {
    let text = "TCP accepts no more bytes now";
    py::WantWriteError::new_err((Errno::Again.code(), text))
}

/// Converts an error of a call that returns EAGAIN where it would have to wait.
pub(crate) fn unless_blocked(error: NetError, blocked: impl FnOnce() -> PyErr) -> PyErr {
    match error {
        NetError::Io(errno) if errno.raw_os_error() == Errno::Again.code() => blocked(),
        error => connection_error(error),
    }
}

/// Converts an error of a connection or socket. Its text names the alert that was sent to the peer.
pub(crate) fn connection_error(error: NetError) -> PyErr {
    match error {
        NetError::Tls(error) => match (error.blame(), error.alert()) {
            (Blame::Peer, Some(alert)) => {
                let text = format!(
                    "{error}; the peer was sent the alert {alert} ({})",
                    alert.code()
                );
                py::PeerError::new_err((Errno::Proto.code(), text))
            }
            _ => CoreError(error).into(),
        },
        NetError::Ktls(error) => CoreError(error).into(),
        NetError::Unfit(unfit) => refused(unfit.errno(), unfit.to_string()),
        NetError::Handshake(error) => {
            let text = error.to_string();
            match error.kind() {
                HandshakeErrorKind::Config => misconfigured(text),
                HandshakeErrorKind::Failed => {
                    py::HandshakeError::new_err((Errno::Proto.code(), text))
                }
            }
        }
        NetError::Forked(forked) => refused(Errno::Busy, forked.to_string()),
        NetError::Cut => refused(Errno::ConnAborted, error.to_string()),
        NetError::Io(errno) => os_error(errno.raw_os_error(), ""),
        NetError::Plain(errno) => os_error(errno.raw_os_error(), "the plain side: "),
        NetError::TimedOut | NetError::Interrupted => PyTimeoutError::new_err("timed out"),
    }
}
