//! The deprecated keyword `backend` of `KtlsSocket`, which is to be removed in 0.3.

use ktls_py_macros::from_stub;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::offload_queue::PyOffloadQueue;
use crate::stat::PyNamespace;

static ANSWER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

#[from_stub]
#[pyfunction(name = "_answer_backend_keyword")]
pub(crate) fn answer_backend_keyword(py: Python<'_>, function: Py<PyAny>) {
    let _known = ANSWER.set(py, function);
}

/// Returns the result of the registered function for the arguments of `KtlsSocket`.
pub(super) fn call<'py>(
    sock: &Bound<'py, PyAny>,
    backend: &str,
    namespace: Option<&Bound<'py, PyNamespace>>,
    device: Option<&Bound<'py, PyOffloadQueue>>,
    record_limit: Option<u64>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(answer) = ANSWER.get(sock.py()) else {
        return Err(PyTypeError::new_err("backend: call ktls_socket()"));
    };
    let arguments = (sock, backend, namespace, device, record_limit);
    answer.bind(sock.py()).call1(arguments)
}
