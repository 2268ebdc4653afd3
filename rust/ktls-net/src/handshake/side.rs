//! Client and server handshakes of rustls behind one type, without I/O.

use std::sync::{Arc, OnceLock};

use ktls_aead::PROVIDER;
use ktls_core::quoted;
use ktls_core::session::{KeySource, SecretChain};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, Error as Rustls, ExtractedSecrets};

use super::config::{ClientConfig, ServerConfig};
use super::error::FailureContext;
use super::keys::RustlsKeys;
use super::secrets::HandshakeSecrets;
use crate::error::HandshakeError;

/// One side of a handshake: the client or the server.
pub(super) enum HandshakeSide {
    Client {
        conn: Box<UnbufferedClientConnection>,
        config: ClientConfig,
        name: String,
        secrets: Arc<HandshakeSecrets>,
    },
    Server {
        conn: Box<UnbufferedServerConnection>,
        config: ServerConfig,
        requested_name: Arc<RequestedServerName>,
        secrets: Arc<HandshakeSecrets>,
    },
}

impl HandshakeSide {
    pub(super) fn client(config: &ClientConfig, name: &str) -> Result<Self, HandshakeError> {
        let server_name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let name = quoted(name);
            let text = format!("server_name {name} is neither a DNS name nor an IP address");
            HandshakeError::config(text)
        })?;
        let mut tls = rustls::ClientConfig::clone(&config.tls);
        let secrets = HandshakeSecrets::for_client(tls.key_log);
        tls.key_log = secrets.clone();
        let conn = UnbufferedClientConnection::new(Arc::new(tls), server_name);
        let conn = Box::new(conn?);
        Ok(Self::Client {
            conn,
            config: config.clone(),
            name: name.to_owned(),
            secrets,
        })
    }

    /// Starts a server's side. `has_hybrid` is whether the client is known to support X25519MLKEM768.
    pub(super) fn server(config: &ServerConfig, has_hybrid: bool) -> Result<Self, HandshakeError> {
        let mut tls = config.for_handshake(has_hybrid);
        let requested_name = Arc::new(RequestedServerName {
            resolver: tls.cert_resolver,
            name: OnceLock::new(),
        });
        tls.cert_resolver = requested_name.clone();
        let secrets = HandshakeSecrets::for_server(tls.key_log);
        tls.key_log = secrets.clone();
        let conn = UnbufferedServerConnection::new(Arc::new(tls));
        let conn = Box::new(conn?);
        Ok(Self::Server {
            conn,
            config: config.clone(),
            requested_name,
            secrets,
        })
    }

    pub(super) const fn is_server(&self) -> bool {
        matches!(self, Self::Server { .. })
    }

    /// Returns the traffic secrets of this handshake.
    pub(super) fn secrets(&self) -> Arc<HandshakeSecrets> {
        match self {
            Self::Client { secrets, .. } | Self::Server { secrets, .. } => Arc::clone(secrets),
        }
    }

    /// Runs rustls until it needs more input. Removes from `incoming` what rustls has consumed.
    pub(super) fn advance(
        &mut self,
        incoming: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), Rustls> {
        loop {
            let (consumed, step) = self.step(incoming, outgoing);
            let step = step?;
            incoming.drain(..consumed);
            if step == HandshakeStep::NeedsInput {
                return Ok(());
            }
        }
    }

    /// Appends the alert that rustls wants to send after an error, if there is one.
    pub(super) fn collect_alert(&mut self, outgoing: &mut Vec<u8>) {
        // rustls returns what it has to send before it looks at any input.
        while self.common().wants_write() && self.step(&mut [], outgoing).1.is_ok() {}
    }

    fn step(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Vec<u8>,
    ) -> (usize, Result<HandshakeStep, Rustls>) {
        match self {
            Self::Client { conn, .. } => carry_out(conn.process_tls_records(incoming), outgoing),
            Self::Server { conn, .. } => carry_out(conn.process_tls_records(incoming), outgoing),
        }
    }

    /// Returns the state that clients and servers have in common.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Client { conn, .. } => conn,
            Self::Server { conn, .. } => conn,
        }
    }

    /// Returns the server name that the client asked for, if there is one.
    pub(super) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Client { name, .. } => Some(name),
            Self::Server { requested_name, .. } => requested_name.name.get().map(|name| &**name),
        }
    }

    /// Returns the part of our configuration that error messages mention.
    pub(super) fn failure_context(&self) -> FailureContext<'_> {
        match self {
            Self::Client { config, name, .. } => FailureContext {
                server_name: Some(name),
                alpn: &config.tls.alpn_protocols,
                offer: &config.offer,
            },
            Self::Server { config, .. } => FailureContext {
                server_name: None,
                alpn: &config.tls.alpn_protocols,
                offer: &config.offer,
            },
        }
    }

    /// Returns the current traffic secrets and the source of the next keys.
    pub(super) fn into_keys(self) -> Result<(ExtractedSecrets, Box<dyn KeySource>), Rustls> {
        match self {
            Self::Client { conn, secrets, .. } => {
                let chain = secret_chain(&conn, &secrets, HandshakeEnd::Client);
                let (secrets, keys) = conn.dangerous_into_kernel_connection()?;
                Ok((secrets, Box::new(RustlsKeys::new(keys, chain))))
            }
            Self::Server { conn, secrets, .. } => {
                let chain = secret_chain(&conn, &secrets, HandshakeEnd::Server);
                let (secrets, keys) = conn.dangerous_into_kernel_connection()?;
                Ok((secrets, Box::new(RustlsKeys::new(keys, chain))))
            }
        }
    }
}

