//! What this process has counted and what it runs on.

use std::collections::BTreeMap;

use ktls_aead::PROVIDER;
use ktls_core::aead::Provider;
use ktls_core::stats::Counter;
use ktls_core::suite::CIPHERS;
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pyfunction]
pub(crate) fn tls_stat(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let counters = PyDict::new(py);
    for &counter in Counter::ALL {
        counters.set_item(counter.name(), ktls_net::STATS.value(counter))?;
    }
    Ok(counters)
}

#[pyfunction]
pub(crate) fn aead_in_use() -> BTreeMap<&'static str, &'static str> {
    let named = CIPHERS
        .iter()
        .map(|cipher| (cipher.name, PROVIDER.implementation(cipher.algorithm)));
    named
        .filter_map(|(name, implementation)| Some((name, implementation?)))
        .collect()
}

#[pyfunction]
pub(crate) fn cpu_features() -> Vec<&'static str> {
    ktls_aead::cpu_features()
}
