//! Errors cross to Python here, and nowhere else.

use ktls_core::{Blame, Errno, Error};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

mod py {
    pyo3::import_exception!(ktls_fast.errors, AlertReceivedError);
    pyo3::import_exception!(ktls_fast.errors, BadRecordError);
    pyo3::import_exception!(ktls_fast.errors, KeyExpiredError);
    pyo3::import_exception!(ktls_fast.errors, KeyLimitError);
    pyo3::import_exception!(ktls_fast.errors, KtlsError);
    pyo3::import_exception!(ktls_fast.errors, RecordTooLargeError);
    pyo3::import_exception!(ktls_fast.errors, TruncatedError);
}

/// An error of the record layer on its way to Python.
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
            Error::KeyExhausted { .. } => py::KeyLimitError::new_err(args),
            _ => by_errno(error, args),
        }
    }
}

fn by_errno(error: Error, args: (i32, String)) -> PyErr {
    match (error.errno(), error.blame()) {
        (Errno::BadMsg, Blame::Peer) => py::BadRecordError::new_err(args),
        (Errno::MsgSize, _) => py::RecordTooLargeError::new_err(args),
        // `OSError` itself picks BlockingIOError and its like by the errno.
        (Errno::Again | Errno::Pipe | Errno::ConnReset, _) => PyOSError::new_err(args),
        _ => py::KtlsError::new_err(args),
    }
}

/// A refusal that only the border can see.
pub(crate) fn refused(errno: Errno, text: impl Into<String>) -> PyErr {
    py::KtlsError::new_err((errno.code(), text.into()))
}

/// For buffers that must not share memory.
pub(crate) fn check_apart(input: &[u8], output: &[u8]) -> PyResult<()> {
    if crate::buffer::overlap(input, output) {
        return Err(refused(Errno::Inval, "input and output buffer overlap"));
    }
    Ok(())
}
