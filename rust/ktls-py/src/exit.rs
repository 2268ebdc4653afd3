//! The end of the interpreter.

use ktls_net::finish_before_exit;
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

/// Asks Python to tell us of its end. What is registered later is called earlier, so that relays that end
/// then have their connections closed as well.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let finish = wrap_pyfunction!(finish_closing, py)?;
    py.import("atexit")?
        .call_method1("register", (finish,))
        .map(drop)
}

/// Waits until the peers of closed connections have everything, with limits. A signal's handler that raises,
/// as that of Ctrl-C does, ends it.
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
