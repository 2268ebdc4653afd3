//! `Sealer` and `SealedBatch`.

use ktls_aead::PROVIDER;
use ktls_core::record::RecordPlaintext;
use ktls_core::suite::KeyLimits;
use ktls_core::wire::MAX_PLAINTEXT;
use ktls_core::{Errno, Sealer};
use ktls_py_macros::from_stub;
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use crate::arguments::{record_limit, small};
use crate::buffer::{InputBuffer, OutputBuffer, batch_bytes, check_apart, new_bytes};
use crate::columns::{Int64Array, LazyColumn, Uint8Array, starts};
use crate::crypto_info::{InfoArg, no_pickle};
use crate::errors::{CoreError, connection_error, refused};
use crate::lazy::FrontOfBuffer;
use crate::lock::locked;
use crate::memory::try_collect;
use crate::scan;
use crate::shared_sealer::{SealerCall, SharedSealer};
use crate::threads::ThreadCount;

#[from_stub]
#[pyclass(frozen, weakref, name = "Sealer", module = "ktls_fast")]
pub(crate) struct PySealer(SharedSealer);

#[from_stub(Sealer)]
#[pymethods]
impl PySealer {
    #[new]
    fn new(
        info: InfoArg,
        #[pyo3(from_py_with = record_limit)] record_limit: Option<u64>,
    ) -> Result<Self, CoreError> {
        let limits = info.0.cipher().limits;
        let hard = record_limit.unwrap_or(limits.hard).min(limits.hard);
        // The KeyUpdate itself is sealed under the old key, so the soft limit has to be lower.
        let soft = limits.soft.min(hard - hard.div_ceil(8));
        let limits = KeyLimits { soft, hard };
        let sealer = Sealer::new(info.0, &PROVIDER)?.with_limits(limits);
        Ok(Self(SharedSealer::new(sealer)))
    }

    #[getter]
    fn rec_seq(&self, py: Python<'_>) -> PyResult<u64> {
        self.look(py, Sealer::rec_seq)
    }

    #[getter]
    fn generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.look(py, Sealer::generation)
    }

    #[getter]
    fn needs_rekey(&self, py: Python<'_>) -> PyResult<bool> {
        self.look(py, Sealer::needs_rekey)
    }

    #[getter]
    fn overhead(&self) -> usize {
        self.0.overhead()
    }

    fn seal<'py>(
        &self,
        py: Python<'py>,
        data: InputBuffer<'py>,
        #[pyo3(from_py_with = small::<u8>)] record_type: u8,
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = data.as_slice();
        let room = data.len().min(MAX_PLAINTEXT) + self.0.overhead();
        new_bytes(py, room, |out| self.seal_to(py, record_type, data, out))
    }

    fn seal_into(
        &self,
        py: Python<'_>,
        data: InputBuffer<'_>,
        mut out: OutputBuffer,
        #[pyo3(from_py_with = small::<u8>)] record_type: u8,
    ) -> PyResult<usize> {
        let (data, out) = (data.as_slice(), out.as_mut_slice());
        check_apart(data, out)?;
        self.seal_to(py, record_type, data, out)
    }

    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn seal_batch<'py>(
        &self,
        py: Python<'py>,
        data: InputBuffer<'py>,
        record_size: usize,
        #[pyo3(from_py_with = small::<u8>)] record_type: u8,
        offsets: Option<Int64Array<'py>>,
        lengths: Option<Int64Array<'py>>,
        types: Option<Uint8Array<'py>>,
        out: Option<Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<SealedBatch> {
        let threads = ThreadCount::new(threads)?;
        let data = data.as_slice();
        let (offsets, lengths) = match (&offsets, &lengths) {
            (Some(offsets), Some(lengths)) => (offsets.values(), lengths.values()),
            (None, None) if types.is_none() => {
                let size = cut_size(record_size)?;
                self.0.check_type(record_type).map_err(CoreError)?;
                let overhead = self.0.overhead();
                let pieces = data.chunks(size).map(|plaintext| RecordPlaintext {
                    record_type,
                    plaintext,
                });
                let lengths = RecordLengths::Even {
                    size: size + overhead,
                    total: data.len() + pieces.len() * overhead,
                };
                return self.seal_pieces(py, pieces, lengths, data, out, threads);
            }
            _ => {
                return Err(refused(
                    Errno::Inval,
                    "offsets, lengths and types go together",
                ));
            }
        };
        let count = offsets.len();
        let pieces = if let Some(types) = &types {
            check_counts(count, lengths.len(), types.values().len())?;
            scan::pieces(types.values(), offsets, lengths, data)?
        } else {
            check_counts(count, lengths.len(), count)?;
            scan::pieces(std::iter::repeat(record_type), offsets, lengths, data)?
        };
        pieces
            .iter()
            .try_for_each(|piece| self.0.check_type(piece.record_type))
            .map_err(CoreError)?;
        // Plaintexts that are too long for a record are refused later.
        let lengths = pieces
            .iter()
            .map(|piece| (piece.plaintext.len() + self.0.overhead()) as u16);
        let lengths = RecordLengths::Each(try_collect(lengths)?);
        let pieces = pieces.iter().copied();
        self.seal_pieces(py, pieces, lengths, data, out, threads)
    }

    fn rekey(&self, py: Python<'_>, info: InfoArg) -> PyResult<()> {
        let call = self.begin_call()?;
        let rekeyed = locked(py, call.sealer, 0, |sealer| sealer.rekey(info.0, &PROVIDER));
        Ok(rekeyed.map_err(CoreError)?)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("Sealer"))
    }
}

