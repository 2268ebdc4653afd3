//! `Opener` and `OpenedBatch`.

use std::sync::Mutex;

use ktls_aead::PROVIDER;
use ktls_core::key::InnerPlaintext;
use ktls_core::record::{BatchEnd, BatchStop, OpenedRecord};
use ktls_core::wire::{HEADER_LEN, Header};
use ktls_core::{Error, Opener};
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::buffer::{InputBuffer, OutputBuffer, batch_bytes, check_apart, new_bytes};
use crate::columns::{LazyColumn, starts};
use crate::crypto_info::{InfoArg, no_pickle};
use crate::errors::CoreError;
use crate::lazy::FrontOfBuffer;
use crate::lock::locked;
use crate::memory::try_with_capacity;
use crate::threads::ThreadCount;

#[from_stub]
#[pyclass(frozen, weakref, name = "Opener", module = "ktls_fast")]
pub(crate) struct PyOpener(Mutex<Opener>);

#[from_stub(Opener)]
#[pymethods]
impl PyOpener {
    #[new]
    fn new(info: InfoArg) -> Result<Self, CoreError> {
        Ok(Self(Mutex::new(Opener::new(info.0, &PROVIDER)?)))
    }

    #[getter]
    fn rec_seq(&self, py: Python<'_>) -> u64 {
        locked(py, &self.0, 0, |opener| opener.rec_seq())
    }

    #[getter]
    fn generation(&self, py: Python<'_>) -> u64 {
        locked(py, &self.0, 0, |opener| opener.generation())
    }

    #[getter]
    fn paused(&self, py: Python<'_>) -> bool {
        locked(py, &self.0, 0, |opener| opener.is_paused())
    }

    fn open<'py>(
        &self,
        py: Python<'py>,
        record: InputBuffer<'py>,
    ) -> PyResult<(u8, Bound<'py, PyAny>)> {
        let record = record.as_slice();
        let mut record_type = 0;
        let data = new_bytes(py, record.len(), |out| {
            let opened = locked(py, &self.0, record.len(), |opener| opener.open(record, out));
            let InnerPlaintext {
                record_type: opened_type,
                len,
                ..
            } = opened.map_err(CoreError)?;
            record_type = opened_type;
            Ok::<_, CoreError>(len)
        })?;
        Ok((record_type, data))
    }

    fn open_batch<'py>(
        &self,
        py: Python<'py>,
        wire: InputBuffer<'py>,
        out: Option<Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<OpenedBatch> {
        let threads = ThreadCount::new(threads)?;
        let wire = wire.as_slice();
        let mut found = OpenedColumns::with_room(wire)?;
        let mut end = BatchEnd::default();
        let mut open = |out: &mut [u8]| {
            let open = |opener: &mut Opener| threads.open(opener, wire, out, |one| found.push(one));
            end = locked(py, &self.0, wire.len(), open)?;
            Ok::<_, CoreError>(end.written)
        };
        let (buffer, held) = match out {
            Some(object) => {
                let mut output: OutputBuffer = object.extract()?;
                let out = output.as_mut_slice();
                check_apart(wire, out)?;
                open(out)?;
                (object, Some(output))
            }
            None => (batch_bytes(py, wire.len(), open)?, None),
        };
        if let (0, Some(BatchStop::Bad(error))) = (found.types.len(), end.stop) {
            return Err(CoreError(error).into());
        }
        Ok(OpenedBatch {
            data: FrontOfBuffer::new(buffer, held, end.written),
            found,
            types: LazyColumn::new(),
            offsets: LazyColumn::new(),
            lengths: LazyColumn::new(),
            consumed: end.consumed,
            stop: end.stop,
        })
    }

    fn rekey(&self, py: Python<'_>, info: InfoArg) -> Result<(), CoreError> {
        Ok(locked(py, &self.0, 0, |opener| {
            opener.rekey(info.0, &PROVIDER)
        })?)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("Opener"))
    }
}

/// The opened records of a batch as columns. Their plaintexts are contiguous in the output.
struct OpenedColumns {
    types: Vec<u8>,
    lengths: Vec<u16>,
}

impl OpenedColumns {
    /// Returns empty columns with room for all records of `wire`.
    ///
    /// They are reserved first, because a batch cannot be refused after its records are opened.
    fn with_room(wire: &[u8]) -> PyResult<Self> {
        let count = count_headers(wire);
        Ok(Self {
            types: try_with_capacity(count)?,
            lengths: try_with_capacity(count)?,
        })
    }

    fn push(&mut self, one: OpenedRecord) {
        self.types.push(one.record_type);
        // The framing limits it to MAX_PLAINTEXT.
        self.lengths.push(one.len as u16);
    }

    fn lengths(&self) -> impl Iterator<Item = i64> {
        self.lengths.iter().map(|&len| i64::from(len))
    }
}

#[from_stub]
#[pyclass(frozen, weakref, module = "ktls_fast")]
pub(crate) struct OpenedBatch {
    data: FrontOfBuffer,
    found: OpenedColumns,
    types: LazyColumn,
    offsets: LazyColumn,
    lengths: LazyColumn,
    consumed: usize,
    stop: Option<BatchStop>,
}

#[from_stub(OpenedBatch)]
#[pymethods]
impl OpenedBatch {
    #[getter]
    const fn consumed(&self) -> usize {
        self.consumed
    }

    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.data.view(py)
    }

    #[getter]
    fn types(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.types.uint8(py, &self.found.types)
    }

    #[getter]
    fn offsets(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let starts = starts(self.found.lengths());
        self.offsets.int64(py, self.found.types.len(), starts)
    }

    #[getter]
    fn lengths(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let lengths = self.found.lengths();
        self.lengths.int64(py, self.found.types.len(), lengths)
    }

    #[getter]
    fn stopped(&self) -> Option<&'static str> {
        self.stop.map(|stop| match stop {
            BatchStop::KeyUpdate => "key_update",
            BatchStop::Full => "full",
            BatchStop::Bad(_) => "error",
        })
    }

    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let Some(BatchStop::Bad(error)) = self.stop else {
            return None;
        };
        Some(exception(py, error))
    }

    fn __len__(&self) -> usize {
        self.found.types.len()
    }
}

/// Returns the number of records that begin in `wire`.
fn count_headers(mut wire: &[u8]) -> usize {
    let mut count = 0;
    while let Some(header) = Header::read(wire) {
        count += 1;
        wire = wire.get(HEADER_LEN + header.len..).unwrap_or_default();
    }
    count
}

fn exception(py: Python<'_>, error: Error) -> Py<PyAny> {
    PyErr::from(CoreError(error)).into_value(py).into_any()
}
