//! The Python bindings: they convert, detach and lock, and make no decisions.
#![deny(unsafe_code)]
// A panic would reach Python as an exception that `except Exception` does not catch.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod arguments;
mod bell;
mod buffer;
mod capi;
mod columns;
mod config;
mod connection;
mod crypto_info;
mod errors;
mod exit;
mod exporter;
mod fork;
mod handshake_facts;
mod identity;
mod ktls_key_state;
mod ktls_socket;
mod lazy;
mod lock;
mod memory;
mod named_tuple;
mod offload_queue;
mod opener;
mod policy;
mod python_socket;
mod relay;
mod relay_arguments;
mod resolver;
mod scan;
mod sealer;
mod sendfile;
mod shared_sealer;
mod simulate;
mod socket_call;
mod socket_option;
mod spent_bytes;
mod stat;
mod takeover_keys;
mod threads;
mod timeout;
mod tls12_keys;
mod tls_info;
mod tls_object;
mod traffic_secret;
mod unclosed;

use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::bell::PyBell;
use crate::config::{PyClientConfig, PyServerConfig};
use crate::connection::PyConnection;
use crate::connection::hand_over::answer_into_ktls;
use crate::crypto_info::PyCryptoInfo;
use crate::identity::PyServerIdentity;
use crate::ktls_key_state::PyKtlsKeyState;
use crate::ktls_socket::PyKtlsSocket;
use crate::ktls_socket::backend_keyword::answer_backend_keyword;
use crate::offload_queue::PyOffloadQueue;
use crate::opener::{OpenedBatch, PyOpener};
use crate::policy::{PyRekeyPolicy, PyStormPolicy};
use crate::relay::{PyRelay, PyRelayHandle};
use crate::scan::PyKeyUpdateScanner;
use crate::sealer::{PySealer, SealedBatch};
use crate::stat::PyNamespace;
use crate::tls_object::PyTlsObject;
use crate::traffic_secret::PyTrafficSecret;

// Cargo compiles this crate anew when the stub changes, which `from_stub` reads.
const _: &str = include_str!("../../../python/ktls_fast/_core.pyi");

#[from_stub]
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Must come before the first class: classes that a subinterpreter creates would end with it.
    buffer::check_main(module.py())?;
    errors::prepare(module.py())?;
    add_classes(module)?;
    add_functions(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    capi::add_to(module)?;
    fork::register(module.py())?;
    exit::register(module.py())?;
    connection::hand_over::EXPORTED_CONNECTION.add_to(module)?;
    offload_queue::QUEUE_STATS.add_to(module)?;
    relay::CONTROL_RECORD.add_to(module)?;
    relay::register(module.py())?;
    scan::KEY_UPDATE_FOUND.add_to(module)?;
    tls_info::TLS_INFO.add_to(module)
}

fn add_classes(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<OpenedBatch>()?;
    module.add_class::<PyBell>()?;
    module.add_class::<PyClientConfig>()?;
    module.add_class::<PyConnection>()?;
    module.add_class::<PyCryptoInfo>()?;
    module.add_class::<PyKeyUpdateScanner>()?;
    module.add_class::<PyKtlsKeyState>()?;
    module.add_class::<PyKtlsSocket>()?;
    module.add_class::<PyNamespace>()?;
    module.add_class::<PyOffloadQueue>()?;
    module.add_class::<PyOpener>()?;
    module.add_class::<PyRekeyPolicy>()?;
    module.add_class::<PyRelay>()?;
    module.add_class::<PyRelayHandle>()?;
    module.add_class::<PySealer>()?;
    module.add_class::<PyServerConfig>()?;
    module.add_class::<PyServerIdentity>()?;
    module.add_class::<PyTlsObject>()?;
    module.add_class::<PyStormPolicy>()?;
    module.add_class::<PyTrafficSecret>()?;
    module.add_class::<SealedBatch>()
}

fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(exit::finish_closing, module)?)?;
    module.add_function(wrap_pyfunction!(answer_backend_keyword, module)?)?;
    module.add_function(wrap_pyfunction!(answer_into_ktls, module)?)?;
    module.add_function(wrap_pyfunction!(scan::key_update_message, module)?)?;
    module.add_function(wrap_pyfunction!(scan::scan_key_updates, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(stat::aead_in_use, module)?)?;
    module.add_function(wrap_pyfunction!(stat::cpu_features, module)?)?;
    module.add_function(wrap_pyfunction!(tls12_keys::derive_tls12_keys, module)?)?;
    module.add_function(wrap_pyfunction!(stat::tls_stat, module)?)
}
