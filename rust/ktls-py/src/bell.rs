//! `_Bell`, which wakes a selector.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use ktls_net::ReadinessBell;
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::errors::connection_error;

#[from_stub]
#[pyclass(frozen, weakref, name = "_Bell", module = "ktls_fast._core")]
pub(crate) struct PyBell(pub(crate) Arc<ReadinessBell>);

#[from_stub(_Bell)]
#[pymethods]
impl PyBell {
    #[new]
    fn new() -> PyResult<Self> {
        let bell = ReadinessBell::new().map_err(connection_error)?;
        Ok(Self(Arc::new(bell)))
    }

    fn fileno(&self) -> i32 {
        self.0.as_fd().as_raw_fd()
    }

    fn ring(&self) {
        self.0.ring();
    }

    fn silence(&self) {
        self.0.silence();
    }
}
