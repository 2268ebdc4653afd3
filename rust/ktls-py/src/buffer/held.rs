//! The buffer of a Python object, as its exporter describes it.

use std::ffi::{CStr, c_int};

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::{Borrowed, ffi};

/// C-contiguous bytes of a Python object. They stay in place until this is dropped.
pub(crate) struct HeldBuffer {
    view: ffi::Py_buffer,
    /// Whether the exporter's shape points to the length in `view` itself, so that it is reset for
    /// release.
    shape_is_len: bool,
    /// Whether the strides point to the item size in `view` itself.
    strides_are_item_size: bool,
}

// SAFETY: the fields do not change between `get` and `drop`, and `drop` attaches to the interpreter
// before it calls into Python.
unsafe impl Send for HeldBuffer {}
// SAFETY: as above; all methods only read the fields.
unsafe impl Sync for HeldBuffer {}

impl HeldBuffer {
    /// # Errors
    /// `TypeError` if the object has no buffer, `BufferError` if it is not C-contiguous or contains
    /// object references, and any exception of the exporter.
    pub(crate) fn get(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let mut buffer = match Self::request(object, ffi::PyBUF_FULL_RO) {
            Ok(buffer) => buffer,
            Err(refusal) => Self::without_format(object, refusal)?,
        };
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("the buffer is not C-contiguous"));
        }
        if holds_objects(buffer.format()) {
            return Err(object_references());
        }
        Ok(buffer)
    }

    /// Asks without a format: some exporters, such as NumPy's arrays of dates, have none.
    fn without_format(object: Borrowed<'_, '_, PyAny>, refusal: PyErr) -> PyResult<Self> {
        if refusal.is_instance_of::<PyTypeError>(object.py()) {
            return Err(refusal);
        }
        let holds_objects = object
            .getattr("dtype")
            .and_then(|dtype| dtype.getattr("hasobject"))
            .and_then(|hasobject| hasobject.extract());
        if holds_objects.unwrap_or(false) {
            return Err(object_references());
        }
        let writable = Self::request(object, ffi::PyBUF_WRITABLE);
        writable
            .or_else(|_| Self::request(object, ffi::PyBUF_SIMPLE))
            .map_err(|_| refusal)
    }

    fn request(object: Borrowed<'_, '_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = ffi::Py_buffer::new();
        // SAFETY: an object, and a place for its buffer. Where the exporter points into that place,
        // which is about to move, is remembered; nothing reads those pointers but what `drop`
        // calls.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut view, flags) } < 0 {
            return Err(PyErr::fetch(object.py()));
        }
        let (len, item_size) = (&raw mut view.len, &raw mut view.itemsize);
        Ok(Self {
            shape_is_len: view.shape == len,
            strides_are_item_size: view.strides == item_size,
            view,
        })
    }

    fn is_c_contiguous(&mut self) -> bool {
        self.point_to_itself();
        // SAFETY: a filled `Py_buffer`, whose pointers into itself are right.
        unsafe { ffi::PyBuffer_IsContiguous(&raw const self.view, b'C' as _) != 0 }
    }

    /// Sets the pointers into `view` to its current address.
    const fn point_to_itself(&mut self) {
        if self.shape_is_len {
            self.view.shape = &raw mut self.view.len;
        }
        if self.strides_are_item_size {
            self.view.strides = &raw mut self.view.itemsize;
        }
    }

    /// Returns the address of the first byte; for an empty buffer any non-null address.
    pub(crate) const fn start(&self) -> *mut u8 {
        self.view.buf.cast()
    }

    pub(crate) const fn len(&self) -> usize {
        self.view.len.unsigned_abs()
    }

    pub(crate) const fn is_read_only(&self) -> bool {
        self.view.readonly != 0
    }

    /// Returns the number of dimensions; 0 for a single item, such as a C structure.
    pub(crate) const fn dimensions(&self) -> c_int {
        self.view.ndim
    }

    pub(crate) const fn item_size(&self) -> isize {
        self.view.itemsize
    }

    /// Returns the format of an item, in the syntax of the module `struct`.
    pub(crate) fn format(&self) -> &[u8] {
        if self.view.format.is_null() {
            return b"B";
        }
        // SAFETY: the exporter keeps a string that ends in NUL there for as long as the buffer is
        // held.
        unsafe { CStr::from_ptr(self.view.format) }.to_bytes()
    }
}

impl Drop for HeldBuffer {
    fn drop(&mut self) {
        // Without an interpreter, the exporter is gone.
        let _released = Python::try_attach(|_| {
            self.point_to_itself();
            // SAFETY: filled by `request`, whole again as just made sure, and released once.
            unsafe { ffi::PyBuffer_Release(&raw mut self.view) }
        });
    }
}

/// Exports the bytes of a buffer as unsigned bytes, whatever the exporter's format is.
#[pyclass(frozen, module = "ktls_fast")]
pub(super) struct BytesOfBuffer(HeldBuffer);

impl BytesOfBuffer {
    pub(super) const fn new(buffer: HeldBuffer) -> Self {
        Self(buffer)
    }
}

#[pymethods]
impl BytesOfBuffer {
    /// # Safety
    /// Python calls it with a `view` that is null or points to space for a `Py_buffer`.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let held = &slf.get().0;
        let (start, len, read_only) = (held.start(), held.len(), held.is_read_only());
        // SAFETY: `view` is Python's. The object, which the view keeps alive, keeps the exporter's
        // bytes in place; they are shown as writable if the exporter declared them so.
        unsafe { fill_info(slf.as_any(), view, (start, len, read_only), flags) }
    }
}

/// Fills the requested `view` with bytes of `owner`.
///
/// # Safety
/// `view` is null or a place for a `Py_buffer`; `len` bytes at `start` live as long as `owner`, and
/// may be written to unless `read_only`.
pub(super) unsafe fn fill_info(
    owner: &Bound<'_, PyAny>,
    view: *mut ffi::Py_buffer,
    (start, len, read_only): (*mut u8, usize, bool),
    flags: c_int,
) -> PyResult<()> {
    let (start, len) = (start.cast(), len as ffi::Py_ssize_t);
    // SAFETY: guaranteed by the caller.
    let filled = unsafe {
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start, len, read_only.into(), flags)
    };
    if filled == 0 {
        return Ok(());
    }
    Err(PyErr::fetch(owner.py()))
}

fn object_references() -> PyErr {
    PyBufferError::new_err("the buffer holds references to objects, not bytes")
}

/// Returns `true` if a format has items that are object references. Field names are between colons.
fn holds_objects(format: &[u8]) -> bool {
    let mut codes = format.split(|&byte| byte == b':').step_by(2);
    codes.any(|codes| codes.contains(&b'O'))
}
