//! What `Connection` and `TLSObject` do with the facts of a handshake.

use ktls_core::rekey::Reply;
use ktls_core::wire::TLS13;
use ktls_core::{Errno, Error as CoreError};
use ktls_net::HandshakeFacts;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::buffer::copy_bytes;
use crate::errors::refused;
use crate::memory::list_of;

/// Returns the facts of a complete handshake.
///
/// # Errors
/// `ValueError` before its end.
pub(crate) fn complete(facts: Option<&HandshakeFacts>) -> PyResult<&HandshakeFacts> {
    facts.ok_or_else(|| PyValueError::new_err("the handshake is not complete"))
}

/// Returns the certificates of the peer as DER.
///
/// # Errors
/// `ValueError` before the end of the handshake.
pub(crate) fn certificates<'py>(
    py: Python<'py>,
    facts: Option<&HandshakeFacts>,
) -> PyResult<Bound<'py, PyList>> {
    let chain = &complete(facts)?.peer_certificates;
    list_of(py, chain.iter().map(|der| copy_bytes(py, der)))
}

/// Returns the protocol that was negotiated by ALPN.
pub(crate) fn alpn(facts: &HandshakeFacts) -> Option<String> {
    let alpn = facts.alpn.as_ref()?;
    Some(String::from_utf8_lossy(alpn).into_owned())
}

/// Returns the byte of a KeyUpdate that the caller wants to send.
///
/// # Errors
/// EOPNOTSUPP in TLS 1.2.
pub(crate) fn key_update_reply(facts: &HandshakeFacts, request_peer: bool) -> PyResult<Reply> {
    if facts.version != TLS13 {
        let text = CoreError::NoRekeyIn12.to_string();
        return Err(refused(Errno::OpNotSupp, text));
    }
    Ok(Reply::requested_if(request_peer))
}
