//! Memory of huge outputs, kept for later ones: page faults on fresh memory cost more than the
//! records.

use std::ffi::c_int;
use std::sync::Mutex;

use pyo3::ffi;
use pyo3::prelude::*;

use super::held::fill_info;
use crate::memory::try_with_capacity;

/// From this size on, allocators return memory to the system as soon as it is freed.
pub(super) const HUGE: usize = 32 << 20;
/// The number of buffers kept: a caller often holds one while the next one is filled.
const KEPT: usize = 2;
/// The maximum size of a buffer that is kept, in bytes.
const MOST: usize = 256 << 20;

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Immutable bytes in memory that returns to the pool.
#[pyclass(frozen, module = "ktls_fast")]
pub(super) struct HugeBytes {
    memory: PooledMemory,
    len: usize,
}

/// Memory that returns to the pool when it is dropped. It may be larger than requested.
struct PooledMemory(Vec<u8>);

impl HugeBytes {
    /// Creates at most `len` bytes. `fill` writes the first ones and returns their number.
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
        // SAFETY: `view` is Python's. The bytes stay where they are and as they are for as long as
        // the object lives, which the view keeps alive. The view is read-only, so the pointer is
        // not written through. The memory after `len` belongs to earlier outputs and is not
        // exported.
        unsafe { fill_info(slf.as_any(), view, (start, len, true), flags) }
    }
}

impl PooledMemory {
    /// Returns the smallest kept buffer that is large enough and not much larger, or a new one.
    fn take(len: usize) -> PyResult<Self> {
        if let Some(kept) = Self::kept(len) {
            return Ok(kept);
        }
        let mut bytes = try_with_capacity(len)?;
        bytes.resize(len, 0);
        Ok(Self(bytes))
    }

    fn kept(len: usize) -> Option<Self> {
        // Never waits for the lock, which a fork may have copied in its locked state.
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
        // The oldest buffer is dropped, because sizes change with the caller.
        let oldest = (pool.len() == KEPT).then(|| pool.remove(0));
        pool.push(bytes);
        drop((pool, oldest));
    }
}
