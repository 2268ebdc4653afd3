//! Code that the receiving calls share.

use ktls_core::Errno;
use ktls_core::socket::{ReceiveBuffers, ReceiveResult};
use ktls_net::ProgressDeadline;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::PyKtlsSocket;
use crate::buffer::new_bytes;
use crate::errors::refused;
use crate::socket_call::size;

impl PyKtlsSocket {
    /// Receives into new `bytes`, with one byte more for the inner type after a plaintext that just
    /// fits.
    pub(super) fn recv_fresh<'py>(
        &self,
        py: Python<'py>,
        bufsize: isize,
        control: usize,
        flags: i32,
    ) -> PyResult<(Bound<'py, PyAny>, ReceiveResult)> {
        let len = size(bufsize)?;
        let mut received = None;
        let data = new_bytes(py, len.saturating_add(1), |out| {
            let got = self.recv_target(
                py,
                &mut ReceiveBuffers::fresh(&mut [out], len),
                control,
                flags,
            )?;
            received = Some(got);
            PyResult::Ok(got.len)
        })?;
        let received = received.ok_or_else(|| refused(Errno::Io, "nothing was received"))?;
        Ok((data, received))
    }

    /// Receives into the first `wanted` bytes of `out`; 0 means all of it.
    pub(super) fn recv_front(
        &self,
        py: Python<'_>,
        out: &mut [u8],
        wanted: isize,
        flags: i32,
    ) -> PyResult<usize> {
        let len = out.len();
        let count = if wanted == 0 { len } else { size(wanted)? };
        let out = out.get_mut(..count).ok_or_else(|| {
            PyValueError::new_err(format!("{wanted} bytes into a buffer of {len}"))
        })?;
        let mut target = [out];
        let received = self.recv_target(py, &mut ReceiveBuffers::new(&mut target), 0, flags)?;
        Ok(received.len)
    }

    pub(super) fn recv_target(
        &self,
        py: Python<'_>,
        out: &mut ReceiveBuffers<'_, '_>,
        control: usize,
        flags: i32,
    ) -> PyResult<ReceiveResult> {
        let mut limit = ProgressDeadline::whole(self.timeout.patience());
        let flags = flags.cast_unsigned();
        self.run(py, || self.inner.recv(out, control, flags, &mut limit))
    }
}
