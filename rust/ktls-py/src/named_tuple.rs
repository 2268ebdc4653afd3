//! Result classes that are created by Python's `collections.namedtuple`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyType};

/// A name and its docstring.
type Documented = (&'static str, &'static str);

/// A class that is created when it is first used. `stub_named_tuple` makes its description.
pub(crate) struct NamedTuple {
    name: &'static str,
    doc: &'static str,
    fields: &'static [Documented],
    class: PyOnceLock<Py<PyType>>,
}

impl NamedTuple {
    pub(crate) const fn new(
        (name, doc, fields): (&'static str, &'static str, &'static [Documented]),
    ) -> Self {
        Self {
            name,
            doc,
            fields,
            class: PyOnceLock::new(),
        }
    }

    pub(crate) fn class<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        Ok(self.class.get_or_try_init(py, || self.make(py))?.bind(py))
    }

    fn make(&self, py: Python<'_>) -> PyResult<Py<PyType>> {
        let module = [("module", "ktls_fast")].into_py_dict(py)?;
        let namedtuple = py.import("collections")?.getattr("namedtuple")?;
        let names: Vec<_> = self.fields.iter().map(|(name, _)| *name).collect();
        let made = namedtuple.call((self.name, names), Some(&module))?;
        made.setattr("__doc__", self.doc)?;
        for (name, doc) in self.fields {
            made.getattr(*name)?.setattr("__doc__", doc)?;
        }
        Ok(made.cast_into::<PyType>()?.unbind())
    }

    /// Adds the class to a module under its name.
    pub(crate) fn add_to(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add(self.name, self.class(module.py())?)
    }
}
