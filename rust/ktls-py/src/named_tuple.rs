//! Classes of results that Python's `collections.namedtuple` makes.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyType};

/// A class that is made when it is first needed.
pub(crate) struct NamedTuple {
    name: &'static str,
    fields: &'static [&'static str],
    class: PyOnceLock<Py<PyType>>,
}

impl NamedTuple {
    pub(crate) const fn new(name: &'static str, fields: &'static [&'static str]) -> Self {
        Self {
            name,
            fields,
            class: PyOnceLock::new(),
        }
    }

    pub(crate) fn class<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        let make = || {
            let named = [("module", "ktls_fast._core")].into_py_dict(py)?;
            let namedtuple = py.import("collections")?.getattr("namedtuple")?;
            let made = namedtuple.call((self.name, self.fields), Some(&named))?;
            Ok::<_, PyErr>(made.cast_into::<PyType>()?.unbind())
        };
        Ok(self.class.get_or_try_init(py, make)?.bind(py))
    }

    /// Adds the class to a module under its own name.
    pub(crate) fn add_to(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add(self.name, self.class(module.py())?)
    }
}
