//! The property `peer_certificates` of connections.

use ktls_net::HandshakeFacts;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::buffer::copy_bytes;
use crate::memory::list_of;

/// Returns the certificates of the peer as DER.
///
/// # Errors
/// `ValueError` before the end of the handshake.
pub(crate) fn certificates<'py>(
    py: Python<'py>,
    facts: Option<&HandshakeFacts>,
) -> PyResult<Bound<'py, PyList>> {
    let facts = facts.ok_or_else(|| PyValueError::new_err("the handshake is not complete"))?;
    let chain = &facts.peer_certificates;
    list_of(py, chain.iter().map(|der| copy_bytes(py, der)))
}
