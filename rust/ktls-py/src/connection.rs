//! `Connection`.

mod calls;
pub(crate) mod hand_over;
mod handshake;
mod io_refs;
mod makefile;

use std::os::fd::AsRawFd;
use std::sync::Arc;

use ktls_net::{Connection, StartingConnection};
use ktls_py_macros::from_stub;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use self::calls::{close, no_flags};
use self::hand_over::HandedOver;
use self::handshake::shake;
use self::io_refs::{CloseTime, IoRefs};
use self::makefile::TextOptions;
use crate::arguments::{bytes_asked, count_and_seconds, limited};
use crate::bell::PyBell;
use crate::buffer::{InputBuffer, OutputBuffer, new_bytes, take_fd};
use crate::config::{PyClientConfig, PyServerConfig};
use crate::errors::connection_error;
use crate::exporter::export;
use crate::handshake_facts::{alpn, certificates, complete};
use crate::policy::{PolicyArguments, PyRekeyPolicy, PyStormPolicy};
use crate::relay_arguments::{pair_options, plain_only};
use crate::resolver::{Resolving, start_client, start_server};
use crate::takeover_keys::{TakeoverKey, check_room_for_received, takeover_keys};
use crate::timeout::SocketTimeout;
use crate::unclosed::TracedOrigin;

#[from_stub]
#[pyclass(frozen, weakref, name = "Connection", module = "ktls_fast")]
pub(crate) struct PyConnection {
    inner: StartingConnection,
    timeout: SocketTimeout,
    io_refs: IoRefs,
    resolving: Resolving,
    origin: TracedOrigin,
}

#[from_stub(Connection)]
#[pymethods]
impl PyConnection {
    #[staticmethod]
    fn server(sock: &Bound<'_, PyAny>, config: &Bound<'_, PyServerConfig>) -> PyResult<Self> {
        let handshake = start_server(config.get())?;
        shake(sock, handshake, &config.get().policy, Resolving::of(config))
    }

    #[staticmethod]
    fn client(
        sock: &Bound<'_, PyAny>,
        config: &Bound<'_, PyClientConfig>,
        server_name: &Bound<'_, PyString>,
    ) -> PyResult<Self> {
        let config = config.get();
        let handshake = start_client(config, server_name)?;
        shake(sock, handshake, &config.policy, Resolving::default())
    }

    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn from_secrets(
        sock: &Bound<'_, PyAny>,
        server_side: bool,
        tx: TakeoverKey,
        rx: TakeoverKey,
        tx_rec_seq: u64,
        rx_rec_seq: u64,
        received: Option<InputBuffer<'_>>,
        rekey: Option<Bound<'_, PyRekeyPolicy>>,
        storm: Option<Bound<'_, PyStormPolicy>>,
        rekey_bytes: Option<u64>,
        rekey_records: Option<u64>,
        rekey_peer: bool,
        rekey_interval: f64,
        #[pyo3(from_py_with = count_and_seconds)] key_update_limit: (u32, f64),
    ) -> PyResult<Self> {
        let policy = PolicyArguments {
            rekey: rekey.as_ref(),
            storm: storm.as_ref(),
            rekey_bytes,
            rekey_records,
            rekey_peer,
            rekey_interval,
            key_update_limit,
        }
        .policy()?;
        // Checked before the socket is taken, so that a refused call leaves it with the caller.
        let keys = takeover_keys((tx, tx_rec_seq), (rx, rx_rec_seq))?;
        let received = received.as_ref().map_or(&[][..], InputBuffer::as_slice);
        check_room_for_received(received)?;
        let timeout = SocketTimeout::of(sock)?;
        let taken = Connection::from_secrets(take_fd(sock)?, keys, server_side, received, &policy);
        let inner = taken.map_err(connection_error)?.into();
        Ok(Self::new(sock.py(), inner, timeout, Resolving::default()))
    }

    fn do_handshake(&self, py: Python<'_>) -> PyResult<()> {
        self.connection(py).map(drop)
    }

    #[getter]
    fn handshake_complete(&self) -> bool {
        self.inner.connection().is_some()
    }

