//! `_KtlsKeyState`, the secrets and the rules behind `KtlsKeys`.

use std::time::Duration;

use ktls_core::rekey::Reply;
use ktls_core::session::{KtlsKeys, SendEnding};
use ktls_core::wire::TLS13;
use ktls_core::{Direction, Error};
use ktls_net::{KtlsKeyState, NetError};
use ktls_py_macros::from_stub;
use pyo3::prelude::*;

use crate::arguments::small;
use crate::buffer::{InputBuffer, copy_bytes};
use crate::crypto_info::{PyCryptoInfo, no_pickle};
use crate::errors::connection_error;

#[from_stub]
#[pyclass(frozen, weakref, name = "_KtlsKeyState", module = "ktls_fast._core")]
pub(crate) struct PyKtlsKeyState(KtlsKeyState);

impl PyKtlsKeyState {
    pub(crate) const fn new(keys: KtlsKeyState) -> Self {
        Self(keys)
    }

    fn with<R>(&self, act: impl FnOnce(&mut KtlsKeys, Duration) -> R) -> PyResult<R> {
        self.0.with(act).map_err(connection_error)
    }

    fn try_with<R>(
        &self,
        act: impl FnOnce(&mut KtlsKeys, Duration) -> Result<R, Error>,
    ) -> PyResult<R> {
        self.with(act)?
            .map_err(|error| connection_error(NetError::Tls(error)))
    }
}

#[from_stub(_KtlsKeyState)]
#[pymethods]
impl PyKtlsKeyState {
    #[getter]
    fn is_tls13(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.version() == TLS13)
    }

    #[getter]
    fn cipher(&self) -> PyResult<&'static str> {
        self.with(|keys, _| keys.cipher().name)
    }

    #[getter]
    fn info_len(&self) -> PyResult<usize> {
        self.with(|keys, _| keys.cipher().info_len())
    }

    #[getter]
    fn tx_generation(&self) -> PyResult<u64> {
        self.with(|keys, _| keys.generation(Direction::Tx))
    }

    #[getter]
    fn rx_generation(&self) -> PyResult<u64> {
        self.with(|keys, _| keys.generation(Direction::Rx))
    }

    #[getter]
    fn send_number(&self) -> PyResult<u64> {
        self.with(|keys, _| keys.send_number())
    }

    fn set_send_number(&self, number: u64) -> PyResult<()> {
        self.with(|keys, _| keys.set_send_number(number))
    }

    fn send_limits(&self) -> PyResult<(bool, u64)> {
        let limits = self.try_with(KtlsKeys::send_limits)?;
        Ok((limits.is_update_due, limits.bytes))
    }

    fn note_sent(&self, nbytes: usize) -> PyResult<()> {
        self.with(|keys, _| keys.note_sent(nbytes))
    }

    #[getter]
    fn owes_update(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.owes_update())
    }

    fn prepare_key_update<'py>(
        &self,
        py: Python<'py>,
        request_peer: Option<bool>,
    ) -> PyResult<(Bound<'py, PyAny>, PyCryptoInfo)> {
        let (reply, next) = self.try_with(|keys, now| {
            let reply = request_peer.map_or_else(|| keys.usual_reply(), Reply::requested_if);
            keys.prepare_key_update(reply, now)
        })?;
        Ok((copy_bytes(py, &reply.message())?, PyCryptoInfo(next)))
    }

    #[getter]
    fn is_key_update_sealed(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.is_key_update_sealed())
    }

    fn note_key_update_sealed(&self) -> PyResult<()> {
        self.with(|keys, _| keys.note_key_update_sealed())
    }

    fn note_send_key_installed(&self) -> PyResult<()> {
        self.with(|keys, _| keys.note_send_key_installed())
    }

    fn note_close_notify(&self) -> PyResult<()> {
        self.with(|keys, _| keys.note_close_notify())
    }

    fn end_sending(&self) -> PyResult<()> {
        self.with(|keys, _| keys.end_sending())
    }

    #[getter]
    fn has_ended_sending(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.send_ending() != SendEnding::Open)
    }

    fn note_received(&self, nbytes: usize) -> PyResult<()> {
        self.try_with(|keys, now| keys.note_received(nbytes, now))
    }

    fn take_record(
        &self,
        #[pyo3(from_py_with = small::<u8>)] record_type: u8,
        data: InputBuffer<'_>,
    ) -> PyResult<()> {
        self.try_with(|keys, now| keys.take_record(record_type, data.as_slice(), now))
    }

    #[getter]
    fn next_receive_key(&self) -> PyResult<Option<PyCryptoInfo>> {
        self.with(|keys, _| keys.next_receive_key().cloned().map(PyCryptoInfo))
    }

    #[getter]
    fn is_paused_early(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.is_paused_early())
    }

    fn note_receive_key_installed(&self) -> PyResult<()> {
        self.with(|keys, _| keys.note_receive_key_installed())
    }

    fn take_renegotiation(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.take_renegotiation())
    }

    #[getter]
    fn closed_by_peer(&self) -> PyResult<bool> {
        self.with(|keys, _| keys.is_closed_by_peer())
    }

    #[getter]
    fn alert(&self) -> PyResult<Option<u8>> {
        self.with(|keys, _| Some(keys.check_alive().err()?.alert()?.code()))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("_KtlsKeyState"))
    }
}
