//! KeyUpdate scanning.

use std::sync::Mutex;

use ktls_core::rekey::{Found, KeyUpdateScanner};
use ktls_core::{Errno, Error};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::buffer::Input;
use crate::errors::{CoreError, refused};
use crate::lock::locked;
use crate::named_tuple::NamedTuple;

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
    let plaintexts = slices(offsets, lengths, data).map_err(CoreError)?;
    let found = py.detach(|| {
        let (mut scanner, mut found) = (KeyUpdateScanner::default(), Vec::new());
        for (&record_type, plaintext) in types.iter().zip(plaintexts) {
            scanner.feed(record_type, plaintext, |one| found.push(one));
        }
        found
    });
    to_list(py, &found)
}

/// The pieces of `data` that two columns describe. Copied out of the arrays once: what is checked here
/// stays true although another thread writes to them.
pub(crate) fn slices<'a>(
    offsets: &[i64],
    lengths: &[i64],
    data: &'a [u8],
) -> Result<Vec<&'a [u8]>, Error> {
    let columns = offsets.iter().copied().zip(lengths.iter().copied());
    let slice = |(index, (offset, length)): (usize, (i64, i64))| {
        let outside = Error::PieceOutside {
            index,
            offset,
            length,
            len: data.len(),
        };
        let start = usize::try_from(offset).map_err(|_| outside)?;
        let length = usize::try_from(length).map_err(|_| outside)?;
        let end = start.checked_add(length).ok_or(outside)?;
        data.get(start..end).ok_or(outside)
    };
    columns.enumerate().map(slice).collect()
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

pub(crate) static KEY_UPDATE_FOUND: NamedTuple =
    NamedTuple::new("KeyUpdateFound", &["record", "update_requested", "fault"]);

fn to_list<'py>(py: Python<'py>, found: &[Found]) -> PyResult<Bound<'py, PyList>> {
    let (list, class) = (PyList::empty(py), KEY_UPDATE_FOUND.class(py)?);
    for one in found {
        let fault = one.fault.map(ktls_core::rekey::Fault::name);
        list.append(class.call1((one.record, one.update_requested, fault))?)?;
    }
    Ok(list)
}
