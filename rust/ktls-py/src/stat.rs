//! Counters of the process, CPU features, and the AEADs in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use ktls_aead::PROVIDER;
use ktls_core::aead::Provider;
use ktls_core::quoted;
use ktls_core::stats::Stats;
use ktls_core::suite::CIPHERS;
use ktls_net::STATS;
use ktls_py_macros::from_stub;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

#[from_stub]
#[pyclass(frozen, weakref, name = "Namespace", module = "ktls_fast")]
#[derive(Default)]
pub(crate) struct PyNamespace(Arc<Stats>);

#[from_stub(Namespace)]
#[pymethods]
impl PyNamespace {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn tls_stat<'py>(&self, py: Python<'py>, format: &str) -> PyResult<Bound<'py, PyAny>> {
        show(py, &self.0, format)
    }
}

pub(crate) fn stats_of(namespace: Option<&Bound<'_, PyNamespace>>) -> Arc<Stats> {
    Arc::clone(namespace.map_or_else(|| &*STATS, |namespace| &namespace.get().0))
}

#[from_stub]
#[pyfunction]
pub(crate) fn tls_stat<'py>(
    py: Python<'py>,
    format: &str,
    namespace: Option<&Bound<'py, PyNamespace>>,
) -> PyResult<Bound<'py, PyAny>> {
    show(py, &stats_of(namespace), format)
}

fn show<'py>(py: Python<'py>, stats: &Stats, format: &str) -> PyResult<Bound<'py, PyAny>> {
    match format {
        "dict" => Ok(counters(py, stats)?.into_any()),
        "proc" => Ok(PyString::new(py, &stats.to_string()).into_any()),
        _ => Err(PyValueError::new_err(format!(
            "format {} is neither \"dict\" nor \"proc\"",
            quoted(format)
        ))),
    }
}

fn counters<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let counters = PyDict::new(py);
    for (counter, value) in stats.listed() {
        counters.set_item(counter.name(), value)?;
    }
    Ok(counters)
}

#[from_stub]
#[pyfunction]
pub(crate) fn aead_in_use() -> BTreeMap<&'static str, &'static str> {
    let named = CIPHERS
        .iter()
        .map(|cipher| (cipher.name, PROVIDER.implementation(cipher.algorithm)));
    named
        .filter_map(|(name, implementation)| Some((name, implementation?)))
        .collect()
}

#[from_stub]
#[pyfunction]
pub(crate) fn cpu_features() -> Vec<&'static str> {
    ktls_aead::cpu_features()
}
