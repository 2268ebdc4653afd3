//! What the sends of `KtlsSocket` have in common.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A connected socket sends to its peer, whatever the address: but it has to be one.
pub(super) fn check_address(address: &Bound<'_, PyAny>) -> PyResult<()> {
    if address.is_instance_of::<PyTuple>() {
        return Ok(());
    }
    let given = address.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "the address is a tuple, not {given}"
    )))
}
