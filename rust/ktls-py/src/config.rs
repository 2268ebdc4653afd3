//! `ServerConfig` and `ClientConfig`.

use std::path::PathBuf;

use ktls_core::quoted;
use ktls_core::session::KeyUpdatePolicy;
use ktls_net::handshake::{
    ClientConfig, ClientOptions, GroupOptions, IdentityOptions, MinVersion, ServerConfig,
    ServerOptions, TrustedRoots,
};
use ktls_py_macros::from_stub;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{StringSequence, count_and_seconds, key_password, type_name};
use crate::buffer::InputBuffer;
use crate::errors::{connection_error, misconfigured};
use crate::identity::{IdentitySequence, check_room_for_pem, load};
use crate::memory::check_room;
use crate::policy::{PolicyArguments, PyRekeyPolicy, PyStormPolicy};

#[from_stub]
#[pyclass(frozen, weakref, name = "ServerConfig", module = "ktls_fast")]
pub(crate) struct PyServerConfig {
    pub(crate) config: ServerConfig,
    pub(crate) policy: KeyUpdatePolicy,
    /// Chooses another configuration by the server name.
    pub(crate) resolver: Option<Py<PyAny>>,
}

#[from_stub(ServerConfig)]
#[pymethods]
impl PyServerConfig {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        cert: InputBuffer<'_>,
        key: InputBuffer<'_>,
        password: Option<Bound<'_, PyAny>>,
        identities: IdentitySequence,
        resolver: Option<Bound<'_, PyAny>>,
        alpn: StringSequence,
        client_roots: Option<InputBuffer<'_>>,
        require_client_cert: bool,
        min_version: &str,
        suites: Option<StringSequence>,
        groups: Option<StringSequence>,
        prefer_post_quantum: bool,
        tickets: usize,
        keylog: Option<PathBuf>,
        rekey: Option<Bound<'_, PyRekeyPolicy>>,
        storm: Option<Bound<'_, PyStormPolicy>>,
        rekey_bytes: Option<u64>,
        rekey_records: Option<u64>,
        rekey_peer: bool,
        rekey_interval: f64,
        #[pyo3(from_py_with = count_and_seconds)] key_update_limit: (u32, f64),
    ) -> PyResult<Self> {
        check_room_for_pem([Some(&cert), Some(&key), client_roots.as_ref()])?;
        let resolver = resolver.map(callable).transpose()?;
        let password = key_password(key.as_slice(), password.as_ref())?;
        let options = ServerOptions {
            identity: IdentityOptions {
                cert: cert.as_slice(),
                key: key.as_slice(),
                password: password.as_ref().map(|password| password.as_slice()),
            },
            identities: identities.0,
            alpn: protocols(alpn),
            client_roots: client_roots.as_ref().map(InputBuffer::as_slice),
            require_client_cert,
            min_version: parse_version(min_version)?,
            suites: suites.map(|StringSequence(names)| names),
            groups: group_options(groups, prefer_post_quantum),
            tickets,
            keylog,
        };
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
        let config = py.detach(|| ServerConfig::new(&options));
        Ok(Self {
            config: config.map_err(|error| connection_error(error.into()))?,
            policy,
            resolver,
        })
    }

    fn reload(
        &self,
        py: Python<'_>,
        cert: InputBuffer<'_>,
        key: InputBuffer<'_>,
        password: Option<Bound<'_, PyAny>>,
        identities: Option<IdentitySequence>,
    ) -> PyResult<()> {
        let identity = load(py, &cert, &key, password.as_ref())?;
        let others = identities.map(|IdentitySequence(others)| others);
        self.config.replace_identities(identity, others);
        Ok(())
    }

    // Without `__clear__`: a function in a cycle with this object has one.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.resolver)
    }
}

#[from_stub]
#[pyclass(frozen, weakref, name = "ClientConfig", module = "ktls_fast")]
pub(crate) struct PyClientConfig {
    pub(crate) config: ClientConfig,
    pub(crate) policy: KeyUpdatePolicy,
}

