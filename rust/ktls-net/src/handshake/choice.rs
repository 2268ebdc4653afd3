//! The choice of a server's configuration by the server name that the client asks for.
//!
//! rustls gets no byte of the client before the configuration is chosen. Until then another reader of rustls,
//! its `Acceptor`, gets a copy of the client's bytes. If they are not a ClientHello, the choice is skipped:
//! rustls then refuses the bytes with the right alert.

use ktls_core::Alert;
use ktls_core::session::KeyUpdatePolicy;
use ktls_core::wire::HEADER_LEN;
use rustls::NamedGroup;
use rustls::server::{Accepted, Acceptor};

use super::side::HandshakeSide;
use super::{Handshake, HandshakeError, HandshakeProgress, MAX_HANDSHAKE, ServerConfig, body_len};

/// How far the choice of a server's configuration is.
pub(super) enum ConfigChoice {
    /// The configuration is final.
    Made,
    /// The ClientHello is not complete.
    AwaitingHello(Box<HelloReader>),
    /// The caller has not yet taken the request to choose.
    Requested(ConfigQuestion),
    /// The caller is choosing.
    Choosing(ConfigQuestion),
}

/// What the choice of a configuration depends on.
pub(super) struct ConfigQuestion {
    default: ServerConfig,
    request: ServerNameRequest,
}

/// The answer to a [`ServerNameRequest`].
pub enum ConfigAnswer {
    /// The configuration with which the handshake was started.
    Default,
    /// This configuration, and the policy of the session.
    Chosen(ServerConfig, KeyUpdatePolicy),
    /// No configuration, for the reason in this sentence.
    Refused(String),
}

/// A request to choose the configuration of a server for one client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerNameRequest {
    /// The server name that the client asks for.
    pub server_name: Option<String>,
    /// Whether the client supports X25519MLKEM768.
    pub(super) has_hybrid: bool,
}

impl ServerNameRequest {
    fn of(accepted: &Accepted) -> Self {
        let hello = accepted.client_hello();
        let groups = hello.named_groups().unwrap_or_default();
        Self {
            server_name: hello.server_name().map(str::to_owned),
            has_hybrid: groups.contains(&NamedGroup::X25519MLKEM768),
        }
    }
}

/// Who chooses the configuration once the ClientHello is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asking {
    /// The caller of the handshake.
    Caller,
    /// Nobody: the configuration is only adapted to the client's groups.
    No,
}

/// Reads a ClientHello before rustls gets it.
pub(super) struct HelloReader {
    default: ServerConfig,
    acceptor: Acceptor,
    /// The number of bytes that were read.
    read: usize,
    asking: Asking,
}

/// What the bytes of a client are so far.
enum HelloRead {
    Incomplete,
    Hello(ServerNameRequest),
    /// They are not a ClientHello, or one that is too long.
    Malformed,
}

impl HelloReader {
    pub(super) fn new(default: &ServerConfig, asking: Asking) -> Self {
        Self {
            default: default.clone(),
            acceptor: Acceptor::default(),
            read: 0,
            asking,
        }
    }

    /// Reads the bytes of `received` that are new.
    fn read(&mut self, received: &[u8]) -> HelloRead {
        loop {
            match self.acceptor.accept() {
                Ok(Some(accepted)) => return HelloRead::Hello(ServerNameRequest::of(&accepted)),
                Ok(None) if self.read < MAX_HANDSHAKE => {}
                _ => return HelloRead::Malformed,
            }
            let mut rest = received.get(self.read..).unwrap_or_default();
            if rest.is_empty() {
                return HelloRead::Incomplete;
            }
            match self.acceptor.read_tls(&mut rest) {
                Ok(count) if count > 0 => self.read += count,
                _ => return HelloRead::Malformed,
            }
        }
    }
}

impl Handshake {
    /// Returns the request to choose a configuration: once, after the ClientHello has arrived.
    pub fn take_server_name_request(&mut self) -> Option<ServerNameRequest> {
        match std::mem::replace(&mut self.choice, ConfigChoice::Made) {
            ConfigChoice::Requested(choosing) => {
                let request = choosing.request.clone();
                self.choice = ConfigChoice::Choosing(choosing);
                Some(request)
            }
            choice => {
                self.choice = choice;
                None
            }
        }
    }

    /// Returns `true` while the caller has to choose a configuration.
    #[must_use]
    pub const fn awaits_config(&self) -> bool {
        matches!(
            self.choice,
            ConfigChoice::Requested(_) | ConfigChoice::Choosing(_)
        )
    }

    /// Continues with what was chosen, or ends the handshake with the alert internal_error. Does nothing unless
    /// the request was taken.
    ///
    /// # Errors
    /// Returns the errors of [`Handshake::receive`], and that of a refusal.
    pub fn answer(&mut self, answer: ConfigAnswer) -> Result<HandshakeProgress, HandshakeError> {
        match (
            std::mem::replace(&mut self.choice, ConfigChoice::Made),
            answer,
        ) {
            (ConfigChoice::Choosing(question), ConfigAnswer::Chosen(config, policy)) => {
                self.policy = Some(policy);
                self.set_config(&config, question.request.has_hybrid)?;
            }
            (ConfigChoice::Choosing(question), ConfigAnswer::Default) => {
                self.set_config(&question.default, question.request.has_hybrid)?;
            }
            (ConfigChoice::Choosing(_), ConfigAnswer::Refused(text)) => {
                self.refuse(Alert::InternalError, text);
            }
            (choice, _) => self.choice = choice,
        }
        self.process_received()
    }

    /// Reads the ClientHello while the choice depends on it.
    pub(super) fn read_hello(&mut self) {
        let ConfigChoice::AwaitingHello(reader) = &mut self.choice else {
            return;
        };
        let request = match reader.read(&self.received) {
            HelloRead::Incomplete => return,
            HelloRead::Malformed => {
                self.choice = ConfigChoice::Made;
                return;
            }
            HelloRead::Hello(request) => request,
        };
        let (default, asking) = (reader.default.clone(), reader.asking);
        if asking == Asking::Caller {
            self.choice = ConfigChoice::Requested(ConfigQuestion { default, request });
        } else {
            self.choice = ConfigChoice::Made;
            // A failure is returned by `progress`.
            let _unchanged = self.set_config(&default, request.has_hybrid);
        }
    }

    /// Returns the length of the whole records that wait for the choice of a configuration.
    pub(super) fn held_back(&self) -> usize {
        let mut end = 0;
        while !matches!(self.choice, ConfigChoice::Made)
            && let Some(header) = self.header_at(end)
            && end + HEADER_LEN + body_len(header) <= self.received.len()
        {
            end += HEADER_LEN + body_len(header);
        }
        end
    }

    /// Starts again with another configuration: rustls has not got any byte yet.
    fn set_config(
        &mut self,
        config: &ServerConfig,
        has_hybrid: bool,
    ) -> Result<(), HandshakeError> {
        match HandshakeSide::server(config, has_hybrid) {
            Ok(side) => {
                self.side = side;
                Ok(())
            }
            Err(error) => {
                self.refuse(Alert::InternalError, error.to_string());
                Err(error)
            }
        }
    }
}
