//! The KeyUpdate message, and finding it in records.

use std::sync::Mutex;

use ktls_core::record::RecordPlaintext;
use ktls_core::rekey::{FoundKeyUpdate, KeyUpdateScanner, Reply};
use ktls_core::{Errno, Error};
use ktls_py_macros::{from_stub, stub_named_tuple};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::arguments::small;
use crate::buffer::{InputBuffer, copy_bytes};
use crate::columns::{Int64Array, Uint8Array};
use crate::errors::{CoreError, refused};
use crate::lock::locked;
use crate::memory::{list_of, try_push, try_with_capacity};
use crate::named_tuple::NamedTuple;

#[from_stub]
#[pyfunction]
pub(crate) fn key_update_message(py: Python<'_>, request: bool) -> PyResult<Bound<'_, PyAny>> {
    copy_bytes(py, &Reply::requested_if(request).message())
}

#[from_stub]
#[pyfunction]
pub(crate) fn scan_key_updates<'py>(
    py: Python<'py>,
    types: Uint8Array<'py>,
    offsets: Int64Array<'py>,
    lengths: Int64Array<'py>,
    data: InputBuffer<'py>,
) -> PyResult<Bound<'py, PyList>> {
    let (offsets, lengths) = (offsets.values(), lengths.values());
    let (t, o, l) = (types.values().len(), offsets.len(), lengths.len());
    if t != o || t != l {
        let text = format!("{t} types, {o} offsets and {l} lengths");
        return Err(refused(Errno::Inval, text));
    }
    let pieces = pieces(types.values(), offsets, lengths, data.as_slice())?;
    let found = py.detach(|| {
        let mut scanner = KeyUpdateScanner::default();
        let records = pieces.iter().map(|one| (one.record_type, one.plaintext));
        feed_all(&mut scanner, records)
    });
    to_list(py, &found?)
}

/// Returns the KeyUpdates that the scanner finds in these records.
fn feed_all<'a>(
    scanner: &mut KeyUpdateScanner,
    records: impl Iterator<Item = (u8, &'a [u8])>,
) -> PyResult<Vec<FoundKeyUpdate>> {
    let (mut found, mut kept) = (Vec::new(), Ok(()));
    for (record_type, plaintext) in records {
        scanner.feed(record_type, plaintext, |one| {
            if kept.is_ok() {
                kept = try_push(&mut found, one);
            }
        });
    }
    kept.map(|()| found)
}

/// Returns the parts of `data` that columns of equal length describe.
///
/// The values are copied from the arrays once, so that they stay valid if another thread writes to
/// the arrays.
pub(crate) fn pieces<'a>(
    types: impl Iterator<Item = u8>,
    offsets: impl ExactSizeIterator<Item = i64>,
    lengths: impl Iterator<Item = i64>,
    data: &'a [u8],
) -> PyResult<Vec<RecordPlaintext<'a>>> {
    let mut pieces = try_with_capacity(offsets.len())?;
    for (index, ((record_type, offset), length)) in types.zip(offsets).zip(lengths).enumerate() {
        let outside = Error::PieceOutside {
            index,
            offset,
            length,
            len: data.len(),
        };
        let plaintext = piece(offset, length, data).ok_or(CoreError(outside))?;
        pieces.push(RecordPlaintext {
            record_type,
            plaintext,
        });
    }
    Ok(pieces)
}

fn piece(offset: i64, length: i64, data: &[u8]) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let length = usize::try_from(length).ok()?;
    data.get(start..start.checked_add(length)?)
}

#[from_stub]
#[pyclass(frozen, weakref, name = "KeyUpdateScanner", module = "ktls_fast")]
pub(crate) struct PyKeyUpdateScanner(Mutex<KeyUpdateScanner>);

#[from_stub(KeyUpdateScanner)]
#[pymethods]
impl PyKeyUpdateScanner {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(KeyUpdateScanner::default()))
    }

    fn feed<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = small::<u8>)] record_type: u8,
        data: InputBuffer<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let data = data.as_slice();
        let fed = locked(py, &self.0, data.len(), |scanner| {
            let (before, mut after) = (*scanner, *scanner);
            let found = feed_all(&mut after, std::iter::once((record_type, data)))?;
            *scanner = after;
            PyResult::Ok((before, after, found))
        });
        let (before, after, found) = fed?;
        to_list(py, &found).inspect_err(|_| {
            // Undoes the scan, because its result is lost, unless another thread has already
            // continued.
            locked(py, &self.0, 0, |scanner| {
                if *scanner == after {
                    *scanner = before;
                }
            });
        })
    }

    #[getter]
    fn at_boundary(&self, py: Python<'_>) -> bool {
        locked(py, &self.0, 0, |scanner| scanner.at_boundary())
    }
}

pub(crate) static KEY_UPDATE_FOUND: NamedTuple = NamedTuple::new(stub_named_tuple!(KeyUpdateFound));

fn to_list<'py>(py: Python<'py>, found: &[FoundKeyUpdate]) -> PyResult<Bound<'py, PyList>> {
    let class = KEY_UPDATE_FOUND.class(py)?;
    let tuple = |one: &FoundKeyUpdate| {
        let fault = one.fault.map(ktls_core::rekey::KeyUpdateFault::name);
        class.call1((one.record, one.update_requested, fault))
    };
    list_of(py, found.iter().map(tuple))
}