#[from_stub(ClientConfig)]
#[pymethods]
impl PyClientConfig {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        roots: Option<Bound<'_, PyAny>>,
        cert: Option<InputBuffer<'_>>,
        key: Option<InputBuffer<'_>>,
        password: Option<Bound<'_, PyAny>>,
        alpn: StringSequence,
        min_version: &str,
        suites: Option<StringSequence>,
        groups: Option<StringSequence>,
        prefer_post_quantum: bool,
        resumption: bool,
        keylog: Option<PathBuf>,
        rekey: Option<Bound<'_, PyRekeyPolicy>>,
        storm: Option<Bound<'_, PyStormPolicy>>,
        rekey_bytes: Option<u64>,
        rekey_records: Option<u64>,
        rekey_peer: bool,
        rekey_interval: f64,
        #[pyo3(from_py_with = count_and_seconds)] key_update_limit: (u32, f64),
    ) -> PyResult<Self> {
        let pem: Option<InputBuffer<'_>> = match &roots {
            Some(roots) if !roots.is_instance_of::<PyString>() => Some(roots.extract()?),
            _ => None,
        };
        check_room_for_pem([cert.as_ref(), key.as_ref(), pem.as_ref()])?;
        let identity = identity(cert.as_ref(), key.as_ref())?;
        let password = match identity {
            Some(identity) => key_password(identity.key, password.as_ref())?,
            None => None,
        };
        let identity = identity.map(|identity| IdentityOptions {
            password: password.as_ref().map(|password| password.as_slice()),
            ..identity
        });
        let options = ClientOptions {
            roots: match &pem {
                Some(pem) => TrustedRoots::Pem(pem.as_slice()),
                None => named_roots(roots.as_ref())?,
            },
            identity,
            alpn: protocols(alpn),
            min_version: parse_version(min_version)?,
            suites: suites.map(|StringSequence(names)| names),
            groups: group_options(groups, prefer_post_quantum),
            resumption,
            keylog,
        };
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
        let config = py.detach(|| ClientConfig::new(&options));
        Ok(Self {
            config: config.map_err(|error| connection_error(error.into()))?,
            policy,
        })
    }
}

fn callable(resolver: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if resolver.is_callable() {
        return Ok(resolver.unbind());
    }
    let kind = type_name(&resolver.get_type());
    let text = format!("resolver is a function, not a {kind}");
    Err(PyTypeError::new_err(text))
}

fn group_options(names: Option<StringSequence>, prefer_post_quantum: bool) -> GroupOptions {
    GroupOptions {
        names: names.map(|StringSequence(names)| names),
        prefer_post_quantum,
    }
}

fn protocols(StringSequence(alpn): StringSequence) -> Vec<Vec<u8>> {
    alpn.into_iter().map(String::into_bytes).collect()
}

fn parse_version(name: &str) -> PyResult<MinVersion> {
    match name {
        "TLSv1.2" => Ok(MinVersion::Tls12),
        "TLSv1.3" => Ok(MinVersion::Tls13),
        _ => {
            let text = format!(
                "min_version {} is neither \"TLSv1.2\" nor \"TLSv1.3\"",
                quoted(name)
            );
            Err(misconfigured(text))
        }
    }
}

fn named_roots<'a>(name: Option<&Bound<'_, PyAny>>) -> PyResult<TrustedRoots<'a>> {
    let Some(name) = name else {
        return Ok(TrustedRoots::System);
    };
    let name = name.cast::<PyString>()?;
    check_room(name.len()?.saturating_mul(16))?;
    match name.to_str()? {
        "system" => Ok(TrustedRoots::System),
        "webpki" => Ok(TrustedRoots::WebPki),
        other if other.contains("-----BEGIN ") => {
            let text = "roots is PEM as str: bytes are needed";
            Err(PyTypeError::new_err(text))
        }
        other => {
            let text = format!(
                "roots {} is neither PEM bytes, \"system\" nor \"webpki\"",
                quoted(other)
            );
            Err(misconfigured(text))
        }
    }
}

fn identity<'a>(
    cert: Option<&'a InputBuffer<'_>>,
    key: Option<&'a InputBuffer<'_>>,
) -> PyResult<Option<IdentityOptions<'a>>> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(IdentityOptions {
            cert: cert.as_slice(),
            key: key.as_slice(),
            password: None,
        })),
        (None, None) => Ok(None),
        _ => Err(misconfigured(
            "a client certificate needs both cert and key",
        )),
    }
}
