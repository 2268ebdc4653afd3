//! Memory of huge outputs, kept for the next: the system's fresh pages cost more than the work on them.

use std::ffi::c_int;
use std::sync::Mutex;

use pyo3::ffi;
use pyo3::prelude::*;

use super::held::fill_info;
use crate::memory::try_with_capacity;

/// From this size on an allocator gives memory back to the system as soon as it is free.
pub(super) const HUGE: usize = 32 << 20;
/// Buffers kept: a caller often holds one while the next is filled.
const KEPT: usize = 2;
/// Nothing larger is kept.
const MOST: usize = 256 << 20;

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes that nobody changes any more, in memory that goes back to the pool.
#[pyclass(frozen, module = "ktls_fast")]
pub(super) struct HugeBytes {
    memory: PooledMemory,
    len: usize,
}

/// What goes back when it is dropped; it may be longer than was asked for.
struct PooledMemory(Vec<u8>);

impl HugeBytes {
    /// At most `len` bytes, of which `fill` writes the first part and tells how much that is.
    pub(super) fn new<E: Into<PyErr>>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> PyResult<Self> {
        let mut memory = PooledMemory::take(len)?;
        let out = memory.0.get_mut(..len).unwrap_or_default();
        let len = fill(out).map_err(Into::into)?;
        Ok(Self { memory, len })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.memory.0.get(..self.len).unwrap_or_default()
    }
}

#[pymethods]
impl HugeBytes {
    /// # Safety
    /// As Python calls it: `view` is null, or a place for a `Py_buffer`.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = slf.get().as_slice();
        let (start, len) = (bytes.as_ptr().cast_mut(), bytes.len());
        // SAFETY: `view` is Python's. The bytes stay where they are and as they are for as long as the
        // object lives, which the view then keeps alive; it is read-only, so that nobody writes
        // through the pointer. What lies behind `len` belongs to earlier outputs and is not shown.
        unsafe { fill_info(slf.as_any(), view, (start, len, true), flags) }
    }
}

impl PooledMemory {
    /// The smallest that is large enough and not much larger, or fresh.
    fn take(len: usize) -> PyResult<Self> {
        if let Some(kept) = Self::kept(len) {
            return Ok(kept);
        }
        let mut bytes = try_with_capacity(len)?;
        bytes.resize(len, 0);
        Ok(Self(bytes))
    }

    fn kept(len: usize) -> Option<Self> {
        // Never waited for: a fork may have copied it locked, and fresh memory is no worse than none.
        let mut pool = POOL.try_lock().ok()?;
        let fits = |bytes: &Vec<u8>| (len..=len.saturating_mul(2)).contains(&bytes.len());
        let fitting = pool.iter().enumerate().filter(|(_, bytes)| fits(bytes));
        let (at, _) = fitting.min_by_key(|(_, bytes)| bytes.len())?;
        Some(Self(pool.swap_remove(at)))
    }
}

impl Drop for PooledMemory {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        let Ok(mut pool) = POOL.try_lock() else {
            return;
        };
        if bytes.len() > MOST {
            return;
        }
        // The one that was kept longest goes: sizes change with the caller.
        let oldest = (pool.len() == KEPT).then(|| pool.remove(0));
        pool.push(bytes);
        drop((pool, oldest));
    }
}
