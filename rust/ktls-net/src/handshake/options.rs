//! The options of handshakes, from which [`ServerConfig`](super::ServerConfig) and
//! [`ClientConfig`](super::ClientConfig) are built.

use std::path::PathBuf;

use super::CertificateIdentity;

/// The oldest protocol version that is accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// The root certificates that a client trusts.
#[derive(Clone, Copy, Debug)]
pub enum TrustedRoots<'a> {
    /// The certificates in this PEM file.
    Pem(&'a [u8]),
    /// The certificates in the system's store.
    System,
    /// Mozilla's root certificates, which are compiled in.
    WebPki,
}

/// A certificate chain and its private key, both as PEM.
#[derive(Clone, Copy)]
pub struct IdentityOptions<'a> {
    /// The certificate chain, leaf first.
    pub cert: &'a [u8],
    /// The private key of the leaf: PKCS#8, PKCS#1 or SEC1.
    pub key: &'a [u8],
    /// The password of the key, if it is encrypted (PKCS#8 with PBES2).
    pub password: Option<&'a [u8]>,
}

/// The groups of the key exchange.
#[derive(Clone, Debug, Default)]
pub struct GroupOptions {
    /// Names of the allowed groups in order of preference. `None` allows the default ones.
    pub names: Option<Vec<String>>,
    /// Whether X25519MLKEM768 comes first. A client then sends a key share of it; a server uses it with every
    /// client that supports it, even if that costs a round trip.
    pub prefer_post_quantum: bool,
}

/// A server's options.
#[derive(Clone)]
pub struct ServerOptions<'a> {
    /// The certificate chain of the server and its private key.
    pub identity: IdentityOptions<'a>,
    /// Certificates for other server names, in order of preference.
    pub identities: Vec<CertificateIdentity>,
    /// ALPN protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
    /// Root certificates for client certificates, as PEM. `None`: no client certificate is
    /// requested.
    pub client_roots: Option<&'a [u8]>,
    /// Whether clients that send no certificate are refused. Needs `client_roots`.
    pub require_client_cert: bool,
    /// The oldest protocol version that is accepted.
    pub min_version: MinVersion,
    /// Names of the allowed suites. The client's order of preference decides. `None` allows all.
    pub suites: Option<Vec<String>>,
    /// The groups of the key exchange.
    pub groups: GroupOptions,
    /// The number of TLS 1.3 tickets per handshake. 0 turns session resumption off.
    pub tickets: usize,
    /// A file to which the traffic secrets are appended.
    pub keylog: Option<PathBuf>,
}

impl<'a> ServerOptions<'a> {
    /// Returns the default options for this certificate chain and key.
    #[must_use]
    pub fn new(cert: &'a [u8], key: &'a [u8]) -> Self {
        Self {
            identity: IdentityOptions {
                cert,
                key,
                password: None,
            },
            identities: Vec::new(),
            alpn: Vec::new(),
            client_roots: None,
            require_client_cert: false,
            min_version: MinVersion::default(),
            suites: None,
            groups: GroupOptions::default(),
            tickets: 2,
            keylog: None,
        }
    }
}

/// A client's options.
#[derive(Clone)]
pub struct ClientOptions<'a> {
    /// The root certificates to trust.
    pub roots: TrustedRoots<'a>,
    /// The certificate chain and key for servers that request a client certificate.
    pub identity: Option<IdentityOptions<'a>>,
    /// ALPN protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest protocol version that is accepted.
    pub min_version: MinVersion,
    /// Names of the allowed suites in order of preference. `None` allows all.
    pub suites: Option<Vec<String>>,
    /// The groups of the key exchange.
    pub groups: GroupOptions,
    /// Whether session tickets are stored and used.
    pub resumption: bool,
    /// A file to which the traffic secrets are appended.
    pub keylog: Option<PathBuf>,
}

impl<'a> ClientOptions<'a> {
    /// Returns the default options with these root certificates.
    #[must_use]
    pub fn new(roots: TrustedRoots<'a>) -> Self {
        Self {
            roots,
            identity: None,
            alpn: Vec::new(),
            min_version: MinVersion::default(),
            suites: None,
            groups: GroupOptions::default(),
            resumption: true,
            keylog: None,
        }
    }
}
