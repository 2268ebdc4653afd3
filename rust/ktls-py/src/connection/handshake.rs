//! The handshake that turns a socket into a connection.

use ktls_core::Errno;
use ktls_net::handshake::Handshake;
use ktls_net::{HandshakingSocket, Wait};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::PyConnection;
use crate::buffer::take_fd;
use crate::errors::{connection_error, refused};
use crate::ktls_socket::PyKtlsSocket;
use crate::timeout::{SocketTimeout, wait_for};
use crate::unclosed::TracedOrigin;

/// Performs the handshake of either side within the timeout of the socket.
pub(super) fn shake(
    sock: &Bound<'_, PyAny>,
    handshake: Handshake,
    policy: &ktls_core::session::KeyUpdatePolicy,
) -> PyResult<PyConnection> {
    check_plain(sock)?;
    let timeout = SocketTimeout::of(sock)?;
    let patience = timeout.patience();
    if patience == Wait::Never {
        let text = "a handshake waits for the peer: give the non-blocking socket a timeout first";
        return Err(refused(Errno::Inval, text));
    }
    let mut handshaking = HandshakingSocket::new(take_fd(sock)?, handshake);
    wait_for(sock.py(), || handshaking.run(patience))?;
    let inner = handshaking.finish(policy).map_err(connection_error)?.into();
    Ok(PyConnection {
        inner,
        timeout,
        origin: TracedOrigin::here(sock.py()),
    })
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
