//! Calls that are forwarded to Python's own socket class.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// Calls a method of a temporary `socket.socket` over the same connection.
pub(crate) fn call<'py>(
    py: Python<'py>,
    fd: &OwnedFd,
    method: &str,
    args: impl PyCallArgs<'py>,
) -> PyResult<Py<PyAny>> {
    let fd = fd.try_clone()?;
    let socket = py.import("socket")?.getattr("socket")?;
    let keywords = pyo3::types::PyDict::new(py);
    keywords.set_item("fileno", fd.as_raw_fd())?;
    let socket = socket.call((), Some(&keywords))?;
    // The Python object owns the descriptor from here on.
    let _owned_by_python = fd.into_raw_fd();
    let result = socket.call_method1(method, args);
    socket.call_method0("close")?;
    Ok(result?.unbind())
}
