//! Export of keying material.

use ktls_core::Errno;
use ktls_net::handshake::{HandshakeError, KeyingMaterialExporter};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use zeroize::Zeroizing;

use crate::buffer::{InputBuffer, copy_bytes};
use crate::errors::refused;

/// Returns `length` bytes of keying material.
pub(crate) fn export<'py>(
    exporter: Option<&KeyingMaterialExporter>,
    label: &Bound<'py, PyAny>,
    length: usize,
    context: Option<&InputBuffer<'_>>,
) -> PyResult<Bound<'py, PyAny>> {
    let exporter = exporter.ok_or_else(|| {
        let text = "there is no secret to export keying material from";
        refused(Errno::Inval, text)
    })?;
    match label.cast::<PyString>() {
        Ok(text) => derive(
            label.py(),
            exporter,
            text.to_str()?.as_bytes(),
            length,
            context,
        ),
        Err(_) => {
            let bytes: InputBuffer<'_> = label.extract()?;
            derive(label.py(), exporter, bytes.as_slice(), length, context)
        }
    }
}

fn derive<'py>(
    py: Python<'py>,
    exporter: &KeyingMaterialExporter,
    label: &[u8],
    length: usize,
    context: Option<&InputBuffer<'_>>,
) -> PyResult<Bound<'py, PyAny>> {
    let context = context.map(InputBuffer::as_slice);
    let refused = |error: HandshakeError| PyValueError::new_err(error.to_string());
    // Checked first: the memory is as large as the caller asks for.
    exporter.check(label, context, length).map_err(refused)?;
    let mut material = Zeroizing::new(vec![0; length]);
    exporter
        .derive(label, context, &mut material)
        .map_err(refused)?;
    copy_bytes(py, &material)
}