impl PySealer {
    fn seal_to(
        &self,
        py: Python<'_>,
        record_type: u8,
        data: &[u8],
        out: &mut [u8],
    ) -> PyResult<usize> {
        self.0.check_type(record_type).map_err(CoreError)?;
        let call = self.begin_call()?;
        let seal = |sealer: &mut Sealer| sealer.seal(record_type, data, out);
        Ok(locked(py, call.sealer, data.len(), seal).map_err(CoreError)?)
    }

    fn look<R: Ungil>(&self, py: Python<'_>, at: fn(&Sealer) -> R) -> PyResult<R> {
        let sealer = self.0.for_reading().map_err(connection_error)?;
        Ok(locked(py, sealer, 0, |sealer| at(sealer)))
    }

    fn begin_call(&self) -> PyResult<SealerCall<'_>> {
        self.0.begin_call().map_err(connection_error)
    }

    fn seal_pieces<'a, 'py>(
        &self,
        py: Python<'py>,
        pieces: impl ExactSizeIterator<Item = RecordPlaintext<'a>> + Clone + Send + Sync,
        lengths: RecordLengths,
        data: &[u8],
        out: Option<Bound<'py, PyAny>>,
        threads: ThreadCount,
    ) -> PyResult<SealedBatch> {
        let call = self.begin_call()?;
        let count = pieces.len();
        // Many short records are work, even if they contain little data.
        let work = data.len() + count * self.0.overhead();
        let seal = |out: &mut [u8]| {
            let seal = |sealer: &mut Sealer| threads.seal(sealer, pieces.clone(), out);
            locked(py, call.sealer, work, seal).map_err(CoreError)
        };
        let (buffer, held, written) = match out {
            Some(object) => {
                let mut output: OutputBuffer = object.extract()?;
                let out = output.as_mut_slice();
                check_apart(data, out)?;
                let written = seal(out)?;
                (object, Some(output), written)
            }
            None => {
                let measured = locked(py, call.sealer, work, |sealer| {
                    sealer.measure(pieces.clone())
                });
                let need = measured.map_err(CoreError)?.1;
                (batch_bytes(py, need, seal)?, None, need)
            }
        };
        Ok(SealedBatch {
            wire: FrontOfBuffer::new(buffer, held, written),
            records: lengths,
            count,
            offsets: LazyColumn::new(),
            lengths: LazyColumn::new(),
        })
    }
}

/// The lengths of the records of a batch, which are contiguous.
enum RecordLengths {
    /// All records have this length, except for the last one, which ends at the end of the batch.
    Even {
        size: usize,
        total: usize,
    },
    Each(Vec<u16>),
}

impl RecordLengths {
    fn get(&self, index: usize) -> i64 {
        match self {
            Self::Each(lengths) => lengths.get(index).copied().unwrap_or_default().into(),
            &Self::Even { size, total } => size.min(total - index * size) as i64,
        }
    }
}

fn cut_size(record_size: usize) -> PyResult<usize> {
    match record_size {
        1..=MAX_PLAINTEXT => Ok(record_size),
        _ => Err(refused(
            Errno::Inval,
            format!("record_size {record_size} is not 1 to {MAX_PLAINTEXT}"),
        )),
    }
}

/// Refuses columns of different lengths, with EINVAL.
fn check_counts(offsets: usize, lengths: usize, types: usize) -> PyResult<()> {
    if offsets == lengths && offsets == types {
        return Ok(());
    }
    let text = format!("{offsets} offsets, {lengths} lengths and {types} types");
    Err(refused(Errno::Inval, text))
}

#[from_stub]
#[pyclass(frozen, weakref, module = "ktls_fast")]
pub(crate) struct SealedBatch {
    wire: FrontOfBuffer,
    records: RecordLengths,
    count: usize,
    offsets: LazyColumn,
    lengths: LazyColumn,
}

#[from_stub(SealedBatch)]
#[pymethods]
impl SealedBatch {
    #[getter]
    fn wire(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.wire.view(py)
    }

    #[getter]
    fn offsets(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.offsets.int64(py, self.count, starts(self.lengths()))
    }

    #[getter(lengths)]
    fn lengths_array(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lengths.int64(py, self.count, self.lengths())
    }

    fn __len__(&self) -> usize {
        self.count
    }
}

impl SealedBatch {
    fn lengths(&self) -> impl Iterator<Item = i64> {
        (0..self.count).map(|index| self.records.get(index))
    }
}
