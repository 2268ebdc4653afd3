//! The start of handshakes, and the resolver of a `ServerConfig`: a Python function that chooses a
//! configuration by the server name.

use std::sync::Mutex;

use ktls_net::NetError;
use ktls_net::handshake::{ConfigAnswer, Handshake, ServerNameRequest};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{host_name, type_name};
use crate::config::{PyClientConfig, PyServerConfig};
use crate::errors::connection_error;
use crate::identity::PyServerIdentity;
use crate::lock::guard;

/// The resolver of one connection, if it has one, and the exception that the resolver has raised.
#[derive(Default)]
pub(crate) struct Resolving {
    /// The configuration that has the resolver.
    config: Option<Py<PyServerConfig>>,
    cause: Mutex<Option<PyErr>>,
}

impl Resolving {
    pub(crate) fn of(config: &Bound<'_, PyServerConfig>) -> Self {
        let has_resolver = config.get().resolver.is_some();
        Self {
            config: has_resolver.then(|| config.clone().unbind()),
            cause: Mutex::default(),
        }
    }

    pub(crate) const fn has_resolver(&self) -> bool {
        self.config.is_some()
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.config)
    }

    /// Calls the resolver. The caller must hold no lock: the function may do anything.
    pub(crate) fn answer(&self, py: Python<'_>, request: ServerNameRequest) -> ConfigAnswer {
        let Some(config) = &self.config else {
            return ConfigAnswer::Default;
        };
        call_resolver(py, config.get(), request).unwrap_or_else(|error| {
            let text = format!("the resolver raised {}", type_name(&error.get_type(py)));
            *guard(&self.cause) = Some(error);
            ConfigAnswer::Refused(text)
        })
    }

    /// Returns the exception for an error of a call, whose cause is the exception of the resolver.
    ///
    /// What is not an `Exception`, such as `KeyboardInterrupt`, is returned itself, once.
    pub(crate) fn explain(&self, py: Python<'_>, is_handshake: bool, error: PyErr) -> PyErr {
        if !is_handshake {
            return error;
        }
        if let Some(interrupt) = self.take_interrupt(py) {
            return interrupt;
        }
        if let Some(cause) = &*guard(&self.cause) {
            error.set_cause(py, Some(cause.clone_ref(py)));
        }
        error
    }

    /// Takes the exception of the resolver if it is not an `Exception`.
    pub(crate) fn take_interrupt(&self, py: Python<'_>) -> Option<PyErr> {
        guard(&self.cause).take_if(|cause| !cause.is_instance_of::<PyException>(py))
    }
}

/// Returns `true` for the failure of a handshake.
pub(crate) const fn is_of_handshake(error: &NetError) -> bool {
    matches!(error, NetError::Handshake(_))
}

/// Starts a server's handshake.
pub(crate) fn start_server(config: &PyServerConfig) -> PyResult<Handshake> {
    let handshake = match config.resolver {
        Some(_) => Handshake::server_with_choice(&config.config),
        None => Handshake::server(&config.config),
    };
    handshake.map_err(|error| connection_error(error.into()))
}

/// Starts a client's handshake with a server that must prove `server_name`.
pub(crate) fn start_client(
    config: &PyClientConfig,
    server_name: &Bound<'_, PyString>,
) -> PyResult<Handshake> {
    let handshake = Handshake::client(&config.config, &host_name(server_name)?);
    handshake.map_err(|error| connection_error(error.into()))
}

/// # Errors
/// Returns the exception of the function, or a `TypeError` about its result.
fn call_resolver(
    py: Python<'_>,
    config: &PyServerConfig,
    request: ServerNameRequest,
) -> PyResult<ConfigAnswer> {
    let Some(resolver) = &config.resolver else {
        return Ok(ConfigAnswer::Default);
    };
    let result = resolver.bind(py).call1((request.server_name,))?;
    if result.is_none() {
        return Ok(ConfigAnswer::Default);
    }
    if let Ok(chosen) = result.cast::<PyServerConfig>() {
        let chosen = chosen.get();
        return Ok(ConfigAnswer::Chosen(chosen.config.clone(), chosen.policy));
    }
    if let Ok(identity) = result.cast::<PyServerIdentity>() {
        let chosen = config.config.with_identity(identity.get().0.clone());
        return Ok(ConfigAnswer::Chosen(chosen, config.policy));
    }
    let text = format!(
        "a resolver returns a ServerConfig, a ServerIdentity or None, not a {}",
        type_name(&result.get_type())
    );
    Err(PyTypeError::new_err(text))
}