    #[getter]
    fn version(&self) -> Option<&'static str> {
        Some(self.facts()?.version_name())
    }

    #[getter]
    fn cipher(&self) -> Option<&str> {
        Some(&self.facts()?.cipher)
    }

    #[getter]
    fn group(&self) -> Option<&str> {
        self.facts()?.group.as_deref()
    }

    #[getter]
    fn alpn(&self) -> Option<String> {
        alpn(self.facts()?)
    }

    #[getter]
    fn server_name(&self) -> Option<&str> {
        self.facts()?.server_name.as_deref()
    }

    #[getter]
    fn peer_certificates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        certificates(py, self.facts())
    }

    #[getter]
    fn resumed(&self) -> bool {
        self.facts().is_some_and(|facts| facts.resumed)
    }

    fn export_keying_material<'py>(
        &self,
        label: &Bound<'py, PyAny>,
        length: usize,
        context: Option<InputBuffer<'_>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let facts = complete(self.facts())?;
        export(facts.exporter.as_ref(), label, length, context.as_ref())
    }

    #[getter]
    fn tx_generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.sent.generation)
    }

    #[getter]
    fn rx_generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.received.generation)
    }

    #[getter]
    fn records_sent(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.sent.records)
    }

    #[getter]
    fn records_received(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.received.records)
    }

    #[getter]
    fn bytes_sent(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.sent.bytes)
    }

    #[getter]
    fn bytes_received(&self, py: Python<'_>) -> PyResult<u64> {
        self.counts(py, |counts| counts.received.bytes)
    }

    #[getter]
    fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        self.run(py, || Ok(self.inner.unsent()))
    }

    fn read<'py>(&self, py: Python<'py>, n: isize) -> PyResult<Bound<'py, PyAny>> {
        new_bytes(py, bytes_asked(n)?, |out| self.read_to(py, out))
    }

    fn recv<'py>(
        &self,
        py: Python<'py>,
        bufsize: isize,
        flags: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        no_flags(flags)?;
        self.read(py, bufsize)
    }

    fn recv_into(
        &self,
        py: Python<'_>,
        mut buffer: OutputBuffer,
        nbytes: isize,
        flags: i64,
    ) -> PyResult<usize> {
        no_flags(flags)?;
        self.read_to(py, limited(buffer.as_mut_slice(), nbytes)?)
    }

    fn write(&self, py: Python<'_>, data: InputBuffer<'_>) -> PyResult<usize> {
        self.write_from(py, data.as_slice(), &mut self.limit())
    }

    fn send(&self, py: Python<'_>, data: InputBuffer<'_>, flags: i64) -> PyResult<usize> {
        no_flags(flags)?;
        self.write(py, data)
    }

    fn sendall(&self, py: Python<'_>, data: InputBuffer<'_>, flags: i64) -> PyResult<()> {
        no_flags(flags)?;
        self.send_whole(py, data.as_slice())
    }

    fn key_update(&self, py: Python<'_>, request_peer: bool) -> PyResult<()> {
        self.update_key(py, request_peer)
    }

    fn pending(&self, py: Python<'_>) -> PyResult<usize> {
        match self.inner.connection() {
            Some(connection) => self.run(py, || Ok(connection.pending())),
            None => Ok(0),
        }
    }

    fn close_notify(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.connection(py)?;
        let mut limit = self.limit();
        self.run(py, || connection.close_notify(limit.patience()))?;
        self.flush(py, &mut limit)
    }

    fn fileno(&self) -> i32 {
        self.inner.descriptor().map_or(-1, |fd| fd.as_raw_fd())
    }

    fn settimeout(&self, value: Option<f64>) -> PyResult<()> {
        self.timeout.set(value)
    }

    fn gettimeout(&self) -> Option<f64> {
        self.timeout.seconds()
    }

    fn setblocking(&self, flag: bool) -> PyResult<()> {
        self.timeout.set(if flag { None } else { Some(0.0) })
    }

    fn getblocking(&self) -> bool {
        self.timeout.seconds() != Some(0.0)
    }

    fn getsockname(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ask_socket(py, "getsockname")
    }

    fn getpeername(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ask_socket(py, "getpeername")
    }

    fn _readiness(&self, py: Python<'_>, events: u16) -> PyResult<(u16, u16)> {
        let ready = self.run(py, || self.inner.readiness(events))?;
        Ok((ready.now, ready.watch))
    }

    fn _watch(&self, bell: &Bound<'_, PyBell>) {
        self.inner.watch(&bell.get().0);
    }

    fn _unwatch(&self, bell: &Bound<'_, PyBell>) {
        self.inner.unwatch(&bell.get().0);
    }

    fn makefile<'py>(
        slf: &Bound<'py, Self>,
        mode: &str,
        buffering: Option<isize>,
        encoding: Option<&str>,
        errors: Option<&str>,
        newline: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = TextOptions {
            encoding,
            errors,
            newline,
        };
        makefile::open(slf, mode, buffering, text)
    }

    fn _decref_socketios(&self, py: Python<'_>) {
        if self.io_refs.remove_file() == CloseTime::Now {
            close(py, &self.inner, StartingConnection::close);
        }
    }

    fn export<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hand_over_to_anybody(py)
    }

    fn into_ktls<'py>(slf: &Bound<'py, Self>, backend: &str) -> PyResult<Bound<'py, PyAny>> {
        hand_over::into_ktls(slf, backend)
    }

    fn _hand_over_to_engine<'py>(&self, py: Python<'py>) -> PyResult<HandedOver<'py>> {
        self.hand_over_to_engine(py)
    }

    fn _hand_over_to_kernel<'py>(&self, install: &Bound<'py, PyAny>) -> PyResult<HandedOver<'py>> {
        self.hand_over_to_kernel(install)
    }

    fn close(&self, py: Python<'_>) {
        if self.io_refs.close() == CloseTime::Now {
            close(py, &self.inner, StartingConnection::close);
        }
    }

    fn relay(
        &self,
        py: Python<'_>,
        sock: &Bound<'_, PyAny>,
        idle_timeout: Option<f64>,
        stop_fd: i32,
        truncation: &str,
    ) -> PyResult<(u64, u64)> {
        let options = pair_options(idle_timeout, truncation)?;
        let plain = plain_only(sock)?;
        self.relay_to(py, plain, stop_fd, options)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: Option<Bound<'_, PyAny>>,
        _exc: Option<Bound<'_, PyAny>>,
        _tb: Option<Bound<'_, PyAny>>,
    ) {
        match exc_type {
            None => self.close(py),
            // The stream is incomplete, and the peer must not take it for complete.
            Some(_) => close(py, &self.inner, StartingConnection::close_incomplete),
        }
    }

    // Without `__clear__`: see that of `ServerConfig`.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.resolving.visit(&visit)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Connection fd={} {} {}>",
            self.fileno(),
            self.version().unwrap_or("in its handshake"),
            self.cipher().unwrap_or_default()
        )
        .replace(" >", ">")
    }
}

impl Drop for PyConnection {
    fn drop(&mut self) {
        // A relay that still uses the connection will close it.
        let is_ours = |connection: &Arc<Connection>| Arc::strong_count(connection) == 1;
        if self.inner.is_left_open() && self.inner.connection().is_none_or(is_ours) {
            self.origin.warn_unclosed(&self.__repr__());
        }
    }
}
