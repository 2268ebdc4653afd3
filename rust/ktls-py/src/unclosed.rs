//! The `ResourceWarning` about objects that are dropped open, as `socket.socket` emits it.

use pyo3::exceptions::{PyResourceWarning, PyWarning};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A Python object whose place of creation tracemalloc reports in the warning.
///
/// It is created along with the object to be warned of, which cannot be passed on while it is
/// dropped.
pub(crate) struct TracedOrigin(Option<Py<PyAny>>);

impl TracedOrigin {
    pub(crate) fn here(py: Python<'_>) -> Self {
        Self(py.get_type::<PyAny>().call0().ok().map(Bound::unbind))
    }

    /// Emits the warning for the object with this repr.
    pub(crate) fn warn_unclosed(&self, repr: &str) {
        let _warned = Python::try_attach(|py| {
            // An exception may be propagating while the object is dropped.
            let on_its_way = PyErr::take(py);
            let warned = self.warn(py, repr);
            // At the end of the interpreter, the warnings module may be gone.
            if let Err(error) = warned
                && error.is_instance_of::<PyWarning>(py)
            {
                error.write_unraisable(py, None);
            }
            if let Some(error) = on_its_way {
                error.restore(py);
            }
        });
    }

    fn warn(&self, py: Python<'_>, repr: &str) -> PyResult<()> {
        let text = format!("unclosed <ktls_fast.{}", repr.trim_start_matches('<'));
        let keywords = PyDict::new(py);
        keywords.set_item("source", self.0.as_ref())?;
        let category = py.get_type::<PyResourceWarning>();
        py.import("warnings")?
            .call_method("warn", (text, category), Some(&keywords))
            .map(drop)
    }
}
