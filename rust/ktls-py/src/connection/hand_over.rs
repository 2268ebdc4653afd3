//! Connections that go on elsewhere: `export`, and what `into_ktls` needs.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use ktls_core::session::UnreadBytes;
use ktls_net::{InstallOutcome, NetError, NextUser, ReadyToHandOver};
use ktls_py_macros::{from_stub, stub_named_tuple};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::PyConnection;
use crate::buffer::copy_bytes;
use crate::crypto_info::PyCryptoInfo;
use crate::errors::{unless_blocked, want_read, want_write};
use crate::ktls_key_state::PyKtlsKeyState;
use crate::ktls_socket::PyKtlsSocket;
use crate::named_tuple::NamedTuple;
use crate::traffic_secret::PyTrafficSecret;

pub(crate) static EXPORTED_CONNECTION: NamedTuple =
    NamedTuple::new(stub_named_tuple!(ExportedConnection));

/// A socket, its keys, and the plaintext and the wire bytes that the socket does not deliver.
pub(super) type HandedOver<'py> = (
    Bound<'py, PyAny>,
    PyKtlsKeyState,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
);

/// The function of the package that `into_ktls` calls.
static INTO_KTLS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

#[from_stub]
#[pyfunction(name = "_answer_into_ktls")]
pub(crate) fn answer_into_ktls(py: Python<'_>, function: Py<PyAny>) {
    let _known = INTO_KTLS.set(py, function);
}

/// Returns the result of the registered function.
pub(super) fn into_ktls<'py>(
    connection: &Bound<'py, PyConnection>,
    backend: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = connection.py();
    let Some(function) = INTO_KTLS.get(py) else {
        return Err(PyTypeError::new_err("into_ktls: import ktls_fast first"));
    };
    function.bind(py).call1((connection, backend))
}

/// An error of the hand-over, or an exception of the code that installs the keys.
struct HandOverFailure(PyErr);

impl From<NetError> for HandOverFailure {
    fn from(error: NetError) -> Self {
        Self(unless_blocked(error, want_write))
    }
}

impl PyConnection {
    pub(super) fn hand_over_to_anybody<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let ready = self.ready(py, NextUser::Export)?;
        let done = ready.finish(|_, _| Ok::<_, HandOverFailure>(InstallOutcome::Installed));
        let done = done.map_err(|failure| failure.0)?;
        EXPORTED_CONNECTION.class(py)?.call1((
            python_socket(py, done.fd, self.timeout.seconds())?,
            !done.is_client,
            PyCryptoInfo(done.tx),
            PyCryptoInfo(done.rx),
            done.tx_secret.map(PyTrafficSecret),
            done.rx_secret.map(PyTrafficSecret),
            copy_bytes(py, &done.unread.plaintext)?,
            copy_bytes(py, &done.unread.sealed)?,
            done.is_closed_by_peer,
        ))
    }

    pub(super) fn hand_over_to_engine<'py>(&self, py: Python<'py>) -> PyResult<HandedOver<'py>> {
        let ready = self.ready(py, NextUser::Engine)?;
        let done = py.detach(|| ready.into_engine());
        let done = done.map_err(|error| unless_blocked(error, want_write))?;
        let socket = PyKtlsSocket::over(py, done.socket, self.timeout.copy());
        let socket = Bound::new(py, socket)?.into_any();
        handed_over(py, socket, PyKtlsKeyState::new(done.keys), &done.unread)
    }

    /// Calls `install` with the keys, and then, in order, what it returns; it must not use the
    /// connection.
    pub(super) fn hand_over_to_kernel<'py>(
        &self,
        install: &Bound<'py, PyAny>,
    ) -> PyResult<HandedOver<'py>> {
        let py = install.py();
        let ready = self.ready(py, NextUser::Kernel)?;
        let done = ready.finish(|tx, rx| {
            let keys = (PyCryptoInfo(tx.clone()), PyCryptoInfo(rx.clone()));
            let calls = install.call1(keys).map_err(HandOverFailure)?;
            run_installing_calls(calls.extract().map_err(HandOverFailure)?)
        });
        let done = done.map_err(|failure| failure.0)?;
        let socket = python_socket(py, done.fd, self.timeout.seconds())?;
        handed_over(py, socket, PyKtlsKeyState::new(done.keys), &done.unread)
    }

    fn ready(&self, py: Python<'_>, user: NextUser) -> PyResult<ReadyToHandOver> {
        let connection = self.connection(py)?;
        let mut limit = self.limit();
        let blocked = if user == NextUser::Kernel {
            want_read
        } else {
            want_write
        };
        self.run_or(py, blocked, || {
            connection.prepare_hand_over(user, &mut limit)
        })
    }
}

/// Runs `calls` up to the first that fails. No bytecode runs between calls of C, so no signal
/// handler can raise an exception there.
///
/// # Errors
/// Returns the exception of the first call. Those of later calls are
/// [`InstallOutcome::Partly`].
fn run_installing_calls(
    calls: Vec<Bound<'_, PyAny>>,
) -> Result<InstallOutcome<HandOverFailure>, HandOverFailure> {
    for (index, call) in calls.iter().enumerate() {
        match call.call0().map_err(HandOverFailure) {
            Ok(_) => {}
            Err(failure) if index == 0 => return Err(failure),
            Err(failure) => return Ok(InstallOutcome::Partly(failure)),
        }
    }
    Ok(InstallOutcome::Installed)
}

fn handed_over<'py>(
    py: Python<'py>,
    socket: Bound<'py, PyAny>,
    keys: PyKtlsKeyState,
    unread: &UnreadBytes,
) -> PyResult<HandedOver<'py>> {
    let plaintext = copy_bytes(py, &unread.plaintext)?;
    Ok((socket, keys, plaintext, copy_bytes(py, &unread.sealed)?))
}

/// Returns a `socket.socket` that owns the descriptor.
fn python_socket(py: Python<'_>, fd: OwnedFd, timeout: Option<f64>) -> PyResult<Bound<'_, PyAny>> {
    let keywords = PyDict::new(py);
    keywords.set_item("fileno", fd.as_raw_fd())?;
    let socket = py.import("socket")?.getattr("socket")?;
    let socket = socket.call((), Some(&keywords))?;
    let _owned_by_python = fd.into_raw_fd();
    socket.call_method1("settimeout", (timeout,))?;
    Ok(socket)
}
