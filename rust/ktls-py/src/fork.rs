//! The hooks of `os.fork`, and the memory that both processes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ktls_net::fork::SharedNumber;
use ktls_net::fork_hooks;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::buffer::SharedNumbers;

/// Registers the hooks with Python.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before, py)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_in_parent, py)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, py)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))
        .map(drop)
}

/// Calls nothing of Python, because its other threads would continue in the meantime and wait for
/// us.
#[pyfunction]
fn before() {
    // Without memory the fork continues: the parent keeps all objects, and its child is refused.
    fork_hooks::before(|count| numbers(count).unwrap_or_default());
}

#[pyfunction]
fn after_in_parent() {
    fork_hooks::after_in_parent();
}

#[pyfunction]
fn after_in_child() {
    fork_hooks::after_in_child();
}

fn numbers(count: usize) -> Option<Vec<Box<dyn SharedNumber>>> {
    let numbers = Arc::new(SharedNumbers::new(count)?);
    let number = |index| {
        let numbers = Arc::clone(&numbers);
        Box::new(ForkNumber { numbers, index }) as _
    };
    Some((0..count).map(number).collect())
}

#[derive(Debug)]
struct ForkNumber {
    numbers: Arc<SharedNumbers>,
    index: usize,
}

impl ForkNumber {
    fn number(&self) -> Option<&AtomicU64> {
        self.numbers.as_slice().get(self.index)
    }
}

impl SharedNumber for ForkNumber {
    fn load(&self) -> u64 {
        self.number()
            .map_or(0, |number| number.load(Ordering::SeqCst))
    }

    fn compare_exchange(&self, old: u64, new: u64) -> Result<u64, u64> {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        let number = self.number().ok_or(0_u64)?;
        number.compare_exchange(old, new, success, failure)
    }
}
