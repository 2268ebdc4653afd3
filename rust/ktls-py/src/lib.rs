//! The Python face: converts, detaches, locks; decides nothing.
#![deny(unsafe_code)]

mod bell;
mod buffer;
mod capi;
mod columns;
mod config;
mod connection;
mod crypto_info;
mod errors;
mod exit;
mod fork;
mod ktls_socket;
mod lazy;
mod lock;
mod memory;
mod named_tuple;
mod offload_queue;
mod opener;
mod python_socket;
mod relay;
mod scan;
mod sealer;
mod sendfile;
mod simulate;
mod socket_call;
mod socket_option;
mod stat;
mod threads;
mod timeout;
mod tls_info;
mod traffic_secret;

use pyo3::prelude::*;

/// The compiled part of `ktls_fast`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::bell::PyBell;
    #[pymodule_export]
    use crate::config::{PyClientConfig, PyServerConfig};
    #[pymodule_export]
    use crate::connection::PyConnection;
    #[pymodule_export]
    use crate::crypto_info::PyCryptoInfo;
    #[pymodule_export]
    use crate::ktls_socket::PyKtlsSocket;
    #[pymodule_export]
    use crate::offload_queue::PyOffloadQueue;
    #[pymodule_export]
    use crate::opener::{OpenedBatch, PyOpener};
    #[pymodule_export]
    use crate::relay::{PyRelay, PyRelayHandle};
    #[pymodule_export]
    use crate::scan::{PyKeyUpdateScanner, scan_key_updates};
    #[pymodule_export]
    use crate::sealer::{PySealer, SealedBatch};
    #[pymodule_export]
    use crate::simulate::simulate;
    #[pymodule_export]
    use crate::stat::{PyNamespace, aead_in_use, cpu_features, tls_stat};
    #[pymodule_export]
    use crate::traffic_secret::PyTrafficSecret;

    use super::{Bound, PyModule, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::capi::add_to(module)?;
        super::fork::register(module.py())?;
        super::exit::register(module.py())?;
        super::offload_queue::QUEUE_STATS.add_to(module)?;
        super::relay::CONTROL_RECORD.add_to(module)?;
        super::relay::register(module.py())?;
        super::scan::KEY_UPDATE_FOUND.add_to(module)?;
        super::tls_info::TLS_INFO.add_to(module)
    }
}
