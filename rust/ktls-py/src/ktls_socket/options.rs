//! Options: those that this socket answers itself, and those of TCP or of the system.

use ktls_core::socket::call::{SOL_SOCKET, SOL_TLS};
use ktls_core::socket::options::INT_LEN;
use pyo3::prelude::*;

use super::PyKtlsSocket;
use crate::buffer::copy_bytes;
use crate::socket_option::{
    IPPROTO_TCP, OptionValue, SO_ERROR, SO_RCVLOWAT, TCP_ULP, int_answer, int_of,
};

/// A level and the name of an option of this level.
type OptionName = (i32, i32);

impl PyKtlsSocket {
    /// Sets an option; `optlen` is only allowed with `None`, and is Python's to check.
    pub(super) fn set_option(
        &self,
        py: Python<'_>,
        option: OptionName,
        value: &Bound<'_, PyAny>,
        optlen: Option<u32>,
    ) -> PyResult<()> {
        match option {
            (IPPROTO_TCP, TCP_ULP) => {
                let value: OptionValue<'_> = value.extract()?;
                let value = value.bytes();
                self.run(py, || self.inner.attach(value))
            }
            (SOL_TLS, name) => {
                let value: OptionValue<'_> = value.extract()?;
                let value = value.bytes();
                self.run(py, || self.inner.set_option(name, value))
            }
            (SOL_SOCKET, SO_RCVLOWAT) if !value.is_none() => {
                let value: OptionValue<'_> = value.extract()?;
                let bytes = int_of(value.bytes())?;
                self.run(py, || self.inner.set_low_water(bytes))
            }
            (level, name) => self.set_elsewhere(py, level, name, value, optlen),
        }
    }

    /// Returns an option: an int if `buflen` is 0, otherwise `bytes` of up to this length.
    pub(super) fn option(
        &self,
        py: Python<'_>,
        option: OptionName,
        buflen: usize,
    ) -> PyResult<Py<PyAny>> {
        let room = if buflen == 0 { INT_LEN } else { buflen };
        let answer = match option {
            (IPPROTO_TCP, TCP_ULP) => self.run(py, || self.inner.ulp(room))?.to_vec(),
            (SOL_TLS, name) => self.run(py, || self.inner.option(name, room))?,
            (SOL_SOCKET, SO_ERROR) => int_answer(self.run(py, || self.inner.take_error())?, room),
            (SOL_SOCKET, SO_RCVLOWAT) => int_answer(
                i32::try_from(self.run(py, || self.inner.low_water())?).unwrap_or(i32::MAX),
                room,
            ),
            (level, name) => return self.ask_socket(py, "getsockopt", (level, name, buflen)),
        };
        if buflen > 0 {
            return Ok(copy_bytes(py, &answer)?.unbind());
        }
        let mut int = [0; INT_LEN];
        int.iter_mut().zip(answer).for_each(|(to, from)| *to = from);
        Ok(i32::from_ne_bytes(int)
            .into_pyobject(py)?
            .into_any()
            .unbind())
    }
}
