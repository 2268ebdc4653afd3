//! Raw memory and descriptors of Python objects. `unsafe` is used here and in `capi` only.
#![expect(
    unsafe_code,
    reason = "raw buffers and descriptors of Python objects are turned into Rust's here"
)]

mod held;
mod interpreter;
mod pool;

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use pyo3::{Borrowed, ffi};

use ktls_core::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::errors::{os_error, refused};
use held::BytesOfBuffer;
pub(crate) use held::HeldBuffer;
pub(crate) use interpreter::check_main;
use pool::HugeBytes;

/// A readable buffer as an argument, used in place.
///
/// `bytes` are borrowed; other buffers are held until it is dropped.
pub(crate) enum InputBuffer<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(HeldBuffer),
}

impl<'py> FromPyObject<'_, 'py> for InputBuffer<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.to_owned())),
            Err(_) => Ok(Self::Buffer(HeldBuffer::get(object)?)),
        }
    }
}

impl InputBuffer<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            Self::Buffer(buffer) if buffer.len() == 0 => &[],
            // SAFETY: the exporter keeps `len` contiguous bytes at `start` alive and in place
            // for as long as the buffer is held, and the slice borrows from it. Another thread may
            // write to them meanwhile; the bytes only go to the AEAD, or are read once as a header
            // whose bounds are checked on the value read: the outcome is then undefined contents,
            // as documented, never an access outside the buffer.
            Self::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.start(), buffer.len())
            },
        }
    }
}

/// A writable buffer as an argument, used in place.
pub(crate) struct OutputBuffer(HeldBuffer);

impl FromPyObject<'_, '_> for OutputBuffer {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let buffer = HeldBuffer::get(object)?;
        if buffer.is_read_only() {
            return Err(PyBufferError::new_err("the output buffer is read-only"));
        }
        Ok(Self(buffer))
    }
}

impl OutputBuffer {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        if self.0.len() == 0 {
            return &mut [];
        }
        // SAFETY: as in `InputBuffer::as_slice`; the exporter declared the memory writable, `self`
        // is borrowed mutably, and callers refuse an input that overlaps it (`check_apart`).
        unsafe { std::slice::from_raw_parts_mut(self.0.start(), self.0.len()) }
    }
}

/// Numbers in memory that a fork shares instead of copying. They are 0 at first.
#[derive(Debug)]
pub(crate) struct SharedNumbers {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is this object's until it is dropped, and all accesses to it, here and in
// other processes, are atomic.
unsafe impl Send for SharedNumbers {}
// SAFETY: as above.
unsafe impl Sync for SharedNumbers {}

impl SharedNumbers {
    /// Returns `None` if the system has no memory, or `count` is 0.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let size = count.checked_mul(size_of::<AtomicU64>())?;
        // SAFETY: a mapping of its own at a place of the system's choice, which touches no other.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), size, prot, flags) }.ok()?;
        let start = NonNull::new(start.cast())?;
        Some(Self { start, count })
    }

    pub(crate) fn as_slice(&self) -> &[AtomicU64] {
        // SAFETY: `count` numbers fit the mapping, which begins at a page, holds zeros or what
        // atomics wrote, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for SharedNumbers {
    fn drop(&mut self) {
        let size = self.count * size_of::<AtomicU64>();
        // SAFETY: the mapping of `new`, of the same size; no borrow of it is left. It cannot fail
        // for such a one.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), size) };
    }
}

/// Refuses two buffers that share memory, with EINVAL.
pub(crate) fn check_apart(input: &[u8], output: &[u8]) -> PyResult<()> {
    if overlap(input, output) {
        return Err(refused(Errno::Inval, "input and output buffer overlap"));
    }
    Ok(())
}

/// Returns `true` if two slices share memory.
fn overlap(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    a.start < b.end && b.start < a.end
}

/// Returns a new `bytes` object or, if it is huge, a read-only buffer whose memory is used again.
///
/// `fill` writes the first part of it and returns its length; see [`new_bytes`].
pub(crate) fn batch_bytes<'py, E: Into<PyErr>>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> PyResult<Bound<'py, PyAny>> {
    if len < pool::HUGE {
        return new_bytes(py, len, fill);
    }
    let filled = HugeBytes::new(len, fill)?;
    if filled.as_slice().len() < pool::HUGE {
        // A short result must not keep a large buffer, if a copy is possible.
        if let Ok(copy) = copy_bytes(py, filled.as_slice()) {
            return Ok(copy);
        }
    }
    Ok(Bound::new(py, filled)?.into_any())
}

/// Returns new `bytes` with these contents.
///
/// # Errors
/// `MemoryError`, where `PyBytes::new` would panic.
pub(crate) fn copy_bytes<'py>(py: Python<'py>, contents: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    new_bytes(py, contents.len(), |out| {
        out.copy_from_slice(contents);
        PyResult::Ok(contents.len())
    })
}

