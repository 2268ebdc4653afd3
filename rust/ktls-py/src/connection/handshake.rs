//! The handshake that turns a socket into a connection.

use std::sync::Arc;

use ktls_core::session::KeyUpdatePolicy;
use ktls_net::handshake::Handshake;
use ktls_net::{Connection, NetError, StartingConnection, Wait};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::PyConnection;
use crate::buffer::take_fd;
use crate::errors::{connection_error, unless_blocked, want_read, want_write};
use crate::ktls_socket::PyKtlsSocket;
use crate::resolver::{Resolving, is_of_handshake};
use crate::timeout::{SocketTimeout, wait_or};

/// Takes over a socket, and performs the handshake of either side within the timeout of the socket.
/// The handshake of a non-blocking socket is left to later calls.
pub(super) fn shake(
    sock: &Bound<'_, PyAny>,
    handshake: Handshake,
    policy: &KeyUpdatePolicy,
    resolving: Resolving,
) -> PyResult<PyConnection> {
    check_plain(sock)?;
    let timeout = SocketTimeout::of(sock)?;
    let patience = timeout.patience();
    let inner = StartingConnection::new(take_fd(sock)?, handshake, policy);
    if patience != Wait::Never {
        shake_now(sock.py(), &inner, &resolving, patience, connection_error)?;
    }
    Ok(PyConnection::new(sock.py(), inner, timeout, resolving))
}

fn shake_now<'a>(
    py: Python<'_>,
    inner: &'a StartingConnection,
    resolving: &Resolving,
    patience: Wait,
    convert: impl FnOnce(NetError) -> PyErr,
) -> PyResult<&'a Arc<Connection>> {
    wait_or(
        py,
        |error| {
            let is_handshake = is_of_handshake(&error);
            resolving.explain(py, is_handshake, convert(error))
        },
        || {
            inner.do_handshake(patience, |request| {
                Python::attach(|py| resolving.answer(py, request))
            })
        },
    )
}

impl PyConnection {
    /// Returns the connection after its handshake, which is continued first.
    pub(crate) fn connection(&self, py: Python<'_>) -> PyResult<&Arc<Connection>> {
        if let Some(connection) = self.inner.connection() {
            return Ok(connection);
        }
        self.inner.check_reachable().map_err(connection_error)?;
        let patience = self.timeout.patience();
        shake_now(py, &self.inner, &self.resolving, patience, |error| {
            self.handshake_error(py, error)
        })
    }

    fn handshake_error(&self, py: Python<'_>, error: NetError) -> PyErr {
        unless_blocked(error, || {
            if py.detach(|| self.inner.wants_write()) {
                want_write()
            } else {
                want_read()
            }
        })
    }
}

/// # Errors
/// `TypeError` for a socket that has TLS over its bytes: our records would bypass it.
fn check_plain(sock: &Bound<'_, PyAny>) -> PyResult<()> {
    let modules = sock.py().import("sys")?.getattr("modules")?;
    let ssl = modules.call_method1("get", ("ssl",))?;
    let is_ours = sock.is_instance_of::<PyConnection>() || sock.is_instance_of::<PyKtlsSocket>();
    if is_ours || !ssl.is_none() && sock.is_instance(&ssl.getattr("SSLSocket")?)? {
        return Err(PyTypeError::new_err(format!(
            "{} speaks TLS already, and TLS in TLS is not supported: pass the socket.socket below it",
            sock.get_type()
        )));
    }
    Ok(())
}
