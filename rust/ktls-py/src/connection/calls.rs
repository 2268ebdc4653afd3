//! Code that the calls of `Connection` share.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ktls_core::Errno;
use ktls_net::{
    ConnectionCounts, HandshakeFacts, NetError, PairOptions, ProgressDeadline, Relay,
    StartingConnection, Wait,
};
use pyo3::prelude::*;

use super::PyConnection;
use super::io_refs::IoRefs;
use crate::buffer::dup_fd;
use crate::errors::{connection_error, refused, unless_blocked, want_read, want_write};
use crate::handshake_facts::key_update_reply;
use crate::python_socket;
use crate::resolver::Resolving;
use crate::timeout::{SocketTimeout, wait_for, wait_or};
use crate::unclosed::TracedOrigin;

impl PyConnection {
    pub(super) fn new(
        py: Python<'_>,
        inner: StartingConnection,
        timeout: SocketTimeout,
        resolving: Resolving,
    ) -> Self {
        Self {
            inner,
            timeout,
            io_refs: IoRefs::default(),
            resolving,
            origin: TracedOrigin::here(py),
        }
    }

    /// Runs a call that may wait for TCP to accept bytes, after the check that this process may use
    /// the connection.
    pub(super) fn run<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnMut() -> Result<R, NetError> + Send,
    ) -> PyResult<R> {
        self.run_or(py, want_write, call)
    }

    /// Runs a call that may wait. `blocked` is its error if the connection does not.
    pub(super) fn run_or<R: Send>(
        &self,
        py: Python<'_>,
        blocked: fn() -> PyErr,
        call: impl FnMut() -> Result<R, NetError> + Send,
    ) -> PyResult<R> {
        self.inner.check_reachable().map_err(connection_error)?;
        wait_or(py, |error| unless_blocked(error, blocked), call)
    }

    /// Returns what the handshake agreed on; `None` before its end.
    pub(super) fn facts(&self) -> Option<&HandshakeFacts> {
        Some(self.inner.connection()?.facts())
    }

    pub(super) fn counts(
        &self,
        py: Python<'_>,
        pick: impl Fn(ConnectionCounts) -> u64 + Sync,
    ) -> PyResult<u64> {
        match self.inner.connection() {
            Some(connection) => self.run(py, || Ok(pick(connection.counts()))),
            None => Ok(0),
        }
    }

    /// Waits until the socket has accepted the sealed bytes, if the connection is blocking.
    pub(super) fn flush(&self, py: Python<'_>, limit: &mut ProgressDeadline) -> PyResult<()> {
        if limit.patience() == Wait::Never {
            return Ok(());
        }
        let connection = self.connection(py)?;
        self.run(py, || connection.flush(limit))
    }

    /// Returns the wait of a call that continues after signal handlers have run.
    pub(super) fn limit(&self) -> ProgressDeadline {
        ProgressDeadline::whole(self.timeout.patience())
    }

    /// Sends as much as the timeout allows. Signal handlers run in between.
    pub(super) fn write_from(
        &self,
        py: Python<'_>,
        data: &[u8],
        limit: &mut ProgressDeadline,
    ) -> PyResult<usize> {
        let connection = self.connection(py)?;
        self.inner.check_reachable().map_err(connection_error)?;
        let mut taken = 0;
        loop {
            let end = data.len().min(taken + SLICE);
            let slice = data.get(taken..end).unwrap_or_default();
            match py.detach(|| connection.write(slice, limit)) {
                Ok(count) => taken += count,
                Err(NetError::Interrupted) => {}
                Err(_) if taken > 0 => return Ok(taken),
                Err(error) => return Err(unless_blocked(error, want_write)),
            }
            py.check_signals()?;
            if taken == data.len() {
                return Ok(taken);
            }
        }
    }

    pub(super) fn read_to(&self, py: Python<'_>, out: &mut [u8]) -> PyResult<usize> {
        let connection = self.connection(py)?;
        let mut limit = self.limit();
        self.run_or(py, want_read, || connection.read(out, &mut limit))
    }

    pub(super) fn send_whole(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let (mut rest, mut limit) = (data, self.limit());
        while !rest.is_empty() {
            let taken = self.write_from(py, rest, &mut limit)?;
            rest = rest.get(taken..).unwrap_or_default();
        }
        self.flush(py, &mut limit)
    }

    pub(super) fn update_key(&self, py: Python<'_>, request_peer: bool) -> PyResult<()> {
        let connection = self.connection(py)?;
        let reply = key_update_reply(connection.facts(), request_peer)?;
        let mut limit = self.limit();
        self.run(py, || connection.key_update(reply, limit.patience()))?;
        self.flush(py, &mut limit)
    }

    /// Relays to a plain socket until both directions have ended, or `stop_fd` is readable.
    pub(super) fn relay_to(
        &self,
        py: Python<'_>,
        plain: OwnedFd,
        stop_fd: i32,
        options: PairOptions,
    ) -> PyResult<(u64, u64)> {
        let stop: Option<OwnedFd> = if stop_fd < 0 {
            None
        } else {
            Some(dup_fd(stop_fd)?)
        };
        let relay = Relay::new(Arc::clone(self.connection(py)?), plain, stop, options);
        let mut relay = relay.map_err(connection_error)?;
        wait_for(py, || relay.run())
    }

    pub(super) fn ask_socket(&self, py: Python<'_>, method: &str) -> PyResult<Py<PyAny>> {
        let fd = self.inner.descriptor().map_err(connection_error)?;
        python_socket::call(py, &fd, method, ())
    }
}

/// Runs a close without the GIL, except in a child that does not own the connection: it waits for
/// no lock, and threads that want the GIL may not exist there.
pub(super) fn close(
    py: Python<'_>,
    connection: &StartingConnection,
    close: fn(&StartingConnection),
) {
    match connection.check_reachable() {
        Ok(()) => py.detach(|| close(connection)),
        Err(_) => close(connection),
    }
}

/// The number of plaintext bytes to send between two checks for signals.
const SLICE: usize = 1 << 20;

pub(super) fn no_flags(flags: i64) -> PyResult<()> {
    match flags {
        0 => Ok(()),
        _ => Err(refused(
            Errno::OpNotSupp,
            format!("flags {flags:#x}: a TLS connection has none"),
        )),
    }
}
