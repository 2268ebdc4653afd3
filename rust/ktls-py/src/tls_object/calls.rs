//! Code that the calls of `TLSObject` share.

use ktls_net::{ConnectionCounts, NetError, ObjectRead, TlsObject};
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use super::PyTlsObject;
use crate::buffer::copy_bytes;
use crate::errors::{connection_error, unless_blocked, want_read};
use crate::lock::DETACH_FROM;
use crate::resolver::{Resolving, is_of_handshake};

impl PyTlsObject {
    pub(super) fn over(tls: TlsObject) -> Self {
        Self {
            tls,
            resolving: Resolving::default(),
        }
    }

    /// Calls the resolver if the ClientHello has just arrived. No lock is held meanwhile.
    ///
    /// # Errors
    /// Returns an exception of the resolver that is not an `Exception`; others are the cause of later errors.
    pub(super) fn resolve(&self, py: Python<'_>) -> PyResult<()> {
        let Some(request) = py.detach(|| self.tls.take_server_name_request()) else {
            return Ok(());
        };
        let answer = self.resolving.answer(py, request);
        py.detach(|| self.tls.answer(answer))
            .map_err(connection_error)?;
        self.resolving.take_interrupt(py).map_or(Ok(()), Err)
    }

    /// Runs a call on the receiving half that processes this many bytes.
    pub(super) fn run_reading<R: Ungil>(
        &self,
        py: Python<'_>,
        bytes: usize,
        call: impl FnOnce() -> R + Send,
    ) -> PyResult<R> {
        self.run(py, bytes, TlsObject::reads_at_once, call)
    }

    /// Runs a call on the sending half that processes this many bytes.
    pub(super) fn run_writing<R: Ungil>(
        &self,
        py: Python<'_>,
        bytes: usize,
        call: impl FnOnce() -> R + Send,
    ) -> PyResult<R> {
        self.run(py, bytes, TlsObject::writes_at_once, call)
    }

    /// Runs a call. It keeps the GIL if it is short and `is_free` says that it will not wait for a
    /// lock.
    ///
    /// Another thread may take the lock in between. That thread does not need the GIL to release
    /// it.
    fn run<R: Ungil>(
        &self,
        py: Python<'_>,
        bytes: usize,
        is_free: fn(&TlsObject) -> bool,
        call: impl FnOnce() -> R + Send,
    ) -> PyResult<R> {
        self.tls.check_reachable().map_err(connection_error)?;
        if bytes < DETACH_FROM && is_free(&self.tls) {
            return Ok(call());
        }
        Ok(py.detach(call))
    }

    pub(super) fn read_to(&self, py: Python<'_>, most: usize, out: &mut [u8]) -> PyResult<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let read = self.run_reading(py, out.len(), || self.tls.read(most, out))?;
        match read.map_err(|error| self.error(py, error))? {
            ObjectRead::Data(count) => Ok(count.get()),
            ObjectRead::End => Ok(0),
            ObjectRead::NotYet => Err(want_read()),
        }
    }

    /// Reads where no data is expected: the end, an error, or records without data. Another thread
    /// may have changed that.
    pub(super) fn read_byte<'py>(
        &self,
        py: Python<'py>,
        most: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut byte = [0];
        let room = most.min(byte.len());
        let out = byte.get_mut(..room).unwrap_or_default();
        let count = self.read_to(py, room, out)?;
        copy_bytes(py, byte.get(..count).unwrap_or_default())
    }

    pub(super) fn count(
        &self,
        py: Python<'_>,
        pick: impl Fn(ConnectionCounts) -> u64 + Sync,
    ) -> PyResult<u64> {
        self.tls.check_reachable().map_err(connection_error)?;
        let counts = py.detach(|| self.tls.counts());
        Ok(counts.map_or(0, pick))
    }

    /// Converts an error of a call that needs a complete handshake.
    pub(super) fn error(&self, py: Python<'_>, error: NetError) -> PyErr {
        let is_handshake = is_of_handshake(&error);
        self.resolving
            .explain(py, is_handshake, unless_blocked(error, want_read))
    }
}
