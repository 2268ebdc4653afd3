//! Timeouts of Python sockets, and calls that wait.

use std::sync::Mutex;
use std::time::Duration;

use ktls_net::{NetError, ProgressDeadline, Wait};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::buffer::check_socket;
use crate::errors::connection_error;
use crate::lock::guard;

/// The timeout of a socket: `None` blocks, zero does not.
pub(crate) struct SocketTimeout(Mutex<Option<Duration>>);

impl SocketTimeout {
    /// Returns the timeout of a Python socket.
    pub(crate) fn of(socket: &Bound<'_, PyAny>) -> PyResult<Self> {
        check_socket(socket)?;
        let seconds: Option<f64> = socket.call_method0("gettimeout")?.extract()?;
        Ok(Self(Mutex::new(parse(seconds)?)))
    }

    /// Returns a copy for another object.
    pub(crate) fn copy(&self) -> Self {
        Self(Mutex::new(*guard(&self.0)))
    }

    pub(crate) fn set(&self, seconds: Option<f64>) -> PyResult<()> {
        *guard(&self.0) = parse(seconds)?;
        Ok(())
    }

    pub(crate) fn seconds(&self) -> Option<f64> {
        guard(&self.0).map(|timeout| timeout.as_secs_f64())
    }

    /// Returns how long a call that starts now may wait.
    pub(crate) fn patience(&self) -> Wait {
        Wait::from_timeout(*guard(&self.0))
    }

    /// Returns the deadline of a call that may continue as long as the peer accepts bytes.
    pub(crate) fn while_stalled(&self) -> ProgressDeadline {
        ProgressDeadline::while_stalled(*guard(&self.0))
    }
}

/// Converts seconds into a duration; `None` stays `None`.
pub(crate) fn parse(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let parse = |seconds| match Duration::try_from_secs_f64(seconds) {
        // Rounded up, because zero means that the call does not wait.
        Ok(Duration::ZERO) if seconds > 0.0 => Ok(Duration::from_nanos(1)),
        Ok(timeout) => Ok(timeout),
        Err(_) => Err(PyValueError::new_err(format!(
            "{seconds:?} is not a timeout in seconds"
        ))),
    };
    seconds.map(parse).transpose()
}

/// Runs a call that may wait, without the GIL.
///
/// Python's signal handlers run in between (PEP 475).
pub(crate) fn wait_for<R: Send>(
    py: Python<'_>,
    call: impl FnMut() -> Result<R, NetError> + Send,
) -> PyResult<R> {
    wait_or(py, connection_error, call)
}

/// Runs a call as [`wait_for`] does, with another conversion of its errors.
pub(crate) fn wait_or<R: Send>(
    py: Python<'_>,
    convert: impl FnOnce(NetError) -> PyErr,
    mut call: impl FnMut() -> Result<R, NetError> + Send,
) -> PyResult<R> {
    loop {
        match py.detach(&mut call) {
            Err(NetError::Interrupted) => py.check_signals()?,
            done => return done.map_err(convert),
        }
    }
}
