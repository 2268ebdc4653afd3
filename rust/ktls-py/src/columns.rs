//! Columns of a batch with one number per record: arrays of any exporter as arguments, NumPy arrays
//! as results.

use pyo3::Borrowed;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::buffer::{HeldBuffer, InputBuffer, OutputBuffer};

/// A one-dimensional array of `int64` as an argument.
pub(crate) struct Int64Array<'py>(InputBuffer<'py>);

/// A one-dimensional array of `uint8` as an argument.
pub(crate) struct Uint8Array<'py>(InputBuffer<'py>);

impl<'py> FromPyObject<'_, 'py> for Int64Array<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        array_of(object, "int64", b"lq", 8).map(Self)
    }
}

impl<'py> FromPyObject<'_, 'py> for Uint8Array<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        array_of(object, "uint8", b"B", 1).map(Self)
    }
}

impl Int64Array<'_> {
    /// Returns an iterator that reads each value when it gets there.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = i64> {
        let (values, _) = self.0.as_slice().as_chunks();
        values.iter().map(|&bytes| i64::from_ne_bytes(bytes))
    }
}

impl Uint8Array<'_> {
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = u8> {
        self.0.as_slice().iter().copied()
    }
}

/// Converts an array whose items have one of the type codes and this size.
fn array_of<'py>(
    object: Borrowed<'_, 'py, PyAny>,
    name: &str,
    codes: &[u8],
    item_size: isize,
) -> PyResult<InputBuffer<'py>> {
    let needed = |but: String| {
        let text = format!("a one-dimensional, C-contiguous array of {name} is needed, not {but}");
        Err(PyTypeError::new_err(text))
    };
    let buffer = match HeldBuffer::get(object) {
        Ok(buffer) => buffer,
        Err(error) => return needed(format!("{} ({error})", object.get_type())),
    };
    let native = matches!(native_code(buffer.format()), Some(code) if codes.contains(&code));
    if native && buffer.item_size() == item_size && buffer.dimensions() == 1 {
        return Ok(InputBuffer::Buffer(buffer));
    }
    let (dimensions, format) = (buffer.dimensions(), buffer.format().escape_ascii());
    let kind = object.get_type();
    needed(format!(
        "{kind} with {dimensions} dimensions and items of format \"{format}\""
    ))
}

/// Returns the type code of a format with a single code in native byte order, or `None`.
fn native_code(format: &[u8]) -> Option<u8> {
    let order = if cfg!(target_endian = "little") {
        b'<'
    } else {
        b'>'
    };
    match *format {
        [code] => Some(code),
        [prefix, code] if prefix == order || b"@=".contains(&prefix) => Some(code),
        _ => None,
    }
}

/// A column of a result, as a NumPy array that is created on first access and then kept.
pub(crate) struct LazyColumn(PyOnceLock<Py<PyAny>>);

impl LazyColumn {
    pub(crate) const fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// # Errors
    /// `ImportError` without NumPy; `MemoryError`.
    pub(crate) fn int64(
        &self,
        py: Python<'_>,
        len: usize,
        values: impl Iterator<Item = i64>,
    ) -> PyResult<Py<PyAny>> {
        self.array(py, len, "int64", |out| {
            let (places, _) = out.as_chunks_mut();
            for (place, value) in places.iter_mut().zip(values) {
                *place = value.to_ne_bytes();
            }
        })
    }

    /// # Errors
    /// `ImportError` without NumPy; `MemoryError`.
    pub(crate) fn uint8(&self, py: Python<'_>, values: &[u8]) -> PyResult<Py<PyAny>> {
        self.array(py, values.len(), "uint8", |out| {
            for (place, value) in out.iter_mut().zip(values) {
                *place = *value;
            }
        })
    }

    fn array(
        &self,
        py: Python<'_>,
        len: usize,
        dtype: &str,
        fill: impl FnOnce(&mut [u8]),
    ) -> PyResult<Py<PyAny>> {
        let make = || {
            let array = py.import("numpy")?.call_method1("empty", (len, dtype))?;
            fill(array.extract::<OutputBuffer>()?.as_mut_slice());
            Ok::<_, PyErr>(array.unbind())
        };
        Ok(self.0.get_or_try_init(py, make)?.clone_ref(py))
    }
}

/// Returns the offset of each item of contiguous items with these lengths.
pub(crate) fn starts(lengths: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
    let next = |at: &mut i64, len| Some(std::mem::replace(at, *at + len));
    lengths.scan(0, next)
}
