//! `Opener` and `OpenedBatch`.

use std::sync::Mutex;

use ktls_aead::PROVIDER;
use ktls_core::key::Inner;
use ktls_core::record::{BatchEnd, Opened, Stop};
use ktls_core::wire::{HEADER_LEN, Header, TAG_LEN};
use ktls_core::{Error, Opener};
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::buffer::{Input, Output, batch_bytes, new_bytes};
use crate::crypto_info::{InfoArg, no_pickle};
use crate::errors::{CoreError, check_apart};
use crate::lazy::{Column, Front, starts};
use crate::lock::locked;
use crate::threads::Threads;

#[pyclass(frozen, name = "Opener", module = "ktls_fast")]
pub(crate) struct PyOpener(Mutex<Opener>);

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
        locked(py, &self.0, 0, |opener| opener.paused())
    }

    fn open<'py>(&self, py: Python<'py>, record: Input<'py>) -> PyResult<(u8, Bound<'py, PyAny>)> {
        let record = record.as_slice();
        let mut record_type = 0;
        let data = new_bytes(py, record.len(), |out| {
            let opened = locked(py, &self.0, record.len(), |opener| opener.open(record, out));
            let Inner {
                record_type: opened_type,
                len,
                ..
            } = opened.map_err(CoreError)?;
            record_type = opened_type;
            Ok::<_, CoreError>(len)
        })?;
        Ok((record_type, data))
    }

    #[pyo3(signature = (wire, out = None, *, threads = 1))]
    fn open_batch<'py>(
        &self,
        py: Python<'py>,
        wire: Input<'py>,
        out: Option<Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<OpenedBatch> {
        let threads = Threads::new(threads)?;
        let wire = wire.as_slice();
        let mut found = Found::with_room(wire);
        let mut end = BatchEnd::default();
        let mut open = |out: &mut [u8]| {
            let open = |opener: &mut Opener| threads.open(opener, wire, out, |one| found.push(one));
            end = locked(py, &self.0, wire.len(), open)?;
            Ok::<_, CoreError>(end.written)
        };
        let (buffer, held) = match out {
            Some(object) => {
                let mut output: Output = object.extract()?;
                let out = output.as_mut_slice();
                check_apart(wire, out)?;
                open(out)?;
                (object, Some(output))
            }
            None => (batch_bytes(py, wire.len(), open)?, None),
        };
        if let (0, Some(Stop::Bad(error))) = (found.types.len(), end.stop) {
            return Err(CoreError(error).into());
        }
        Ok(OpenedBatch {
            data: Front::new(buffer, held, end.written),
            found,
            types: Column::new(),
            offsets: Column::new(),
            lengths: Column::new(),
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

/// The records of a batch, by column; their plaintexts lie side by side.
struct Found {
    types: Vec<u8>,
    lengths: Vec<u16>,
}

impl Found {
    /// With room for all of `wire`, should its records be as long as the first.
    fn with_room(wire: &[u8]) -> Self {
        let header = Header::read(wire);
        let count = header.map_or(0, |first| {
            wire.len() / (HEADER_LEN + first.len.max(TAG_LEN))
        });
        Self {
            types: Vec::with_capacity(count),
            lengths: Vec::with_capacity(count),
        }
    }

    fn push(&mut self, one: Opened) {
        self.types.push(one.record_type);
        // At most MAX_PLAINTEXT, by the framing.
        self.lengths.push(one.len as u16);
    }

    fn lengths(&self) -> impl Iterator<Item = i64> {
        self.lengths.iter().map(|&len| i64::from(len))
    }
}

#[pyclass(frozen, module = "ktls_fast")]
pub(crate) struct OpenedBatch {
    data: Front,
    found: Found,
    types: Column<u8>,
    offsets: Column<i64>,
    lengths: Column<i64>,
    #[pyo3(get)]
    consumed: usize,
    stop: Option<Stop>,
}

#[pymethods]
impl OpenedBatch {
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.data.view(py)
    }

    #[getter]
    fn types(&self, py: Python<'_>) -> Py<PyArray1<u8>> {
        self.types.array(py, || self.found.types.clone())
    }

    #[getter]
    fn offsets(&self, py: Python<'_>) -> Py<PyArray1<i64>> {
        self.offsets.array(py, || starts(self.found.lengths()))
    }

    #[getter]
    fn lengths(&self, py: Python<'_>) -> Py<PyArray1<i64>> {
        self.lengths.array(py, || self.found.lengths().collect())
    }

    #[getter]
    fn stopped(&self) -> Option<&'static str> {
        self.stop.map(|stop| match stop {
            Stop::KeyUpdate => "key_update",
            Stop::Full => "full",
            Stop::Bad(_) => "error",
        })
    }

    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let Some(Stop::Bad(error)) = self.stop else {
            return None;
        };
        Some(exception(py, error))
    }

    fn __len__(&self) -> usize {
        self.found.types.len()
    }
}

fn exception(py: Python<'_>, error: Error) -> Py<PyAny> {
    PyErr::from(CoreError(error)).into_value(py).into_any()
}
