//! `KtlsSocket.sendfile`, which behaves like that of `socket.socket`.

use std::os::fd::OwnedFd;

use ktls_net::{FdSocket, FileSource, NetError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::connection_error;
use crate::socket_call::{as_kernel, dup_of};
use crate::timeout::SocketTimeout;

/// Sends a file opened in binary mode.
///
/// Afterwards its position is after the bytes that were sent, even if the call fails.
pub(crate) fn send(
    file: &Bound<'_, PyAny>,
    offset: u64,
    count: Option<i64>,
    socket: &FdSocket,
    timeout: &SocketTimeout,
) -> PyResult<u64> {
    let count = check(file, count, timeout)?;
    match descriptor(file)? {
        Some(fd) => send_contents(file, &fd, offset, count, socket, timeout),
        None => send_reads(file, offset, count, socket, timeout),
    }
}

fn check(
    file: &Bound<'_, PyAny>,
    count: Option<i64>,
    timeout: &SocketTimeout,
) -> PyResult<Option<u64>> {
    let mode = file
        .getattr("mode")
        .and_then(|mode| mode.extract::<String>());
    let refusal = match (mode, count) {
        (Ok(mode), _) if !mode.contains('b') => format!("a file of mode {mode:?} cannot be sent"),
        (_, Some(count @ ..=0)) => format!("{count} is not a count of bytes to send"),
        _ if timeout.seconds() == Some(0.0) => "a non-blocking socket sends no files".into(),
        _ => return Ok(count.map(i64::unsigned_abs)),
    };
    Err(PyValueError::new_err(refusal))
}

/// Returns the descriptor of a file that can be read at an offset, or `None` for other objects.
fn descriptor(file: &Bound<'_, PyAny>) -> PyResult<Option<OwnedFd>> {
    let has_fileno = file.call_method0("fileno").is_ok();
    if has_fileno && is_seekable(file) {
        return dup_of(file).map(Some);
    }
    Ok(None)
}

/// Returns `false` if the object reports that it is not seekable.
fn is_seekable(file: &Bound<'_, PyAny>) -> bool {
    let seekable = file.call_method0("seekable");
    seekable
        .and_then(|seekable| seekable.extract())
        .unwrap_or(true)
}

fn send_contents(
    file: &Bound<'_, PyAny>,
    fd: &OwnedFd,
    offset: u64,
    count: Option<u64>,
    socket: &FdSocket,
    timeout: &SocketTimeout,
) -> PyResult<u64> {
    let mut source = FileSource::new(fd, offset, count);
    let mut limit = timeout.while_stalled();
    let done = as_kernel(file.py(), || socket.send_file(&mut source, &mut limit));
    let sent = source.sent();
    seek_after(file, offset, sent)?;
    done.map(|()| sent)
}

/// Sends a pipe, or an object that only has `read`: each piece is sent as soon as it was read.
fn send_reads(
    file: &Bound<'_, PyAny>,
    offset: u64,
    count: Option<u64>,
    socket: &FdSocket,
    timeout: &SocketTimeout,
) -> PyResult<u64> {
    if offset > 0 {
        file.call_method1("seek", (offset,))?;
    }
    let mut sent = 0;
    let done = send_each_read(file, count, socket, timeout, &mut sent);
    seek_after(file, offset, sent)?;
    done.map(|()| sent)
}

fn send_each_read(
    file: &Bound<'_, PyAny>,
    count: Option<u64>,
    socket: &FdSocket,
    timeout: &SocketTimeout,
    sent: &mut u64,
) -> PyResult<()> {
    let mut timed_out = false;
    loop {
        let wanted = count.map_or(READ, |count| READ.min(count - *sent));
        let data = file.call_method1("read", (wanted,))?;
        let data = data.cast::<PyBytes>()?.as_bytes();
        if wanted == 0 || data.is_empty() {
            return Ok(());
        }
        if timed_out {
            return Err(connection_error(NetError::TimedOut));
        }
        // The time spent reading does not count towards the timeout.
        let (mut limit, mut taken) = (timeout.while_stalled(), 0);
        let done = as_kernel(file.py(), || {
            socket.send_all(data, &[], 0, &mut limit, &mut taken)
        });
        *sent += taken as u64;
        done?;
        timed_out = limit.patience().left().is_err();
        // An object implemented in C may run no Python code, so signal handlers have to run here.
        file.py().check_signals()?;
    }
}

/// Sets the position of the file to the end of the sent bytes, if any were sent and the file is
/// seekable.
fn seek_after(file: &Bound<'_, PyAny>, offset: u64, sent: u64) -> PyResult<()> {
    if sent > 0 && file.hasattr("seek")? && is_seekable(file) {
        file.call_method1("seek", (offset + sent,))?;
    }
    Ok(())
}

/// The number of bytes to read from an object at a time.
const READ: u64 = 16 << 10;
