//! TLS handshakes, done by rustls. The records after the handshake are sealed and opened by
//! `ktls-core`.
//!
//! [`Handshake`] takes the bytes of the peer and returns the bytes to send. It never opens
//! application data: rustls gets the stream piece by piece, and what follows the last handshake
//! record stays sealed in [`EstablishedConnection::received`]. No other module uses rustls.

mod agreed;
mod alerts;
mod certificate;
mod choice;
mod config;
mod descriptions;
mod early_data;
mod error;
mod exporter;
mod groups;
mod identity;
mod keylog;
mod keys;
mod message_limits;
mod options;
mod pem;
mod private_key;
mod receive;
mod secrets;
mod side;
mod tickets;

use std::fmt;

use ktls_core::CryptoInfo;
use ktls_core::session::{KeySource, KeyUpdatePolicy};
use ktls_core::wire::HEADER_LEN;

pub use crate::error::{HandshakeError, HandshakeErrorKind};
pub use choice::{ConfigAnswer, ServerNameRequest};
pub use config::{ClientConfig, ServerConfig};
pub use exporter::KeyingMaterialExporter;
pub use identity::CertificateIdentity;
pub use options::{
    ClientOptions, GroupOptions, IdentityOptions, MinVersion, ServerOptions, TrustedRoots,
};
pub use private_key::needs_password;

use agreed::AgreedParameters;
use alerts::RecordCounts;
use choice::{Asking, ConfigChoice, HelloReader};
use early_data::{ClientHello, EarlyData};
use exporter::ServerHelloReader;
use receive::{MAX_HANDSHAKE, body_len};
use side::HandshakeSide;

/// A handshake without I/O: bytes in, bytes out.
pub struct Handshake {
    side: HandshakeSide,
    state: HandshakeState,
    /// The choice of a server's configuration, before which rustls gets nothing.
    choice: ConfigChoice,
    /// When keys change, if a configuration was chosen during the handshake.
    policy: Option<KeyUpdatePolicy>,
    /// Bytes of the peer that rustls does not have yet: less than one record while the handshake
    /// runs.
    received: Vec<u8>,
    /// Bytes that rustls has seen but not consumed.
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// The kind of the next piece for rustls.
    next: IncomingPiece,
    /// The number of bytes passed to rustls so far.
    total_passed: usize,
    early_data: EarlyData,
    /// The first ClientHello, once it has arrived whole; `None` at a client.
    hello: Option<ClientHello>,
    counts: RecordCounts,
    server_hello: ServerHelloReader,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeProgress {
    /// More bytes of the peer are needed.
    Running,
    /// Nothing more is needed from the peer.
    Complete,
}

enum HandshakeState {
    Running,
    Complete,
    Failed(HandshakeError),
}

/// The next piece of the stream for rustls.
///
/// rustls gets a header before its body has arrived, so that a peer that does not speak TLS is
/// refused at once, even if the "length" in its first bytes is large.
#[derive(Clone, Copy)]
enum IncomingPiece {
    Header,
    Body { record_type: u8, len: usize },
}

/// A connection whose handshake is complete.
pub struct EstablishedConnection {
    /// The key of the records that we send. Its record number continues after those of the
    /// handshake.
    pub tx: CryptoInfo,
    /// The key of the records that the peer sends.
    pub rx: CryptoInfo,
    /// The source of the next keys.
    pub keys: Box<dyn KeySource>,
    /// Derives keying material; `None` in TLS 1.2 without an extended master secret.
    pub exporter: Option<KeyingMaterialExporter>,
    /// Bytes that were read after the handshake, still sealed.
    pub received: Vec<u8>,
    /// The protocol version: 0x0303 or 0x0304.
    pub version: u16,
    /// The name of the cipher suite in the IANA registry.
    pub suite_name: String,
    /// The name of the group of the key exchange in the IANA registry; `None` if there was no key exchange.
    pub group: Option<String>,
    /// When keys change, if a configuration was chosen during the handshake.
    pub policy: Option<KeyUpdatePolicy>,
    /// The number of the cipher suite.
    pub suite: u16,
    /// The ALPN protocol, if one was negotiated.
    pub alpn: Option<Vec<u8>>,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
    /// The peer's certificate chain as DER, leaf first. Empty if the peer sent none.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl Handshake {
    /// Starts a server's handshake.
    ///
    /// # Errors
    /// Returns an error if the system has no random bytes.
    pub fn server(config: &ServerConfig) -> Result<Self, HandshakeError> {
        let choice = if config.prefers_post_quantum() {
            ConfigChoice::AwaitingHello(Box::new(HelloReader::new(config, Asking::No)))
        } else {
            ConfigChoice::Made
        };
        Self::start(HandshakeSide::server(config, false)?, choice)
    }

    /// Starts a server's handshake that lets the caller choose the configuration by the server name.
    ///
    /// After [`Handshake::receive`], call [`Handshake::take_server_name_request`]. If it returns a request,
    /// the handshake waits for [`Handshake::answer`].
    ///
    /// # Errors
    /// Returns an error if the system has no random bytes.
    pub fn server_with_choice(default: &ServerConfig) -> Result<Self, HandshakeError> {
        let reader = HelloReader::new(default, Asking::Caller);
        let side = HandshakeSide::server(default, false)?;
        Self::start(side, ConfigChoice::AwaitingHello(Box::new(reader)))
    }

