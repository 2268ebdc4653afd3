//! `OffloadQueue`.

use std::sync::Arc;
use std::time::Duration;

use ktls_core::offload::InstallPolicy;
use ktls_core::quoted;
use ktls_net::queue::{QueueShape, QueueStats};
use ktls_net::{NetError, OffloadQueue, Wait};
use ktls_py_macros::{from_stub, stub_named_tuple};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::connection_error;
use crate::named_tuple::NamedTuple;
use crate::spent_bytes::SpentBytes;
use crate::timeout::wait_for;

#[from_stub]
#[pyclass(frozen, weakref, name = "OffloadQueue", module = "ktls_fast")]
pub(crate) struct PyOffloadQueue {
    queue: Arc<OffloadQueue>,
    spent: Arc<SpentBytes>,
}

pub(crate) static QUEUE_STATS: NamedTuple = NamedTuple::new(stub_named_tuple!(QueueStats));

/// The time that `close` waits for peers that accept nothing.
const CLOSE: Duration = Duration::from_secs(60);

#[from_stub(OffloadQueue)]
#[pymethods]
impl PyOffloadQueue {
    #[new]
    fn new(workers: usize, depth: usize, slots: usize, policy: &str) -> PyResult<Self> {
        let shape = QueueShape {
            workers: within("workers", workers, 0, MOST_WORKERS)?,
            depth: within("depth", depth, 1, MOST_DEPTH)?,
            slots,
            policy: parse_policy(policy)?,
        };
        let queue = OffloadQueue::new(shape).map_err(connection_error)?;
        Ok(Self {
            queue: Arc::new(queue),
            spent: Arc::default(),
        })
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let QueueStats {
            submitted,
            completed,
            software,
            full,
            depth,
            slots,
        } = self.queue.stats().map_err(connection_error)?;
        self.spent.release(py);
        QUEUE_STATS
            .class(py)?
            .call1((submitted, completed, software, full, depth, slots))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let patience = Wait::from_timeout(Some(CLOSE));
        let closed = wait_for(py, || match self.queue.close(patience) {
            // The threads continue as long as their peers accept bytes.
            Err(NetError::TimedOut) => Ok(()),
            closed => closed,
        });
        self.spent.release(py);
        closed
    }

    #[getter]
    fn closed(&self) -> bool {
        self.queue.is_closed()
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _exc_type: Option<Bound<'_, PyAny>>,
        _exc: Option<Bound<'_, PyAny>>,
        _tb: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let QueueShape {
            workers,
            depth,
            slots,
            policy,
        } = self.queue.shape();
        let closed = if self.closed() { ", closed" } else { "" };
        format!(
            "<OffloadQueue workers={workers} depth={depth} slots={slots} policy={policy}{closed}>"
        )
    }
}

impl PyOffloadQueue {
    /// Returns the queue for a new socket.
    pub(crate) fn usable(&self) -> PyResult<Arc<OffloadQueue>> {
        self.queue.check_process().map_err(connection_error)?;
        Ok(Arc::clone(&self.queue))
    }

    /// Returns the list into which the workers put the `bytes` that they have finished with.
    pub(crate) fn spent(&self) -> Arc<SpentBytes> {
        Arc::clone(&self.spent)
    }
}

fn parse_policy(name: &str) -> PyResult<InstallPolicy> {
    match InstallPolicy::named(name) {
        Some(policy @ (InstallPolicy::CoverLetter | InstallPolicy::V17)) => Ok(policy),
        Some(InstallPolicy::Naive) | None => Err(PyValueError::new_err(format!(
            "policy {} is neither \"cover-letter\" nor \"v17\"",
            quoted(name)
        ))),
    }
}

fn within(what: &str, value: usize, least: usize, most: usize) -> PyResult<usize> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(PyValueError::new_err(format!(
        "{what} {value} is not from {least} to {most}"
    )))
}

const MOST_WORKERS: usize = 256;
const MOST_DEPTH: usize = 1 << 16;
