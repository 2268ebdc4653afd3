//! `ServerIdentity`.

use ktls_net::handshake::{CertificateIdentity, IdentityOptions};
use ktls_py_macros::from_stub;
use pyo3::Borrowed;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::arguments::{key_password, type_name};
use crate::buffer::InputBuffer;
use crate::errors::connection_error;
use crate::memory::{check_room, try_push};

#[from_stub]
#[pyclass(frozen, weakref, name = "ServerIdentity", module = "ktls_fast")]
pub(crate) struct PyServerIdentity(pub(crate) CertificateIdentity);

#[from_stub(ServerIdentity)]
#[pymethods]
impl PyServerIdentity {
    #[new]
    fn new(
        py: Python<'_>,
        cert: InputBuffer<'_>,
        key: InputBuffer<'_>,
        password: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        load(py, &cert, &key, password.as_ref()).map(Self)
    }
}

/// Checks a certificate chain and its key, without the GIL.
pub(crate) fn load(
    py: Python<'_>,
    cert: &InputBuffer<'_>,
    key: &InputBuffer<'_>,
    password: Option<&Bound<'_, PyAny>>,
) -> PyResult<CertificateIdentity> {
    check_room_for_pem([Some(cert), Some(key), None])?;
    let password = key_password(key.as_slice(), password)?;
    let options = IdentityOptions {
        cert: cert.as_slice(),
        key: key.as_slice(),
        password: password.as_ref().map(|password| password.as_slice()),
    };
    let identity = py.detach(|| CertificateIdentity::new(options));
    identity.map_err(|error| connection_error(error.into()))
}

/// Any iterable of `ServerIdentity`.
#[derive(Default)]
pub(crate) struct IdentitySequence(pub(crate) Vec<CertificateIdentity>);

impl FromPyObject<'_, '_> for IdentitySequence {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let mut identities = Vec::new();
        for item in object.try_iter()? {
            let item = item?;
            let identity = item.cast::<PyServerIdentity>().map_err(|_| {
                PyTypeError::new_err(format!(
                    "identities holds a {}, not only ServerIdentity",
                    type_name(&item.get_type())
                ))
            })?;
            try_push(&mut identities, identity.get().0.clone())?;
        }
        Ok(Self(identities))
    }
}

/// Checks that there is memory to parse PEM files: sections, bytes and certificates.
pub(crate) fn check_room_for_pem(files: [Option<&InputBuffer<'_>>; 3]) -> PyResult<()> {
    let len: usize = files.iter().flatten().map(|pem| pem.as_slice().len()).sum();
    check_room(len.saturating_mul(TIMES_ITS_LENGTH))
}

/// The maximum number of bytes that parsing allocates for each byte of PEM. The shortest section
/// has 33 bytes and becomes 32 bytes in a vector that doubles, or a copy of its base64 text and up
/// to three copies of the decoded bytes.
const TIMES_ITS_LENGTH: usize = 8;
