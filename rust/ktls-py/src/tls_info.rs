//! `TlsInfo`.

use ktls_core::socket::UlpInfo;
use ktls_py_macros::stub_named_tuple;
use pyo3::prelude::*;

use crate::named_tuple::NamedTuple;

pub(crate) static TLS_INFO: NamedTuple = NamedTuple::new(stub_named_tuple!(TlsInfo));

/// `zc_ro_tx` is always `false`: only a device of the kernel supports it.
const ZC_RO_TX: bool = false;

pub(crate) fn to_python(py: Python<'_>, info: UlpInfo) -> PyResult<Bound<'_, PyAny>> {
    let (version, cipher_type) = info.suite.unzip();
    TLS_INFO.class(py)?.call1((
        version,
        cipher_type,
        info.tx_conf as u8,
        info.rx_conf as u8,
        ZC_RO_TX,
        info.rx_no_pad,
        info.tx_max_payload_len,
    ))
}