/// Returns new `bytes` of at most `len` bytes. `fill` writes the first part and returns its length.
///
/// `fill` may detach. It must not read what it has not written.
pub(crate) fn new_bytes<'py, E: Into<PyErr>>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> PyResult<Bound<'py, PyAny>> {
    let size = ffi::Py_ssize_t::try_from(len)
        .map_err(|_| PyValueError::new_err(format!("{len} bytes are too many")))?;
    // SAFETY: null asks for uninitialised contents; the result is a new reference or null, which
    // `from_owned_ptr_or_err` tells apart.
    let object = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), size))?
    };
    // SAFETY: the memory is that of a new bytes object of `len` bytes which no other code has seen;
    // for `len` 0 it is the shared empty object, of which no byte is accessed. The memory may be
    // uninitialised. We rely on two things: `fill` writes each byte before it reads it, and a `&mut
    // [u8]` to such memory is sound as long as that holds, which the compiler does not check.
    // Zeroing the memory first, as `PyBytes::new_with` does, would be another pass over the bytes.
    let contents = unsafe {
        let start = ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>();
        std::slice::from_raw_parts_mut(start, len)
    };
    let filled = fill(contents).map_err(Into::into)?;
    if filled == len {
        Ok(object)
    } else {
        shrink(object, filled)
    }
}

/// Truncates `bytes` that no other code has seen.
fn shrink(object: Bound<'_, PyAny>, len: usize) -> PyResult<Bound<'_, PyAny>> {
    let py = object.py();
    let mut raw = object.into_ptr();
    // SAFETY: `raw` is our only reference to bytes that are longer than `len`. On failure the call
    // has released it, set an exception and written null, which `from_owned_ptr_or_err` turns into
    // that exception; otherwise `raw` is a reference that we own.
    unsafe {
        _PyBytes_Resize(&raw mut raw, len as ffi::Py_ssize_t);
        Bound::from_owned_ptr_or_err(py, raw)
    }
}

unsafe extern "C" {
    /// It is part of the stable ABI, but missing from pyo3's bindings.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// Returns a memoryview of the first `len` bytes of a buffer.
pub(crate) fn view<'py>(buffer: &Bound<'py, PyAny>, len: usize) -> PyResult<Bound<'py, PyAny>> {
    let view = if is_ours(buffer) {
        PyMemoryView::from(buffer)?
    } else {
        let held = HeldBuffer::get(buffer.as_borrowed())?;
        let bytes = Bound::new(buffer.py(), BytesOfBuffer::new(held))?;
        PyMemoryView::from(bytes.as_any())?
    };
    view.get_item(pyo3::types::PySlice::new(buffer.py(), 0, len as isize, 1))
}

/// Returns `true` for objects of the types that [`batch_bytes`] returns.
fn is_ours(buffer: &Bound<'_, PyAny>) -> bool {
    buffer.is_instance_of::<PyBytes>() || buffer.is_instance_of::<HugeBytes>()
}

/// Refuses objects that are not Python sockets, with `TypeError`.
pub(crate) fn check_socket(object: &Bound<'_, PyAny>) -> PyResult<()> {
    if object.is_instance(&object.py().import("socket")?.getattr("socket")?)? {
        return Ok(());
    }
    let kind = object.get_type();
    Err(PyTypeError::new_err(format!(
        "{kind} is not a socket.socket"
    )))
}

/// Detaches a Python socket and returns its descriptor.
pub(crate) fn take_fd(socket: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    check_socket(socket)?;
    let fd: RawFd = socket.call_method0("detach")?.extract()?;
    if fd < 0 {
        return Err(PyValueError::new_err("the socket is closed"));
    }
    // SAFETY: `detach` has just given up the open descriptor: it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Duplicates `fd`, which the caller keeps open.
pub(crate) fn dup_fd(fd: RawFd) -> PyResult<OwnedFd> {
    if fd < 0 {
        // The number of a closed socket.
        return Err(os_error(EBADF, ""));
    }
    // SAFETY: not negative, and borrowed for the duration of one system call, which returns EBADF
    // if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed
        .try_clone_to_owned()
        .map_err(|error| os_error(error.raw_os_error().unwrap_or(EBADF), ""))
}

/// The number is the same on every Unix.
pub(crate) const EBADF: i32 = 9;