/// One of the two ends of a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HandshakeEnd {
    Client,
    Server,
}

/// Returns the secrets of a TLS 1.3 connection. `None` in TLS 1.2, whose keys never change.
fn secret_chain(
    common: &CommonState,
    secrets: &HandshakeSecrets,
    end: HandshakeEnd,
) -> Option<SecretChain> {
    let suite = common.negotiated_cipher_suite()?.suite();
    let (client, server) = secrets.take_data_secrets(suite.into())?;
    Some(match end {
        HandshakeEnd::Client => SecretChain::new(client, server, false, &PROVIDER),
        HandshakeEnd::Server => SecretChain::new(server, client, true, &PROVIDER),
    })
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HandshakeStep {
    NeedsInput,
    MadeProgress,
}

/// Carries out what rustls asks for. Returns the number of input bytes that it has consumed as
/// well.
fn carry_out<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Vec<u8>,
) -> (usize, Result<HandshakeStep, Rustls>) {
    let UnbufferedStatus { discard, state } = status;
    let step = state.and_then(|state| match state {
        // A TLS 1.3 server may already send data while it waits for the client's Finished.
        ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => {
            Ok(HandshakeStep::NeedsInput)
        }
        ConnectionState::TransmitTlsData(state) => {
            state.done();
            Ok(HandshakeStep::MadeProgress)
        }
        ConnectionState::EncodeTlsData(mut state) => {
            encode_into(outgoing, |out| state.encode(out)).map(|()| HandshakeStep::MadeProgress)
        }
        _ => Err(Rustls::General(
            "unexpected state during the handshake".into(),
        )),
    });
    (discard, step)
}

/// Appends what `encode` writes. The first call gets an empty buffer and returns the size that is
/// needed.
fn encode_into(
    outgoing: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Rustls> {
    let start = outgoing.len();
    let written = encode(&mut []).or_else(|error| match error {
        EncodeError::InsufficientSize(room) => {
            outgoing.resize(start + room.required_size, 0);
            encode(&mut outgoing[start..])
        }
        error @ EncodeError::AlreadyEncoded => Err(error),
    });
    let written = written.map_err(|error| Rustls::General(error.to_string()))?;
    outgoing.truncate(start + written);
    Ok(())
}

/// Records the server name that a client asks for. rustls passes it to the certificate resolver
/// only.
#[derive(Debug)]
pub(super) struct RequestedServerName {
    resolver: Arc<dyn ResolvesServerCert>,
    name: OnceLock<Box<str>>,
}

impl ResolvesServerCert for RequestedServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            // Called twice after a HelloRetryRequest; rustls checks that the name is the same.
            let _ = self.name.set(name.into());
        }
        self.resolver.resolve(hello)
    }
}
