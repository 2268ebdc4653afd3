//! `TLSObject`.

mod calls;

use ktls_core::rekey::Reply;
use ktls_net::TlsObject;
use ktls_py_macros::from_stub;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{bytes_asked, count_and_seconds, limited};
use crate::buffer::{InputBuffer, OutputBuffer, copy_bytes, new_bytes};
use crate::config::{PyClientConfig, PyServerConfig};
use crate::crypto_info::no_pickle;
use crate::errors::connection_error;
use crate::exporter::export;
use crate::handshake_facts::{alpn, certificates, complete, key_update_reply};
use crate::memory::try_push;
use crate::policy::{PolicyArguments, PyRekeyPolicy, PyStormPolicy};
use crate::resolver::{Resolving, start_client, start_server};
use crate::takeover_keys::{TakeoverKey, check_room_for_received, takeover_keys};

#[from_stub]
#[pyclass(frozen, weakref, name = "TLSObject", module = "ktls_fast")]
pub(crate) struct PyTlsObject {
    tls: TlsObject,
    resolving: Resolving,
}

#[from_stub(TLSObject)]
#[pymethods]
impl PyTlsObject {
    #[staticmethod]
    fn server(config: &Bound<'_, PyServerConfig>) -> PyResult<Self> {
        let handshake = start_server(config.get())?;
        let tls = TlsObject::new(handshake, &config.get().policy);
        let resolving = Resolving::of(config);
        Ok(Self { tls, resolving })
    }

    #[staticmethod]
    fn client(
        config: &Bound<'_, PyClientConfig>,
        server_name: &Bound<'_, PyString>,
    ) -> PyResult<Self> {
        let config = config.get();
        let handshake = start_client(config, server_name)?;
        Ok(Self::over(TlsObject::new(handshake, &config.policy)))
    }

    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn from_secrets(
        server_side: bool,
        tx: TakeoverKey,
        rx: TakeoverKey,
        tx_rec_seq: u64,
        rx_rec_seq: u64,
        received: Option<InputBuffer<'_>>,
        rekey: Option<Bound<'_, PyRekeyPolicy>>,
        storm: Option<Bound<'_, PyStormPolicy>>,
        rekey_bytes: Option<u64>,
        rekey_records: Option<u64>,
        rekey_peer: bool,
        rekey_interval: f64,
        #[pyo3(from_py_with = count_and_seconds)] key_update_limit: (u32, f64),
    ) -> PyResult<Self> {
        let policy = PolicyArguments {
            rekey: rekey.as_ref(),
            storm: storm.as_ref(),
            rekey_bytes,
            rekey_records,
            rekey_peer,
            rekey_interval,
            key_update_limit,
        }
        .policy()?;
        let keys = takeover_keys((tx, tx_rec_seq), (rx, rx_rec_seq))?;
        let received = received.as_ref().map_or(&[][..], InputBuffer::as_slice);
        check_room_for_received(received)?;
        let tls = TlsObject::from_secrets(keys, server_side, received, &policy);
        Ok(Self::over(tls.map_err(connection_error)?))
    }

    fn receive(&self, py: Python<'_>, data: InputBuffer<'_>) -> PyResult<()> {
        if self.tls.is_cut() {
            let text = "bytes were received after the end of the transport";
            return Err(PyValueError::new_err(text));
        }
        let data = data.as_slice();
        if !self.tls.is_established() {
            check_room_for_received(data)?;
        }
        let received = self.run_reading(py, data.len(), || self.tls.receive(data))?;
        received.map_err(connection_error)?;
        if self.resolving.has_resolver() && !self.tls.is_established() {
            self.resolve(py)?;
        }
        Ok(())
    }

    fn receive_eof(&self) {
        self.tls.receive_eof();
    }

