//! `Relay` and `RelayHandle`.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ktls_core::Errno;
use ktls_net::{NetError, OnClose, PairEnd, RelayPair, RelayPool, RelaySide};
use ktls_py_macros::{from_stub, stub_named_tuple};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict};

use crate::buffer::EBADF;
use crate::connection::PyConnection;
use crate::errors::{connection_error, os_error, refused};
use crate::ktls_socket::PyKtlsSocket;
use crate::lock::guard;
use crate::named_tuple::NamedTuple;
use crate::relay_arguments::{pair_options, plain_fd};
use crate::timeout::{parse, wait_for};

#[from_stub]
#[pyclass(frozen, weakref, name = "Relay", module = "ktls_fast")]
pub(crate) struct PyRelay {
    pool: Arc<RelayPool>,
    closed: OnceLock<()>,
}

#[from_stub]
#[pyclass(frozen, weakref, name = "RelayHandle", module = "ktls_fast")]
pub(crate) struct PyRelayHandle {
    pair: Arc<RelayPair>,
    error: PyOnceLock<Py<PyAny>>,
}

pub(crate) static CONTROL_RECORD: NamedTuple = NamedTuple::new(stub_named_tuple!(ControlRecord));

/// The pools whose threads may still run when the interpreter ends.
static POOLS: Mutex<Vec<Arc<RelayPool>>> = Mutex::new(Vec::new());
/// The time that threads get to end when the interpreter ends.
const EXIT: Duration = Duration::from_secs(2);

#[from_stub(Relay)]
#[pymethods]
impl PyRelay {
    #[new]
    fn new(threads: usize) -> PyResult<Self> {
        if threads == 0 {
            return Err(PyValueError::new_err("0 threads pump nothing"));
        }
        let pool = Arc::new(RelayPool::new(threads).map_err(connection_error)?);
        let mut pools = guard(&POOLS);
        pools.retain(|pool| !pool.is_over());
        pools.push(Arc::clone(&pool));
        Ok(Self {
            pool,
            closed: OnceLock::new(),
        })
    }

    fn add(
        &self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        idle_timeout: Option<f64>,
        truncation: &str,
        on_close: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyRelayHandle>> {
        let options = pair_options(idle_timeout, truncation)?;
        if let Some(on_close) = on_close.as_ref().filter(|call| !call.is_callable()) {
            return Err(PyTypeError::new_err(format!(
                "on_close is {}, which cannot be called",
                on_close.get_type()
            )));
        }
        if self.closed.get().is_some() {
            return Err(os_error(EBADF, "the relay is closed: "));
        }
        // Checked before the sides are taken, which assigns them to this process.
        self.pool.check_process().map_err(connection_error)?;
        let sides = [side_of(a)?, side_of(b)?];
        if sides.iter().all(RelaySide::is_plain) {
            let text = "two plain sockets: at least one side must be a Connection or KtlsSocket";
            return Err(refused(Errno::Inval, text));
        }
        let handle = Arc::new(PyOnceLock::new());
        let on_close = Arc::new(on_close.map(Bound::unbind));
        let ended = on_ended(Arc::clone(&handle), Arc::clone(&on_close));
        let pair = py.detach(|| self.pool.add(sides, options, ended));
        PyRelayHandle::of(py, &handle, pair.map_err(not_added)?)
    }

    fn close(&self, py: Python<'_>, drain: f64) -> PyResult<()> {
        let drain = parse(Some(drain))?.unwrap_or_default();
        self.pool.close(drain).map_err(connection_error)?;
        self.closed.get_or_init(|| ());
        wait_for(py, || self.pool.join())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tally = self.pool.tally();
        [
            ("threads", self.pool.threads() as u64),
            ("open", self.pool.open() as u64),
            ("ended", tally.pairs_ended()),
            ("failed", tally.pairs_failed()),
            ("bytes", tally.bytes()),
        ]
        .into_py_dict(py)
    }

    fn __len__(&self) -> usize {
        self.pool.open()
    }

    fn __bool__(&self) -> bool {
        true
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
        self.close(py, 1.0)
    }

    fn __repr__(&self) -> String {
        let (threads, open) = (self.pool.threads(), self.pool.open());
        format!("<Relay threads={threads} open={open}>")
    }
}

impl Drop for PyRelay {
    fn drop(&mut self) {
        // The threads may need the GIL for a callback, so we must not wait for them here. The child
        // of a fork has no such threads.
        let _child = self.pool.close(Duration::ZERO);
    }
}

#[from_stub(RelayHandle)]
#[pymethods]
impl PyRelayHandle {
    #[getter]
    fn bytes(&self) -> (u64, u64) {
        self.pair.bytes().into()
    }

