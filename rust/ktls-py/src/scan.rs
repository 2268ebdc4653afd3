//! KeyUpdate scanning.

use std::sync::Mutex;

use ktls_core::rekey::{Found, KeyUpdateScanner};
use ktls_core::{Errno, Error};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyList, PyType};

use crate::buffer::Input;
use crate::errors::{CoreError, refused};
use crate::lock::locked;

#[pyfunction]
pub(crate) fn scan_key_updates<'py>(
    py: Python<'py>,
    types: PyReadonlyArray1<'py, u8>,
    offsets: PyReadonlyArray1<'py, i64>,
    lengths: PyReadonlyArray1<'py, i64>,
    data: Input<'py>,
) -> PyResult<Bound<'py, PyList>> {
    let (types, offsets, lengths) = (types.as_slice()?, offsets.as_slice()?, lengths.as_slice()?);
    let data = data.as_slice();
    if types.len() != offsets.len() || types.len() != lengths.len() {
        let (t, o, l) = (types.len(), offsets.len(), lengths.len());
        return Err(refused(
            Errno::Inval,
            format!("{t} types, {o} offsets and {l} lengths"),
        ));
    }
    check_places(offsets, lengths, data.len()).map_err(CoreError)?;
    let found = py.detach(|| {
        let (mut scanner, mut found) = (KeyUpdateScanner::default(), Vec::new());
        for (i, &record_type) in types.iter().enumerate() {
            let start = offsets[i] as usize;
            let plaintext = &data[start..start + lengths[i] as usize];
            scanner.feed(record_type, plaintext, |one| found.push(one));
        }
        found
    });
    to_list(py, &found)
}

/// Refuses offsets and lengths that are negative or leave the buffer.
pub(crate) fn check_places(offsets: &[i64], lengths: &[i64], len: usize) -> Result<(), Error> {
    for (index, (&offset, &length)) in offsets.iter().zip(lengths).enumerate() {
        let end = (offset >= 0 && length >= 0)
            .then(|| offset.checked_add(length))
            .flatten();
        let end = end.map_or(usize::MAX, |end| end as usize);
        if end > len {
            return Err(Error::PieceOutside { index, end, len });
        }
    }
    Ok(())
}

#[pyclass(frozen, name = "KeyUpdateScanner", module = "ktls_fast")]
pub(crate) struct PyKeyUpdateScanner(Mutex<KeyUpdateScanner>);

#[pymethods]
impl PyKeyUpdateScanner {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(KeyUpdateScanner::default()))
    }

    fn feed<'py>(
        &self,
        py: Python<'py>,
        record_type: u8,
        data: Input<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let data = data.as_slice();
        let mut found = Vec::new();
        locked(py, &self.0, data.len(), |scanner| {
            scanner.feed(record_type, data, |one| found.push(one));
        });
        to_list(py, &found)
    }

    #[getter]
    fn at_boundary(&self, py: Python<'_>) -> bool {
        locked(py, &self.0, 0, |scanner| scanner.at_boundary())
    }
}

static KEY_UPDATE_FOUND: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn key_update_found(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let make = || {
        let fields = ["record", "update_requested", "fault"];
        let named = [("module", "ktls_fast._core")].into_py_dict(py)?;
        let namedtuple = py.import("collections")?.getattr("namedtuple")?;
        let made = namedtuple.call(("KeyUpdateFound", fields), Some(&named))?;
        Ok::<_, PyErr>(made.cast_into::<PyType>()?.unbind())
    };
    Ok(KEY_UPDATE_FOUND.get_or_try_init(py, make)?.bind(py))
}

pub(crate) fn add_key_update_found(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("KeyUpdateFound", key_update_found(module.py())?)
}

fn to_list<'py>(py: Python<'py>, found: &[Found]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for one in found {
        let fault = one.fault.map(ktls_core::rekey::Fault::name);
        list.append(key_update_found(py)?.call1((one.record, one.update_requested, fault))?)?;
    }
    Ok(list)
}
