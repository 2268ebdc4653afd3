//! The hooks around `os.fork`, and the memory that both processes see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ktls_net::fork::{self, SharedNumber};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::buffer::SharedNumbers;

/// Asks Python to tell us of forks.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before, py)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_in_parent, py)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, py)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))
        .map(drop)
}

#[pyfunction]
fn before(py: Python<'_>) {
    // Without memory for them the fork goes on: the parent keeps all, and its child is refused.
    fork::before(|count| numbers(py, count).unwrap_or_default());
}

#[pyfunction]
fn after_in_parent() {
    fork::after_in_parent();
}

#[pyfunction]
fn after_in_child() {
    fork::after_in_child();
}

fn numbers(py: Python<'_>, count: usize) -> PyResult<Vec<Box<dyn SharedNumber>>> {
    let size = count.saturating_mul(SharedNumbers::SIZE);
    let map = py.import("mmap")?.call_method1("mmap", (-1, size))?;
    let numbers = Arc::new(SharedNumbers::new(&map)?);
    Ok((0..count)
        .map(|index| {
            Box::new(Number {
                numbers: Arc::clone(&numbers),
                index,
            }) as _
        })
        .collect())
}

#[derive(Debug)]
struct Number {
    numbers: Arc<SharedNumbers>,
    index: usize,
}

impl SharedNumber for Number {
    fn load(&self) -> u64 {
        let number = self.numbers.get(self.index);
        number.map_or(0, |number| number.load(Ordering::SeqCst))
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        let number = self.numbers.get(self.index);
        number.is_some_and(|number| number.compare_exchange(old, new, success, failure).is_ok())
    }
}
