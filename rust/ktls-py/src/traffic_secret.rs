//! `TrafficSecret`.

use ktls_aead::PROVIDER;
use ktls_core::TrafficSecret;
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::arguments::small;
use crate::buffer::InputBuffer;
use crate::crypto_info::{PyCryptoInfo, no_pickle};
use crate::errors::CoreError;

#[from_stub]
#[pyclass(frozen, weakref, name = "TrafficSecret", module = "ktls_fast")]
pub(crate) struct PyTrafficSecret(pub(crate) TrafficSecret);

#[from_stub(TrafficSecret)]
#[pymethods]
impl PyTrafficSecret {
    #[new]
    fn new(
        #[pyo3(from_py_with = small::<u16>)] suite: u16,
        secret: InputBuffer<'_>,
        generation: u64,
    ) -> Result<Self, CoreError> {
        Ok(Self(TrafficSecret::new(
            suite,
            secret.as_slice(),
            generation,
        )?))
    }

    #[getter]
    fn suite(&self) -> u16 {
        self.0.suite().id
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn crypto_info(&self, rec_seq: u64) -> Result<PyCryptoInfo, CoreError> {
        Ok(PyCryptoInfo(self.0.crypto_info(&PROVIDER, rec_seq)?))
    }

    fn next(&self) -> Result<Self, CoreError> {
        Ok(Self(self.0.next(&PROVIDER)?))
    }

    fn __repr__(&self) -> String {
        format!(
            "TrafficSecret(suite={}, generation={})",
            self.0.suite().name,
            self.0.generation()
        )
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("TrafficSecret"))
    }
}
