//! Arguments whose errors are phrased for Python programmers.

use ktls_core::quoted;
use ktls_net::handshake::needs_password;
use pyo3::Borrowed;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};
use zeroize::Zeroizing;

use crate::errors::misconfigured;
use crate::memory::check_room;

/// A sequence of `str`. A single `str`, which is a sequence of letters in Python, is refused.
#[derive(Default)]
pub(crate) struct StringSequence(pub(crate) Vec<String>);

/// The maximum size of the strings of one argument in bytes, far above the limit of any handshake.
const MAX_NAMES_SIZE: usize = 1 << 22;

impl FromPyObject<'_, '_> for StringSequence {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let refused = |what: &Bound<'_, PyAny>| {
            let kind = what.get_type();
            let text = format!("a sequence of str is needed, not {}", type_name(&kind));
            PyTypeError::new_err(text)
        };
        if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
            return Err(refused(&object));
        }
        let items = object.try_iter().map_err(|_| refused(&object))?;
        let (mut names, mut size) = (Vec::new(), 0);
        for item in items {
            let item = item?;
            let name = name_in_sequence(&item)?;
            size += size_of::<String>() + name.len();
            if size > MAX_NAMES_SIZE {
                let text = format!("names that take more than {MAX_NAMES_SIZE} bytes are too many");
                return Err(misconfigured(text));
            }
            names.push(name.to_owned());
        }
        Ok(Self(names))
    }
}

fn name_in_sequence<'a>(item: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    match item.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "a sequence of str is needed, not one with {}",
            type_name(&item.get_type())
        ))),
    }
}

/// Returns the name of a type for error messages.
pub(crate) fn type_name(kind: &Bound<'_, pyo3::types::PyType>) -> String {
    kind.name()
        .map_or_else(|_| "another type".into(), |name| name.to_string())
}

/// Converts an integer that has to fit into a small field of the wire or of a C struct.
pub(crate) fn small<T: TryFrom<i64> + IntegerBounds>(object: &Bound<'_, PyAny>) -> PyResult<T> {
    let number = object.extract::<i64>()?;
    T::try_from(number).map_err(|_| {
        let (least, most) = (T::LEAST, T::MOST);
        PyOverflowError::new_err(format!("{number} is not from {least} to {most}"))
    })
}

/// Converts the argument `record_limit`: the number of records that a key may seal, or `None`.
pub(crate) fn record_limit(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    let refused = |error: PyErr| match error.is_instance_of::<PyOverflowError>(object.py()) {
        true => PyValueError::new_err(format!(
            "record_limit {object} is not from 0 to {}",
            u64::MAX
        )),
        false => error,
    };
    object.extract().map_err(refused)
}

/// Converts an optional integer that has to fit into a small field.
pub(crate) fn optional_small<T: TryFrom<i64> + IntegerBounds>(
    object: &Bound<'_, PyAny>,
) -> PyResult<Option<T>> {
    (!object.is_none()).then(|| small(object)).transpose()
}

/// Converts the argument `key_update_limit`: a number of KeyUpdates and a number of seconds.
pub(crate) fn count_and_seconds(object: &Bound<'_, PyAny>) -> PyResult<(u32, f64)> {
    let refused =
        |_| PyTypeError::new_err("a tuple of a number of KeyUpdates and one of seconds is needed");
    let (count, seconds) = object
        .extract::<(Bound<'_, PyAny>, f64)>()
        .map_err(refused)?;
    Ok((small(&count)?, seconds))
}

/// The smallest and the largest value of an integer type.
pub(crate) trait IntegerBounds {
    const LEAST: i64;
    const MOST: i64;
}

macro_rules! bounds {
    ($($kind:ty),*) => {
        $(impl IntegerBounds for $kind {
            const LEAST: i64 = <$kind>::MIN as i64;
            const MOST: i64 = <$kind>::MAX as i64;
        })*
    };
}
bounds!(u8, u16, u32, i32);

/// Converts a host name into the form of certificates: names that are not ASCII are encoded with
/// IDNA, as `ssl` does.
pub(crate) fn host_name(name: &Bound<'_, PyString>) -> PyResult<String> {
    let text = name.to_str()?;
    if text.len() > MAX_HOST_NAME {
        return Err(misconfigured(format!(
            "server_name of {} bytes is neither a DNS name nor an IP address",
            text.len()
        )));
    }
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let encoded = name.call_method1("encode", ("idna",)).map_err(|_| {
        misconfigured(format!(
            "server_name {} is neither a DNS name nor an IP address",
            quoted(text)
        ))
    })?;
    let encoded = encoded.extract::<Vec<u8>>()?;
    Ok(String::from_utf8_lossy(&encoded).into_owned())
}

/// The maximum length of a host name before encoding, in bytes: 253 letters of 4 bytes.
const MAX_HOST_NAME: usize = 4 * 253;

/// Returns the password of `key`: `password` itself, or the result of calling it.
///
/// A function is only called if the key is encrypted, as in `ssl.SSLContext.load_cert_chain`.
pub(crate) fn key_password(
    key: &[u8],
    password: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Zeroizing<Vec<u8>>>> {
    match password {
        None => Ok(None),
        Some(function) if function.is_callable() => match needs_password(key) {
            true => password_bytes(&function.call0()?).map(Some),
            false => Ok(None),
        },
        Some(password) => password_bytes(password).map(Some),
    }
}

fn password_bytes(password: &Bound<'_, PyAny>) -> PyResult<Zeroizing<Vec<u8>>> {
    check_room(password.len().unwrap_or_default().saturating_mul(4))?;
    if let Ok(text) = password.cast::<PyString>() {
        return Ok(Zeroizing::new(text.to_str()?.as_bytes().to_vec()));
    }
    if let Ok(bytes) = password.cast::<PyBytes>() {
        return Ok(Zeroizing::new(bytes.as_bytes().to_vec()));
    }
    if let Ok(bytes) = password.cast::<PyByteArray>() {
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    Err(PyTypeError::new_err(format!(
        "password is str, bytes, bytearray or a function that returns one, not {}",
        type_name(&password.get_type())
    )))
}

/// Converts the number of bytes that a caller asks for.
pub(crate) fn bytes_asked(count: isize) -> PyResult<usize> {
    usize::try_from(count)
        .map_err(|_| PyValueError::new_err(format!("{count} is not a number of bytes")))
}

/// Returns the first `nbytes` of an output buffer; all of it if `nbytes` is 0.
pub(crate) fn limited(out: &mut [u8], nbytes: isize) -> PyResult<&mut [u8]> {
    let asked = bytes_asked(nbytes)?;
    let len = out.len();
    let wanted = if asked == 0 { len } else { asked };
    out.get_mut(..wanted)
        .ok_or_else(|| PyValueError::new_err(format!("{nbytes} bytes into a buffer of {len}")))
}
