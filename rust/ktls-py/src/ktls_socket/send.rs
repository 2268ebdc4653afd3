//! Code that the sending calls of `KtlsSocket` share.

use ktls_core::socket::call::SendControl;
use ktls_net::{KeptBytes, ProgressDeadline};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::PyKtlsSocket;
use crate::buffer::InputBuffer;
use crate::memory::try_collect;
use crate::socket_call::collect;

impl PyKtlsSocket {
    pub(super) fn send_slices(
        &self,
        py: Python<'_>,
        buffers: &[InputBuffer<'_>],
        controls: &[SendControl<'_>],
        flags: i32,
    ) -> PyResult<usize> {
        let flags = flags.cast_unsigned();
        let mut limit = ProgressDeadline::until_taken(self.timeout.patience());
        let slices = try_collect(buffers.iter().map(InputBuffer::as_slice))?;
        let kept = self.kept(py, buffers)?;
        self.run(py, || {
            self.inner.send(&slices, &kept, controls, flags, &mut limit)
        })
    }

    /// Sends all of `data`, up to the timeout of the socket for the whole.
    pub(super) fn send_whole(
        &self,
        py: Python<'_>,
        data: &InputBuffer<'_>,
        flags: i32,
    ) -> PyResult<()> {
        let kept = self.kept(py, std::slice::from_ref(data))?;
        let (data, flags) = (data.as_slice(), flags.cast_unsigned());
        let mut limit = ProgressDeadline::whole(self.timeout.patience());
        let mut taken = 0;
        self.run(py, || {
            self.inner
                .send_all(data, &kept, flags, &mut limit, &mut taken)
        })
    }

    /// Sends an iterable of buffers with an iterable of control messages.
    pub(super) fn send_message(
        &self,
        py: Python<'_>,
        buffers: &Bound<'_, PyAny>,
        ancdata: Option<&Bound<'_, PyAny>>,
        flags: i32,
    ) -> PyResult<usize> {
        let buffers = collect::<InputBuffer<'_>>(buffers)?;
        let ancdata = ancdata.map_or(Ok(Vec::new()), collect::<(i32, i32, InputBuffer<'_>)>)?;
        let controls = ancdata.iter().map(|(level, kind, data)| SendControl {
            level: *level,
            kind: *kind,
            data: data.as_slice(),
        });
        let controls = try_collect(controls)?;
        self.send_slices(py, &buffers, &controls, flags)
    }

    /// Returns the buffers that a queue may use without a copy.
    pub(super) fn kept(
        &self,
        py: Python<'_>,
        buffers: &[InputBuffer<'_>],
    ) -> PyResult<Vec<Option<KeptBytes>>> {
        self.release_spent(py);
        let Some(spent) = self.spent.as_ref().filter(|_| self.inner.is_queued()) else {
            return Ok(Vec::new());
        };
        let keep = |buffer: &InputBuffer<'_>| match buffer {
            InputBuffer::Bytes(bytes) => Some(spent.keep(bytes)),
            InputBuffer::Buffer(_) => None,
        };
        try_collect(buffers.iter().map(keep))
    }

    pub(super) fn release_spent(&self, py: Python<'_>) {
        if let Some(spent) = &self.spent {
            spent.release(py);
        }
    }
}

/// Checks that an address is a tuple. Its value is ignored, because a connected socket sends to its
/// peer.
pub(super) fn check_address(address: &Bound<'_, PyAny>) -> PyResult<()> {
    if address.is_instance_of::<PyTuple>() {
        return Ok(());
    }
    let given = address.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "the address is a tuple, not {given}"
    )))
}
