//! Memory whose size a caller or a peer chooses: where there is none, that is a `MemoryError`.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// An empty vector with room for `len` items.
pub(crate) fn try_with_capacity<T>(len: usize) -> PyResult<Vec<T>> {
    let mut items = Vec::new();
    items
        .try_reserve_exact(len)
        .map_err(|_| no_memory(len.saturating_mul(size_of::<T>())))?;
    Ok(items)
}

/// All items of an iterator that knows how many there are.
pub(crate) fn try_collect<T>(items: impl ExactSizeIterator<Item = T>) -> PyResult<Vec<T>> {
    let len = items.len();
    let mut collected = try_with_capacity(len)?;
    // Not one more than there is room for.
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

/// A list of these items; `PyList::new` would panic.
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

/// Refuses work that needs so many bytes for what other crates allocate: they abort where there is none.
///
/// The bytes are taken and given back, never touched. What other threads take meanwhile is not seen.
pub(crate) fn check_room(bytes: usize) -> PyResult<()> {
    try_with_capacity::<u8>(bytes).map(drop)
}

/// The exception for so many bytes.
pub(crate) fn no_memory(bytes: usize) -> PyErr {
    PyMemoryError::new_err(format!("there is no memory for {bytes} bytes"))
}
