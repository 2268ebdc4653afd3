//! `KtlsSocket`.

pub(crate) mod backend_keyword;
mod forwarded_calls;
mod handle;
mod options;
mod receive;
mod send;

use std::sync::Arc;

use ktls_core::Errno;
use ktls_core::socket::ReceiveBuffers;
use ktls_net::{FdSocket, NetError, ProgressDeadline, Wait};
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use self::handle::SocketHandle;
use self::send::check_address;
use crate::arguments::{optional_small, record_limit, small};
use crate::bell::PyBell;
use crate::buffer::{InputBuffer, OutputBuffer, take_fd};
use crate::errors::connection_error;
use crate::memory::try_collect;
use crate::offload_queue::PyOffloadQueue;
use crate::sendfile;
use crate::socket_call::{
    ReceivedMessage, as_kernel, check_all_apart, collect, controls, dup_of, size,
};
use crate::spent_bytes::SpentBytes;
use crate::stat::{PyNamespace, stats_of};
use crate::timeout::{self, SocketTimeout};
use crate::tls_info;
use crate::unclosed::TracedOrigin;

#[from_stub]
#[pyclass(frozen, weakref, name = "KtlsSocket", module = "ktls_fast")]
pub(crate) struct PyKtlsSocket {
    inner: SocketHandle,
    timeout: SocketTimeout,
    /// The `bytes` that the workers of the queue have finished with.
    spent: Option<Arc<SpentBytes>>,
    origin: TracedOrigin,
}

