//! Calls that are forwarded to TCP or to the system.

use ktls_core::Errno;
use ktls_core::socket::options::ULP_NAME_LEN;
use pyo3::prelude::*;

use super::PyKtlsSocket;
use crate::errors::{connection_error, refused};
use crate::python_socket;

impl PyKtlsSocket {
    /// Refuses calls that are impossible once the ULP is attached, because the socket is connected.
    pub(super) fn unless_attached(&self, errno: Errno, what: &str) -> PyResult<()> {
        let ulp = self.inner.ulp(ULP_NAME_LEN).map_err(connection_error)?;
        if ulp.is_empty() {
            return Ok(());
        }
        let text = format!("a socket with the tls ULP does not {what}");
        Err(refused(errno, text))
    }

    /// Sets an option of TCP or of the socket; `optlen` is only allowed with `None`.
    pub(super) fn set_elsewhere(
        &self,
        py: Python<'_>,
        level: i32,
        optname: i32,
        value: &Bound<'_, PyAny>,
        optlen: Option<u32>,
    ) -> PyResult<()> {
        let done = match optlen {
            None => self.ask_socket(py, "setsockopt", (level, optname, value)),
            Some(optlen) => self.ask_socket(py, "setsockopt", (level, optname, value, optlen)),
        };
        done.map(drop)
    }

    pub(super) fn ask_socket<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        args: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<Py<PyAny>> {
        let fd = self.inner.descriptor().map_err(connection_error)?;
        python_socket::call(py, &fd, method, args)
    }
}
