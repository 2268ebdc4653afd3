//! `CryptoInfo`.

use ktls_core::CryptoInfo;
use ktls_py_macros::from_stub;
use pyo3::Borrowed;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::arguments::small;
use crate::buffer::{InputBuffer, copy_bytes};
use crate::errors::CoreError;

#[from_stub]
#[pyclass(frozen, weakref, eq, name = "CryptoInfo", module = "ktls_fast")]
pub(crate) struct PyCryptoInfo(pub(crate) CryptoInfo);

impl PartialEq for PyCryptoInfo {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_as(&other.0)
    }
}

#[from_stub(CryptoInfo)]
#[pymethods]
impl PyCryptoInfo {
    #[new]
    fn new(
        #[pyo3(from_py_with = small::<u16>)] version: u16,
        #[pyo3(from_py_with = small::<u16>)] cipher_type: u16,
        key: InputBuffer<'_>,
        iv: InputBuffer<'_>,
        salt: Option<InputBuffer<'_>>,
        rec_seq: u64,
    ) -> Result<Self, CoreError> {
        let salt = salt.as_ref().map_or(&[][..], InputBuffer::as_slice);
        let info = CryptoInfo::new(
            version,
            cipher_type,
            iv.as_slice(),
            key.as_slice(),
            salt,
            rec_seq,
        )?;
        Ok(Self(info))
    }

    #[staticmethod]
    fn from_bytes(data: InputBuffer<'_>) -> Result<Self, CoreError> {
        Ok(Self(CryptoInfo::from_bytes(data.as_slice())?))
    }

    #[getter]
    fn version(&self) -> u16 {
        self.0.version()
    }

    #[getter]
    fn cipher_type(&self) -> u16 {
        self.0.cipher().cipher_type
    }

    #[getter]
    fn rec_seq(&self) -> u64 {
        self.0.rec_seq
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        copy_bytes(py, &self.0.to_bytes())
    }

    fn __repr__(&self) -> String {
        let (version, name) = (self.0.version(), self.0.cipher().name);
        format!(
            "CryptoInfo(version={version:#06x}, cipher={name}, rec_seq={})",
            self.0.rec_seq
        )
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("CryptoInfo"))
    }
}

/// Refuses to pickle an object with keys.
pub(crate) fn no_pickle(class: &str) -> PyErr {
    PyTypeError::new_err(format!("{class} holds a key and cannot be pickled"))
}

/// An argument: a `CryptoInfo`, or the kernel's struct as bytes.
pub(crate) struct InfoArg(pub(crate) CryptoInfo);

impl FromPyObject<'_, '_> for InfoArg {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(info) = object.cast::<PyCryptoInfo>() {
            return Ok(Self(info.get().0.clone()));
        }
        let bytes: InputBuffer<'_> = object.extract()?;
        Ok(Self(
            CryptoInfo::from_bytes(bytes.as_slice()).map_err(CoreError)?,
        ))
    }
}
