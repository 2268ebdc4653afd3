//! What most callers of a batch never look at is made when they do.

use numpy::{Element, PyArray1};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::buffer::{Output, view};

/// One number per record, as a NumPy array once it is asked for.
pub(crate) struct Column<T>(PyOnceLock<Py<PyArray1<T>>>);

impl<T: Element> Column<T> {
    pub(crate) const fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// The same array at each call, of the values that were first given.
    pub(crate) fn array(&self, py: Python<'_>, values: impl FnOnce() -> Vec<T>) -> Py<PyArray1<T>> {
        let make = || PyArray1::from_vec(py, values()).unbind();
        self.0.get_or_init(py, make).clone_ref(py)
    }
}

/// Where each of some lengths begins, if they lie side by side.
pub(crate) fn starts(lengths: impl Iterator<Item = i64>) -> Vec<i64> {
    let next = |at: &mut i64, len| Some(std::mem::replace(at, *at + len));
    lengths.scan(0, next).collect()
}

/// The first bytes of a buffer, as a memoryview once it is asked for.
pub(crate) struct Front {
    buffer: Py<PyAny>,
    /// Keeps a caller's buffer from being resized.
    _held: Option<Output>,
    len: usize,
    view: PyOnceLock<Py<PyAny>>,
}

impl Front {
    pub(crate) fn new(buffer: Bound<'_, PyAny>, held: Option<Output>, len: usize) -> Self {
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
