//! The check that the module runs in the main interpreter.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Refuses every interpreter except the main one, with `ImportError`.
///
/// Classes, callbacks and threads of this module belong to the process, and a subinterpreter that
/// ends would leave them pointing into its freed memory.
pub(crate) fn check_main(_attached: Python<'_>) -> PyResult<()> {
    // SAFETY: attached, as the token proves: the current interpreter is not null.
    match unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) } {
        MAIN => Ok(()),
        id => Err(PyImportError::new_err(format!(
            "ktls_fast runs in the main interpreter only, and this is subinterpreter {id}"
        ))),
    }
}

/// The number of the main interpreter in CPython.
const MAIN: i64 = 0;