    /// Starts a client's handshake with a server whose certificate must be valid for `server_name`.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if `server_name` is neither a DNS name nor an IP address.
    pub fn client(config: &ClientConfig, server_name: &str) -> Result<Self, HandshakeError> {
        Self::start(
            HandshakeSide::client(config, server_name)?,
            ConfigChoice::Made,
        )
    }

    fn start(side: HandshakeSide, choice: ConfigChoice) -> Result<Self, HandshakeError> {
        let early_data = if side.is_server() {
            EarlyData::awaiting_hello()
        } else {
            EarlyData::Over
        };
        let mut handshake = Self {
            side,
            state: HandshakeState::Running,
            choice,
            policy: None,
            received: Vec::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
            next: IncomingPiece::Header,
            total_passed: 0,
            early_data,
            hello: None,
            counts: RecordCounts::default(),
            server_hello: ServerHelloReader::default(),
        };
        handshake.advance(0..0);
        handshake.progress().map(|_| handshake)
    }

    /// Takes bytes that were read from the peer, and returns how far the handshake is.
    ///
    /// Bytes that follow the handshake are kept, without a limit: do not read more than needed.
    ///
    /// # Errors
    /// Returns the reason if the handshake has failed, again at each later call.
    /// [`Handshake::outgoing`] then holds the alert.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<HandshakeProgress, HandshakeError> {
        self.received.extend_from_slice(bytes);
        self.read_hello();
        self.process_received()
    }

    /// Removes the first `n` bytes of [`Handshake::outgoing`], which were sent.
    ///
    /// # Panics
    /// Panics if [`Handshake::outgoing`] has fewer than `n` bytes.
    pub fn sent(&mut self, n: usize) {
        self.outgoing.drain(..n);
    }

    /// Returns the bytes to send to the peer. There may be some after an error, and after the
    /// handshake is complete.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// Checks that the handshake has not failed.
    ///
    /// # Errors
    /// Returns the reason if it has.
    pub fn check(&self) -> Result<(), HandshakeError> {
        self.progress().map(drop)
    }

    /// Returns `true` if nothing more is needed from the peer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.state, HandshakeState::Complete)
    }

    /// Returns how many bytes of the peer complete the record, or the header, that comes next; 0 if
    /// the handshake has ended.
    #[must_use]
    pub fn wants(&self) -> usize {
        if !matches!(self.state, HandshakeState::Running) {
            return 0;
        }
        let start = self.held_back();
        let len = match (self.next, self.header_at(start)) {
            (IncomingPiece::Body { len, .. }, _) => len,
            (IncomingPiece::Header, Some(header)) => HEADER_LEN + body_len(header),
            (IncomingPiece::Header, None) => HEADER_LEN,
        };
        (start + len).saturating_sub(self.received.len())
    }

    /// Returns the connection once the handshake is complete and all bytes were sent.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if the handshake is not complete or bytes are still to be
    /// sent; otherwise the failure of the handshake, if it has failed.
    pub fn finish(self) -> Result<EstablishedConnection, HandshakeError> {
        if self.progress()? == HandshakeProgress::Running {
            return Err(HandshakeError::config("the handshake is not complete"));
        }
        if !self.outgoing.is_empty() {
            let unsent = self.outgoing.len();
            let text = format!("{unsent} bytes of the handshake are still to be sent");
            return Err(HandshakeError::config(text));
        }
        self.establish()
    }

    fn establish(self) -> Result<EstablishedConnection, HandshakeError> {
        let side = self.side;
        let agreed = AgreedParameters::of(side.common())?;
        let server_name = side.server_name().map(str::to_owned);
        let exporter = side
            .common()
            .negotiated_cipher_suite()
            .zip(side.secrets().take_exporter())
            .and_then(|(suite, logged)| {
                KeyingMaterialExporter::new(suite, logged, self.server_hello.hello())
            });
        let (secrets, keys) = side.into_keys()?;
        let (tx_seq, tx) = secrets.tx;
        let (rx_seq, rx) = secrets.rx;
        Ok(EstablishedConnection {
            tx: keys::crypto_info(agreed.version, tx_seq, &tx)?,
            rx: keys::crypto_info(agreed.version, rx_seq, &rx)?,
            keys,
            exporter,
            received: self.received,
            version: agreed.version,
            suite_name: agreed.suite_name,
            group: agreed.group,
            policy: self.policy,
            suite: agreed.suite,
            alpn: agreed.alpn,
            server_name,
            peer_certificates: agreed.peer_certificates,
            resumed: agreed.resumed,
        })
    }

    fn progress(&self) -> Result<HandshakeProgress, HandshakeError> {
        match &self.state {
            HandshakeState::Running => Ok(HandshakeProgress::Running),
            HandshakeState::Complete => Ok(HandshakeProgress::Complete),
            HandshakeState::Failed(error) => Err(error.clone()),
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshake({:?})", self.progress())
    }
}

impl fmt::Debug for EstablishedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Established({:#06x}, {})", self.version, self.suite_name)
    }
}