    fn data_to_send<'py>(&self, py: Python<'py>, n: isize) -> PyResult<Bound<'py, PyAny>> {
        let unsent = self.run_writing(py, 0, || self.tls.unsent())?;
        let len = usize::try_from(n).map_or(unsent, |n| unsent.min(n));
        new_bytes(py, len, |out| {
            let taken = self.run_writing(py, out.len(), || self.tls.take_unsent(out))?;
            taken.map_err(connection_error)
        })
    }

    #[getter]
    fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        self.run_writing(py, 0, || self.tls.unsent())
    }

    #[getter]
    fn wants(&self, py: Python<'_>) -> PyResult<usize> {
        self.run_reading(py, 0, || self.tls.wants())
    }

    fn do_handshake(&self, py: Python<'_>) -> PyResult<()> {
        let done = self.run_reading(py, 0, || self.tls.do_handshake())?;
        done.map_err(|error| self.error(py, error))
    }

    #[getter]
    fn handshake_complete(&self) -> bool {
        self.tls.is_established()
    }

    fn read<'py>(&self, py: Python<'py>, n: isize) -> PyResult<Bound<'py, PyAny>> {
        let most = bytes_asked(n)?;
        let room = self.run_reading(py, 0, || self.tls.readable(most))?;
        if room == 0 {
            return self.read_byte(py, most);
        }
        new_bytes(py, room, |out| self.read_to(py, most, out))
    }

    fn recv_into(
        &self,
        py: Python<'_>,
        mut buffer: OutputBuffer,
        nbytes: isize,
    ) -> PyResult<usize> {
        let out = limited(buffer.as_mut_slice(), nbytes)?;
        self.read_to(py, out.len(), out)
    }

    fn write(&self, py: Python<'_>, data: InputBuffer<'_>) -> PyResult<usize> {
        let data = data.as_slice();
        let written = self.run_writing(py, data.len(), || self.tls.write(data))?;
        written.map_err(|error| self.error(py, error))?;
        Ok(data.len())
    }

    fn writelines(&self, py: Python<'_>, parts: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut buffers = Vec::new();
        for part in parts.try_iter()? {
            try_push(&mut buffers, part?.extract::<InputBuffer<'_>>()?)?;
        }
        let mut slices = Vec::new();
        for buffer in &buffers {
            try_push(&mut slices, buffer.as_slice())?;
        }
        let len = slices.iter().map(|part| part.len()).sum();
        let written = self.run_writing(py, len, || self.tls.write_parts(&slices))?;
        written.map_err(|error| self.error(py, error))?;
        Ok(len)
    }

    fn key_update(&self, py: Python<'_>, request_peer: bool) -> PyResult<()> {
        let reply = match self.tls.facts() {
            Some(facts) => key_update_reply(facts, request_peer)?,
            None => Reply::requested_if(request_peer),
        };
        let done = self.run_writing(py, 0, || self.tls.key_update(reply))?;
        done.map_err(|error| self.error(py, error))
    }

    fn close_notify(&self, py: Python<'_>) -> PyResult<()> {
        let done = self.run_writing(py, 0, || self.tls.close_notify())?;
        done.map_err(|error| self.error(py, error))
    }

    fn pending(&self, py: Python<'_>) -> PyResult<usize> {
        self.run_reading(py, 0, || self.tls.pending())
    }

    fn leftover<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let taken = self.run_reading(py, 0, || self.tls.take_leftover())?;
        copy_bytes(py, &taken.map_err(connection_error)?)
    }

    #[getter]
    fn closed_by_peer(&self, py: Python<'_>) -> PyResult<bool> {
        self.run_reading(py, 0, || self.tls.is_closed_by_peer())
    }

    #[getter]
    fn version(&self) -> Option<&'static str> {
        Some(self.tls.facts()?.version_name())
    }

    #[getter]
    fn cipher(&self) -> Option<&str> {
        Some(&self.tls.facts()?.cipher)
    }

    #[getter]
    fn group(&self) -> Option<&str> {
        self.tls.facts()?.group.as_deref()
    }

    fn export_keying_material<'py>(
        &self,
        label: &Bound<'py, PyAny>,
        length: usize,
        context: Option<InputBuffer<'_>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let facts = complete(self.tls.facts())?;
        export(facts.exporter.as_ref(), label, length, context.as_ref())
    }

    #[getter]
    fn alpn(&self) -> Option<String> {
        alpn(self.tls.facts()?)
    }

    #[getter]
    fn server_name(&self) -> Option<&str> {
        self.tls.facts()?.server_name.as_deref()
    }

    #[getter]
    fn peer_certificates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        certificates(py, self.tls.facts())
    }

    #[getter]
    fn resumed(&self) -> bool {
        self.tls.facts().is_some_and(|facts| facts.resumed)
    }

    #[getter]
    fn tx_generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.sent.generation)
    }

    #[getter]
    fn rx_generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.received.generation)
    }

    #[getter]
    fn records_sent(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.sent.records)
    }

    #[getter]
    fn records_received(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.received.records)
    }

    #[getter]
    fn bytes_sent(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.sent.bytes)
    }

    #[getter]
    fn bytes_received(&self, py: Python<'_>) -> PyResult<u64> {
        self.count(py, |counts| counts.received.bytes)
    }

    // Without `__clear__`: see that of `ServerConfig`.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.resolving.visit(&visit)
    }

    fn __repr__(&self) -> String {
        match self.tls.facts() {
            Some(facts) => format!("<TLSObject {} {}>", facts.version_name(), facts.cipher),
            None => "<TLSObject in its handshake>".into(),
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("TLSObject"))
    }
}
