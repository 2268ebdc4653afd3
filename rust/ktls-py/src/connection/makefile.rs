//! Files over a connection, as `socket.socket.makefile` makes them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::PyConnection;

/// The mode of a file.
#[derive(Clone, Copy)]
struct FileMode<'a> {
    text: &'a str,
    reads: bool,
    writes: bool,
    is_binary: bool,
}

/// The arguments for text, as of the function `open`.
#[derive(Clone, Copy)]
pub(super) struct TextOptions<'a> {
    pub(super) encoding: Option<&'a str>,
    pub(super) errors: Option<&'a str>,
    pub(super) newline: Option<&'a str>,
}

/// Opens a file over the connection, which stays open until its last file is closed.
///
/// # Errors
/// `ValueError` for a mode or a size of the buffer that is not possible.
pub(super) fn open<'py>(
    connection: &Bound<'py, PyConnection>,
    mode: &str,
    buffering: Option<isize>,
    text: TextOptions<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let mode = FileMode::parse(mode)?;
    let raw = mode.raw(connection.as_any())?;
    connection.get().io_refs.add_file();
    mode.open(raw, buffering, text)
}

impl<'a> FileMode<'a> {
    /// # Errors
    /// `ValueError` for letters other than r, w and b.
    fn parse(text: &'a str) -> PyResult<Self> {
        if !text.chars().all(|letter| matches!(letter, 'r' | 'w' | 'b')) {
            let shown = ktls_core::quoted(text);
            let message = format!("mode {shown} has letters other than r, w and b");
            return Err(PyValueError::new_err(message));
        }
        let writes = text.contains('w');
        Ok(Self {
            text,
            reads: text.contains('r') || !writes,
            writes,
            is_binary: text.contains('b'),
        })
    }

    /// Returns the standard library's raw file over the connection.
    fn raw<'py>(self, connection: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let raw_mode = match (self.reads, self.writes) {
            (true, true) => "rw",
            (true, false) => "r",
            _ => "w",
        };
        let socket = connection.py().import("socket")?;
        socket.call_method1("SocketIO", (connection, raw_mode))
    }

    /// Returns the file over `raw`. Zero for `buffering` means no buffer, a negative number or
    /// `None` the usual one.
    fn open<'py>(
        self,
        raw: Bound<'py, PyAny>,
        buffering: Option<isize>,
        options: TextOptions<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let io = raw.py().import("io")?;
        let size: isize = match buffering {
            Some(0) if self.is_binary => return Ok(raw),
            Some(0) => {
                let message = "a file without a buffer is binary: add b to the mode";
                return Err(PyValueError::new_err(message));
            }
            Some(size) if size > 0 => size,
            _ => io.getattr("DEFAULT_BUFFER_SIZE")?.extract()?,
        };
        let buffer = match (self.reads, self.writes) {
            (true, true) => io.call_method1("BufferedRWPair", (&raw, &raw, size))?,
            (true, false) => io.call_method1("BufferedReader", (&raw, size))?,
            _ => io.call_method1("BufferedWriter", (&raw, size))?,
        };
        if self.is_binary {
            return Ok(buffer);
        }
        let TextOptions {
            encoding,
            errors,
            newline,
        } = options;
        let encoding = io.call_method1("text_encoding", (encoding,))?;
        let file = io.call_method1("TextIOWrapper", (buffer, encoding, errors, newline))?;
        file.setattr("mode", self.text)?;
        Ok(file)
    }
}
