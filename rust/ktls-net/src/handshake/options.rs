//! What a caller says about handshakes; [`ServerConfig`](super::ServerConfig) and
//! [`ClientConfig`](super::ClientConfig) are made of it.

use std::path::PathBuf;

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// Whose certificates a client trusts to vouch for servers.
#[derive(Clone, Copy, Debug)]
pub enum TrustedRoots<'a> {
    /// These certificates, as PEM.
    Pem(&'a [u8]),
    /// The system's store.
    System,
    /// Mozilla's, compiled in.
    WebPki,
}

/// Who one is: a certificate chain and its key, both as PEM.
#[derive(Clone, Copy)]
pub struct IdentityOptions<'a> {
    /// The certificate chain, leaf first.
    pub cert: &'a [u8],
    /// The private key of the leaf: PKCS#8, PKCS#1 or SEC1.
    pub key: &'a [u8],
    /// What opens the key, if it is encrypted (PKCS#8 with PBES2).
    pub password: Option<&'a [u8]>,
}

/// A server's options.
#[derive(Clone)]
pub struct ServerOptions<'a> {
    /// What proves the server's name.
    pub identity: IdentityOptions<'a>,
    /// Protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
    /// Roots for client certificates, as PEM; None asks for no certificate.
    pub client_roots: Option<&'a [u8]>,
    /// With `client_roots`: refuse clients that send no certificate.
    pub require_client_cert: bool,
    /// The oldest version.
    pub min_version: MinVersion,
    /// Names of the suites that are allowed, of which the client's favourite is taken; None: all.
    pub suites: Option<Vec<String>>,
    /// TLS 1.3 tickets per handshake; 0 switches resumption off.
    pub tickets: usize,
    /// A file to append secrets to.
    pub keylog: Option<PathBuf>,
}

impl<'a> ServerOptions<'a> {
    /// The defaults for this certificate and key.
    #[must_use]
    pub fn new(cert: &'a [u8], key: &'a [u8]) -> Self {
        Self {
            identity: IdentityOptions {
                cert,
                key,
                password: None,
            },
            alpn: Vec::new(),
            client_roots: None,
            require_client_cert: false,
            min_version: MinVersion::default(),
            suites: None,
            tickets: 2,
            keylog: None,
        }
    }
}

/// A client's options.
#[derive(Clone)]
pub struct ClientOptions<'a> {
    /// Whom to trust.
    pub roots: TrustedRoots<'a>,
    /// For servers that ask for a certificate.
    pub identity: Option<IdentityOptions<'a>>,
    /// Protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest version.
    pub min_version: MinVersion,
    /// Names of suites in order of preference; None: all.
    pub suites: Option<Vec<String>>,
    /// Keep tickets and use them.
    pub resumption: bool,
    /// A file to append secrets to.
    pub keylog: Option<PathBuf>,
}

impl<'a> ClientOptions<'a> {
    /// The defaults with these roots.
    #[must_use]
    pub fn new(roots: TrustedRoots<'a>) -> Self {
        Self {
            roots,
            identity: None,
            alpn: Vec::new(),
            min_version: MinVersion::default(),
            suites: None,
            resumption: true,
            keylog: None,
        }
    }
}
