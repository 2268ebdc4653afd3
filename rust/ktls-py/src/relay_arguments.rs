//! Arguments that `Relay` and `Connection.relay` have in common.

use std::os::fd::OwnedFd;

use ktls_core::quoted;
use ktls_net::{PairOptions, TruncationPolicy};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::buffer::dup_fd;
use crate::timeout::parse;

/// Parses the options of a relayed pair.
///
/// # Errors
/// `ValueError` if `truncation` is neither "reset" nor "fin", or the timeout is invalid.
pub(crate) fn pair_options(idle_timeout: Option<f64>, truncation: &str) -> PyResult<PairOptions> {
    let truncation = match truncation {
        "reset" => TruncationPolicy::Reset,
        "fin" => TruncationPolicy::Fin,
        other => {
            let text = format!(
                "truncation is {}: it must be \"reset\" or \"fin\"",
                quoted(other)
            );
            return Err(PyValueError::new_err(text));
        }
    };
    let idle = parse(idle_timeout)?;
    Ok(PairOptions { idle, truncation })
}

/// Returns a duplicate of the descriptor of a plain `socket.socket`.
///
/// # Errors
/// `TypeError` if `object` is anything else; an `OSError` if the descriptor cannot be duplicated.
pub(crate) fn plain_only(object: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    plain_fd(object)?.ok_or_else(|| {
        let kind = object.get_type();
        let text = format!("{kind} is not a plain socket.socket; Relay.add pumps between others");
        PyTypeError::new_err(text)
    })
}

/// Returns a duplicate of the descriptor of a plain `socket.socket`, or `None` for any other
/// object.
///
/// Subclasses are refused, because they may process the bytes, as `ssl.SSLSocket` does.
pub(crate) fn plain_fd(object: &Bound<'_, PyAny>) -> PyResult<Option<OwnedFd>> {
    let socket = object.py().import("socket")?.getattr("socket")?;
    if !object.get_type().is(&socket) {
        return Ok(None);
    }
    dup_fd(object.call_method0("fileno")?.extract()?).map(Some)
}
