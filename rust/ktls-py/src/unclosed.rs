//! The `ResourceWarning` about what is dropped open, as `socket.socket` gives it.

use pyo3::exceptions::{PyResourceWarning, PyWarning};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What tracemalloc is asked for the place where an object was made: another one, made along with it, as
/// one that is being dropped can be shown to nobody.
pub(crate) struct TracedOrigin(Option<Py<PyAny>>);

impl TracedOrigin {
    pub(crate) fn here(py: Python<'_>) -> Self {
        Self(py.get_type::<PyAny>().call0().ok().map(Bound::unbind))
    }

    /// Warns of the object with this repr.
    pub(crate) fn warn_unclosed(&self, repr: &str) {
        let _warned = Python::try_attach(|py| {
            // An exception may be on its way while the object goes.
            let on_its_way = PyErr::take(py);
            let warned = self.warn(py, repr);
            // At the interpreter's end there may be nothing left to warn with.
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