#[from_stub(KtlsSocket)]
#[pymethods]
impl PyKtlsSocket {
    // Always the engine. The keyword `backend`, until 0.3, calls what the package has registered
    // for it, so that this module imports nothing of the package.
    #[new]
    fn take_over<'py>(
        sock: &Bound<'py, PyAny>,
        namespace: Option<&Bound<'py, PyNamespace>>,
        device: Option<&Bound<'py, PyOffloadQueue>>,
        #[pyo3(from_py_with = record_limit)] record_limit: Option<u64>,
        backend: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(backend) = backend {
            return backend_keyword::call(sock, backend, namespace, device, record_limit);
        }
        let spent = device.map(|device| device.get().spent());
        let device = device.map(|device| device.get().usable()).transpose()?;
        let timeout = SocketTimeout::of(sock)?;
        let inner = FdSocket::new(take_fd(sock)?, stats_of(namespace), device);
        if let Some(records) = record_limit {
            inner.set_record_limit(records);
        }
        let mut made = Self::over(sock.py(), inner, timeout);
        made.spent = spent;
        Ok(Bound::new(sock.py(), made)?.into_any())
    }

    #[getter]
    fn backend(&self) -> &'static str {
        "engine"
    }

    fn setsockopt(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<i32>)] level: i32,
        #[pyo3(from_py_with = small::<i32>)] optname: i32,
        value: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = optional_small::<u32>)] optlen: Option<u32>,
    ) -> PyResult<()> {
        self.set_option(py, (level, optname), value, optlen)
    }

    fn getsockopt(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<i32>)] level: i32,
        #[pyo3(from_py_with = small::<i32>)] optname: i32,
        buflen: usize,
    ) -> PyResult<Py<PyAny>> {
        self.option(py, (level, optname), buflen)
    }

    fn send(
        &self,
        py: Python<'_>,
        data: InputBuffer<'_>,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<usize> {
        self.send_slices(py, &[data], &[], flags)
    }

    fn sendall(
        &self,
        py: Python<'_>,
        data: InputBuffer<'_>,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<()> {
        self.send_whole(py, &data, flags)
    }

    // Called with `(data, address)` or `(data, flags, address)`.
    fn sendto(
        &self,
        py: Python<'_>,
        data: InputBuffer<'_>,
        flags_or_address: &Bound<'_, PyAny>,
        address: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let (flags, address) = match address {
            Some(address) => (flags_or_address.extract()?, address),
            None => (0, flags_or_address),
        };
        check_address(address)?;
        self.send_slices(py, &[data], &[], flags)
    }

    fn sendmsg(
        &self,
        py: Python<'_>,
        buffers: &Bound<'_, PyAny>,
        ancdata: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
        address: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        address.map_or(Ok(()), check_address)?;
        self.send_message(py, buffers, ancdata, flags)
    }

    fn recv<'py>(
        &self,
        py: Python<'py>,
        bufsize: isize,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.recv_fresh(py, bufsize, 0, flags)?.0)
    }

    fn recv_into(
        &self,
        py: Python<'_>,
        mut buffer: OutputBuffer,
        nbytes: isize,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<usize> {
        self.recv_front(py, buffer.as_mut_slice(), nbytes, flags)
    }

    fn recvmsg<'py>(
        &self,
        py: Python<'py>,
        bufsize: isize,
        ancbufsize: isize,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<ReceivedMessage<Bound<'py, PyAny>>> {
        let (data, received) = self.recv_fresh(py, bufsize, size(ancbufsize)?, flags)?;
        Ok((data, controls(received), received.flags(), None))
    }

    fn recvmsg_into(
        &self,
        py: Python<'_>,
        buffers: &Bound<'_, PyAny>,
        ancbufsize: isize,
        #[pyo3(from_py_with = small::<i32>)] flags: i32,
    ) -> PyResult<ReceivedMessage<usize>> {
        let mut buffers = collect::<OutputBuffer>(buffers)?;
        let mut slices = try_collect(buffers.iter_mut().map(OutputBuffer::as_mut_slice))?;
        check_all_apart(&slices)?;
        let mut target = ReceiveBuffers::new(&mut slices);
        let received = self.recv_target(py, &mut target, size(ancbufsize)?, flags)?;
        Ok((received.len, controls(received), received.flags(), None))
    }

    fn fileno(&self) -> i32 {
        self.inner.number()
    }

    fn settimeout(&self, value: Option<f64>) -> PyResult<()> {
        self.timeout.set(value)
    }

    fn gettimeout(&self) -> Option<f64> {
        self.timeout.seconds()
    }

    fn setblocking(&self, flag: bool) -> PyResult<()> {
        self.timeout.set(if flag { None } else { Some(0.0) })
    }

    fn getblocking(&self) -> bool {
        self.timeout.seconds() != Some(0.0)
    }

    fn dup(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            inner: self.inner.dup().map_err(connection_error)?,
            timeout: self.timeout.copy(),
            spent: self.spent.clone(),
            origin: TracedOrigin::here(py),
        })
    }

    fn bind(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ask_socket(py, "bind", (address,)).map(drop)
    }

    fn connect(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<()> {
        self.unless_attached(Errno::IsConn, "connect again")?;
        self.ask_socket(py, "connect", (address,)).map(drop)
    }

    fn listen(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<i32>)] backlog: i32,
    ) -> PyResult<()> {
        self.unless_attached(Errno::Inval, "listen")?;
        self.ask_socket(py, "listen", (backlog,)).map(drop)
    }

    fn getsockname(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ask_socket(py, "getsockname", ())
    }

    fn getpeername(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.ask_socket(py, "getpeername", ())
    }

    fn shutdown(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<i32>)] how: i32,
    ) -> PyResult<()> {
        self.run(py, || self.inner.shutdown(how))
    }

    fn close(&self, py: Python<'_>) {
        match self.inner.check_reachable() {
            Ok(()) => py.detach(|| self.inner.close()),
            // The child must not wait for a lock, and threads that want the GIL may not exist.
            Err(_) => self.inner.close(),
        }
        self.release_spent(py);
    }

    fn info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let info = self.run(py, || self.inner.info())?;
        info.map(|info| tls_info::to_python(py, info)).transpose()
    }

    fn sendfile(&self, file: &Bound<'_, PyAny>, offset: u64, count: Option<i64>) -> PyResult<u64> {
        self.check_reachable()?;
        sendfile::send(file, offset, count, &self.inner, &self.timeout)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn splice_from(
        &self,
        py: Python<'_>,
        fd_in: &Bound<'_, PyAny>,
        n: usize,
        #[pyo3(from_py_with = small::<u32>)] flags: u32,
    ) -> PyResult<usize> {
        let pipe = dup_of(fd_in)?;
        let mut limit = ProgressDeadline::until_taken(self.timeout.patience());
        self.run(py, || self.inner.splice_from(&pipe, n, flags, &mut limit))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn splice_to(
        &self,
        py: Python<'_>,
        fd_out: &Bound<'_, PyAny>,
        n: usize,
        #[pyo3(from_py_with = small::<u32>)] flags: u32,
    ) -> PyResult<usize> {
        let pipe = dup_of(fd_out)?;
        let mut limit = ProgressDeadline::whole(self.timeout.patience());
        self.run(py, || self.inner.splice_to(&pipe, n, flags, &mut limit))
    }

    fn poll(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<u16>)] events: u16,
        timeout: Option<f64>,
    ) -> PyResult<u16> {
        let mut limit = ProgressDeadline::whole(Wait::from_timeout(timeout::parse(timeout)?));
        self.run(py, || self.inner.poll(events, &mut limit))
    }

    fn _readiness(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = small::<u16>)] events: u16,
    ) -> PyResult<(u16, u16)> {
        let ready = self.run(py, || self.inner.readiness(events))?;
        Ok((ready.now, ready.watch))
    }

    fn _watch(&self, bell: &Bound<'_, PyBell>) {
        self.inner.watch(&bell.get().0);
    }

    fn _unwatch(&self, bell: &Bound<'_, PyBell>) {
        self.inner.unwatch(&bell.get().0);
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
    ) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<KtlsSocket fd={} backend=engine>", self.fileno())
    }
}

impl PyKtlsSocket {
    fn run<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnMut() -> Result<R, NetError> + Send,
    ) -> PyResult<R> {
        self.check_reachable()?;
        as_kernel(py, call)
    }

    /// Must be called before the GIL is released: the child of a fork may lack the threads that
    /// want it.
    fn check_reachable(&self) -> PyResult<()> {
        self.inner.check_reachable().map_err(connection_error)
    }
}

impl Drop for PyKtlsSocket {
    fn drop(&mut self) {
        if self.inner.is_dropped_open() {
            self.origin.warn_unclosed(&self.__repr__());
        }
    }
}
