//! Results of a batch that are created on first access, because most callers do not use them.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::buffer::{OutputBuffer, view};

/// The first bytes of a buffer, as a memoryview that is created on first access.
pub(crate) struct FrontOfBuffer {
    buffer: Py<PyAny>,
    /// Prevents the caller's buffer from being resized.
    _held: Option<OutputBuffer>,
    len: usize,
    view: PyOnceLock<Py<PyAny>>,
}

impl FrontOfBuffer {
    pub(crate) fn new(buffer: Bound<'_, PyAny>, held: Option<OutputBuffer>, len: usize) -> Self {
        Self {
            buffer: buffer.unbind(),
            _held: held,
            len,
            view: PyOnceLock::new(),
        }
    }

    pub(crate) fn view(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let make = || Ok::<_, PyErr>(view(self.buffer.bind(py), self.len)?.unbind());
        Ok(self.view.get_or_try_init(py, make)?.clone_ref(py))
    }
}