    #[getter]
    fn records(&self) -> (u64, u64) {
        self.pair.records().into()
    }

    #[getter]
    fn done(&self) -> bool {
        self.pair.outcome().is_some()
    }

    // The same object is returned at each call.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let error = self.pair.outcome()?.as_ref().err()?.clone();
        let make = || connection_error(error).into_value(py).into_any();
        Some(self.error.get_or_init(py, make).clone_ref(py))
    }

    #[getter]
    fn truncated(&self) -> Option<usize> {
        self.pair.truncated()
    }

    #[getter]
    fn control<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.pair.outcome() {
            Some(&Ok(PairEnd::Control { side, record_type })) => {
                let class = CONTROL_RECORD.class(py)?;
                class.call1((side, record_type)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn stop(&self) -> PyResult<()> {
        self.pair.stop().map_err(connection_error)
    }

    fn __repr__(&self) -> String {
        let [there, back] = self.pair.bytes();
        let state = match self.pair.outcome() {
            None => "open".into(),
            Some(Ok(PairEnd::Complete)) => "done".into(),
            Some(Ok(PairEnd::Control { side, record_type })) => {
                format!("control record of type {record_type} from side {side}")
            }
            Some(Err(error)) => error.to_string(),
        };
        format!("<RelayHandle bytes=({there}, {back}) {state}>")
    }
}

impl PyRelayHandle {
    /// The handle of a pair. It is created by `add` or, if that is earlier, by the callback.
    fn of(py: Python<'_>, slot: &PyOnceLock<Py<Self>>, pair: Arc<RelayPair>) -> PyResult<Py<Self>> {
        let make = || {
            let error = PyOnceLock::new();
            Py::new(py, Self { pair, error })
        };
        Ok(slot.get_or_try_init(py, make)?.clone_ref(py))
    }
}

/// Ends all pools, before the interpreter that their callbacks need is gone.
#[pyfunction]
pub(crate) fn close_relays(py: Python<'_>) {
    let pools = std::mem::take(&mut *guard(&POOLS));
    let end = Instant::now() + EXIT;
    py.detach(|| {
        let open = pools
            .iter()
            .filter(|pool| pool.close(Duration::ZERO).is_ok());
        for pool in open.collect::<Vec<_>>() {
            while pool.join().is_err() && Instant::now() < end {}
        }
    });
}

/// Registers a function with `atexit`.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let close = wrap_pyfunction!(close_relays, py)?;
    py.import("atexit")?
        .call_method1("register", (close,))
        .map(drop)
}

/// Returns the function that runs when a pair has ended and calls its callback, if there is one.
///
/// Without an interpreter it does nothing. It releases the Python objects while it holds the GIL:
/// without the GIL that would take a lock, which a fork must not copy.
fn on_ended(handle: Arc<PyOnceLock<Py<PyRelayHandle>>>, call: Arc<Option<Py<PyAny>>>) -> OnClose {
    Box::new(move |pair| {
        let _ended = Python::try_attach(move |py| {
            let Some(call) = &*call else { return };
            let told =
                PyRelayHandle::of(py, &handle, pair).and_then(|handle| call.call1(py, (handle,)));
            if let Err(error) = told {
                error.write_unraisable(py, Some(call.bind(py)));
            }
        });
    })
}

fn side_of(object: &Bound<'_, PyAny>) -> PyResult<RelaySide> {
    if let Ok(connection) = object.cast::<PyConnection>() {
        let connection = Arc::clone(connection.get().connection(object.py())?);
        return RelaySide::tls(connection).map_err(connection_error);
    }
    if let Ok(socket) = object.cast::<PyKtlsSocket>() {
        let socket = socket.get().socket().map_err(connection_error)?;
        return RelaySide::ktls(socket).map_err(connection_error);
    }
    match plain_fd(object)? {
        Some(fd) => Ok(RelaySide::Plain(fd)),
        None => Err(no_side(object)),
    }
}

fn no_side(object: &Bound<'_, PyAny>) -> PyErr {
    let backend = object.getattr("backend").ok();
    if backend.is_some_and(|backend| backend.eq("kernel").unwrap_or(false)) {
        let text = "a KernelSocket is not pumped: make a KtlsSocket of the socket instead";
        return refused(Errno::OpNotSupp, text);
    }
    let kind = object.get_type();
    PyTypeError::new_err(format!(
        "{kind} is neither a Connection, a KtlsSocket nor a plain socket.socket"
    ))
}

fn not_added(error: NetError) -> PyErr {
    match error {
        NetError::Io(errno) if errno.raw_os_error() == Errno::Again.code() => os_error(
            Errno::Again.code(),
            "another thread or relay reads or writes a side: ",
        ),
        error => connection_error(error),
    }
}
