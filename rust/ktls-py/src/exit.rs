//! Work that remains when the interpreter ends.

use ktls_net::finish_before_exit;
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

/// Registers a function with `atexit`.
///
/// Functions that are registered later are called earlier, so relays end before this function runs,
/// and their connections are closed as well.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let finish = wrap_pyfunction!(finish_closing, py)?;
    py.import("atexit")?
        .call_method1("register", (finish,))
        .map(drop)
}

// An exception from a signal handler, such as Ctrl-C, ends the wait.
#[from_stub]
#[pyfunction(name = "_finish_closing")]
pub(crate) fn finish_closing(py: Python<'_>) -> PyResult<()> {
    let mut raised = Ok(());
    py.detach(|| {
        finish_before_exit(|| {
            raised = Python::attach(|py| py.check_signals());
            raised.is_ok()
        });
    });
    raised
}
