//! Memory whose size a caller or a peer chooses. A failed allocation is a `MemoryError`.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Returns an empty vector with room for `len` items.
pub(crate) fn try_with_capacity<T>(len: usize) -> PyResult<Vec<T>> {
    let mut items = Vec::new();
    items
        .try_reserve_exact(len)
        .map_err(|_| no_memory(len.saturating_mul(size_of::<T>())))?;
    Ok(items)
}

/// Collects the items of an iterator that knows their number.
pub(crate) fn try_collect<T>(items: impl ExactSizeIterator<Item = T>) -> PyResult<Vec<T>> {
    let len = items.len();
    let mut collected = try_with_capacity(len)?;
    // An iterator that returns more items than announced must not grow the vector.
    collected.extend(items.take(len));
    Ok(collected)
}

/// Appends one item.
pub(crate) fn try_push<T>(items: &mut Vec<T>, item: T) -> PyResult<()> {
    items
        .try_reserve(1)
        .map_err(|_| no_memory(items.len().saturating_mul(2 * size_of::<T>())))?;
    items.push(item);
    Ok(())
}

/// Returns a Python list of these items. `PyList::new` would panic without memory.
pub(crate) fn list_of<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    items: impl Iterator<Item = PyResult<T>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(item?)?;
    }
    Ok(list)
}

/// Checks that this many bytes are available for allocations of other crates, which abort on
/// failure.
///
/// The bytes are allocated and freed without being touched. Allocations of other threads in the
/// meantime are not taken into account.
pub(crate) fn check_room(bytes: usize) -> PyResult<()> {
    try_with_capacity::<u8>(bytes).map(drop)
}

/// Returns the exception for a failed allocation of this many bytes.
pub(crate) fn no_memory(bytes: usize) -> PyErr {
    PyMemoryError::new_err(format!("there is no memory for {bytes} bytes"))
}
