//! Values of `setsockopt` and `getsockopt`.

use ktls_core::Errno;
use ktls_core::socket::options::INT_LEN;
use pyo3::Borrowed;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use zeroize::Zeroizing;

use crate::arguments::small;
use crate::buffer::InputBuffer;
use crate::crypto_info::PyCryptoInfo;
use crate::errors::refused;

/// The value of an option.
pub(crate) enum OptionValue<'py> {
    Buffer(InputBuffer<'py>),
    Info(Zeroizing<Vec<u8>>),
    Int([u8; INT_LEN]),
    Null,
}

impl<'py> FromPyObject<'_, 'py> for OptionValue<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::Null);
        }
        if let Ok(info) = object.cast::<PyCryptoInfo>() {
            return Ok(Self::Info(info.get().0.to_bytes()));
        }
        if object.is_instance_of::<PyInt>() {
            return Ok(Self::Int(small::<i32>(&object)?.to_ne_bytes()));
        }
        Ok(Self::Buffer(object.extract()?))
    }
}

impl OptionValue<'_> {
    /// Returns the length of the value in bytes. `None` (NULL) has the length 0.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Buffer(buffer) => buffer.as_slice(),
            Self::Info(bytes) => bytes,
            Self::Int(bytes) => bytes,
            Self::Null => &[],
        }
    }
}

/// Returns an `int` in the form in which `getsockopt` writes it into this many bytes.
pub(crate) fn int_answer(value: i32, room: usize) -> Vec<u8> {
    value.to_ne_bytes().into_iter().take(room).collect()
}

/// Reads an `int` as `setsockopt` does, which ignores further bytes.
pub(crate) fn int_of(value: &[u8]) -> PyResult<i32> {
    let Some(int) = value.first_chunk() else {
        let text = format!("an int has {INT_LEN} bytes, not {}", value.len());
        return Err(refused(Errno::Inval, text));
    };
    Ok(i32::from_ne_bytes(*int))
}

pub(crate) const IPPROTO_TCP: i32 = 6;
pub(crate) const TCP_ULP: i32 = 31;
pub(crate) const SO_ERROR: i32 = 4;
pub(crate) const SO_RCVLOWAT: i32 = 18;
