//! What this process has counted and what it runs on.

use std::collections::BTreeMap;

use ktls_aead::PROVIDER;
use ktls_core::aead::Provider;
use ktls_core::suite::CIPHERS;
use pyo3::prelude::*;

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
