//! Arguments and results of the calls of `KtlsSocket`, and how the calls run.

use std::os::fd::{OwnedFd, RawFd};

use ktls_core::Errno;
use ktls_core::socket::ReceiveResult;
use ktls_core::socket::call::{GET_RECORD_TYPE, SOL_TLS};
use ktls_net::NetError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::buffer::dup_fd;
use crate::errors::{CoreError, connection_error, refused};
use crate::memory::{try_collect, try_push};

/// The result of `recvmsg`: data or its length, control messages, flags, and no address.
pub(crate) type ReceivedMessage<T> = (T, Vec<(i32, i32, Vec<u8>)>, u32, Option<()>);

/// Runs a call without the GIL and converts its errors to those of the kernel.
///
/// Signal handlers run in between (PEP 475).
pub(crate) fn as_kernel<R: Send>(
    py: Python<'_>,
    mut call: impl FnMut() -> Result<R, NetError> + Send,
) -> PyResult<R> {
    loop {
        match py.detach(&mut call) {
            Ok(result) => return Ok(result),
            Err(NetError::Interrupted) => py.check_signals()?,
            Err(NetError::Tls(error)) => return Err(CoreError(error).into()),
            Err(error) => return Err(connection_error(error)),
        }
    }
}

/// Returns the control message of a receive, if there was room for it.
pub(crate) fn controls(received: ReceiveResult) -> Vec<(i32, i32, Vec<u8>)> {
    let control = received.control();
    control
        .map(|data| (SOL_TLS, GET_RECORD_TYPE, data))
        .into_iter()
        .collect()
}

/// Collects all items of an iterable.
pub(crate) fn collect<'py, T>(iterable: &Bound<'py, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
    for<'a> <T as FromPyObject<'a, 'py>>::Error: Into<PyErr>,
{
    let mut items = Vec::new();
    for item in iterable.try_iter()? {
        try_push(&mut items, item?.extract().map_err(Into::into)?)?;
    }
    Ok(items)
}

/// Duplicates the descriptor of a file, given as a number or as an object with `fileno`.
pub(crate) fn dup_of(file: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    let number = match file.extract::<RawFd>() {
        Ok(number) => number,
        Err(_) => file.call_method0("fileno")?.extract()?,
    };
    dup_fd(number)
}

/// Converts a length, and refuses a negative one.
pub(crate) fn size(len: isize) -> PyResult<usize> {
    usize::try_from(len).map_err(|_| PyValueError::new_err(format!("{len} is not a buffer size")))
}

/// Refuses buffers of one call that share memory.
pub(crate) fn check_all_apart(slices: &[&mut [u8]]) -> PyResult<()> {
    let mut ranges = try_collect(slices.iter().map(|slice| slice.as_ptr_range()))?;
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut pairs = ranges.iter().zip(ranges.iter().skip(1));
    if pairs.any(|(first, second)| second.start < first.end) {
        return Err(refused(Errno::Inval, "two of the buffers overlap"));
    }
    Ok(())
}
