//! Handshake configurations, checked once and shared by all connections.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ktls_core::quoted;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CipherSuite, Error as Rustls, KeyLog, NoKeyLog, RootCertStore, SupportedCipherSuite,
    SupportedProtocolVersion, version,
};

use crate::error::system_reason;

use super::error::{OurOffer, internal_failure};
use super::groups;
use super::identity::{CertificateIdentity, IdentitySet, ReloadableIdentities};
use super::keylog::KeyLogFile;
use super::message_limits::{self, BoundedTickets};
use super::options::{ClientOptions, GroupOptions, MinVersion, ServerOptions, TrustedRoots};
use super::pem;
use super::tickets::RatchetedTickets;
use crate::error::HandshakeError;

/// The configuration of a server. Only its certificates can be replaced. Clones share everything.
#[derive(Clone)]
pub struct ServerConfig {
    /// Its certificate resolver is replaced by [`ServerConfig::identities`] in each handshake.
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) identities: Arc<ReloadableIdentities>,
    pub(super) offer: Arc<OurOffer>,
    /// For clients that support X25519MLKEM768, if that is preferred. rustls follows the client's order of
    /// preference, so this has no other group.
    post_quantum: Option<Arc<rustls::ServerConfig>>,
}

/// The configuration of a client, with its stored session tickets. Clones share everything.
#[derive(Clone)]
pub struct ClientConfig {
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) offer: Arc<OurOffer>,
}

impl ServerConfig {
    /// Checks the options and builds the configuration.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if an option does not parse, or options contradict each
    /// other.
    pub fn new(options: &ServerOptions<'_>) -> Result<Self, HandshakeError> {
        let names = options.suites.as_deref();
        let common = CommonOptions::new(options.min_version, names, &options.groups)?;
        let identity = CertificateIdentity::with_provider(options.identity, &common.provider)?;
        let identities = IdentitySet::new(identity, options.identities.clone());
        let verifier = client_verifier(options, &common.provider)?;
        let build = |provider: Arc<CryptoProvider>| {
            rustls::ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(common.versions)
                .map_err(internal_error)
                .map(|builder| builder.with_client_cert_verifier(verifier.clone()))
                .map(|builder| builder.with_cert_resolver(Arc::new(identities.clone())))
        };
        let mut tls = build(common.provider.clone())?;
        message_limits::check_protocols(&options.alpn)?;
        message_limits::check_tickets(options.tickets)?;
        tls.alpn_protocols.clone_from(&options.alpn);
        tls.key_log = key_log(options.keylog.as_deref())?;
        tls.enable_secret_extraction = true;
        tls.send_tls13_tickets = options.tickets;
        if options.tickets > 0 {
            let tickets = RatchetedTickets::new(common.provider.secure_random)
                .ok_or_else(|| internal_error(Rustls::FailedToGetRandomBytes))?;
            tls.ticketer = Arc::new(BoundedTickets(tickets));
        } else {
            tls.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let post_quantum = if options.groups.prefer_post_quantum {
            let provider = groups::post_quantum_only(&common.provider);
            Some(Arc::new(with_settings_of(&tls, build(Arc::new(provider))?)))
        } else {
            None
        };
        Ok(Self {
            tls: Arc::new(tls),
            identities: Arc::new(ReloadableIdentities::new(identities)),
            offer: common.offer,
            post_quantum,
        })
    }

    /// Replaces the certificate and, unless `others` is `None`, the other certificates. Handshakes that start
    /// later use the new ones, also those with clones of this configuration.
    pub fn replace_identities(
        &self,
        identity: CertificateIdentity,
        others: Option<Vec<CertificateIdentity>>,
    ) {
        self.identities.replace(identity, others);
    }

    /// Returns a configuration that differs only in its certificate. It shares the tickets.
    #[must_use]
    pub fn with_identity(&self, identity: CertificateIdentity) -> Self {
        let only = IdentitySet::new(identity, Vec::new());
        Self {
            identities: Arc::new(ReloadableIdentities::new(only)),
            ..self.clone()
        }
    }

    /// Returns `true` if the configuration depends on the groups that the client supports.
    pub(super) const fn prefers_post_quantum(&self) -> bool {
        self.post_quantum.is_some()
    }

    /// Returns the configuration of rustls for one handshake. `has_hybrid` is whether the client supports
    /// X25519MLKEM768.
    pub(super) fn for_handshake(&self, has_hybrid: bool) -> rustls::ServerConfig {
        let hybrid = self.post_quantum.as_ref().filter(|_| has_hybrid);
        let mut tls = rustls::ServerConfig::clone(hybrid.unwrap_or(&self.tls));
        tls.cert_resolver = self.identities.current();
        tls
    }
}

/// Returns `tls` with the settings of `model` that are not set by its builder.
fn with_settings_of(
    model: &rustls::ServerConfig,
    mut tls: rustls::ServerConfig,
) -> rustls::ServerConfig {
    tls.alpn_protocols.clone_from(&model.alpn_protocols);
    tls.key_log = model.key_log.clone();
    tls.enable_secret_extraction = model.enable_secret_extraction;
    tls.send_tls13_tickets = model.send_tls13_tickets;
    tls.ticketer = model.ticketer.clone();
    tls.session_storage = model.session_storage.clone();
    tls
}

impl ClientConfig {
    /// Checks the options and builds the configuration.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if an option does not parse, or options contradict each
    /// other.
    pub fn new(options: &ClientOptions<'_>) -> Result<Self, HandshakeError> {
        let names = options.suites.as_deref();
        let common = CommonOptions::new(options.min_version, names, &options.groups)?;
        let load = |options| CertificateIdentity::with_provider(options, &common.provider);
        let identity = options.identity.map(load).transpose()?;
        let builder = rustls::ClientConfig::builder_with_provider(common.provider)
            .with_protocol_versions(common.versions)
            .map_err(internal_error)?
            .with_root_certificates(server_roots(options.roots)?);
        let mut tls = match identity {
            Some(CertificateIdentity(identity)) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        message_limits::check_protocols(&options.alpn)?;
        message_limits::check_offered_protocols(&options.alpn)?;
        tls.alpn_protocols.clone_from(&options.alpn);
        tls.key_log = key_log(options.keylog.as_deref())?;
        tls.enable_secret_extraction = true;
        if !options.resumption {
            tls.resumption = Resumption::disabled();
        }
        Ok(Self {
            tls: Arc::new(tls),
            offer: common.offer,
        })
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerConfig({})", self.offer.versions)
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientConfig({})", self.offer.versions)
    }
}

/// Returns the name of a suite in the IANA registry. For TLS 1.3, rustls uses another name.
pub(super) fn suite_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

static TLS12_UP: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static TLS13_ALONE: [&SupportedProtocolVersion; 1] = [&version::TLS13];

/// The choices that servers and clients have in common.
struct CommonOptions {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    offer: Arc<OurOffer>,
}

impl CommonOptions {
    fn new(
        min_version: MinVersion,
        names: Option<&[String]>,
        groups: &GroupOptions,
    ) -> Result<Self, HandshakeError> {
        let mut provider = default_provider();
        provider.kx_groups = groups::kx_groups(groups)?;
        if let Some(names) = names {
            provider.cipher_suites = suites(names, &provider.cipher_suites)?;
        }
        let (versions, text) = match min_version {
            MinVersion::Tls12 => (&TLS12_UP[..], "TLSv1.2 and TLSv1.3"),
            MinVersion::Tls13 => (&TLS13_ALONE[..], "TLSv1.3 alone"),
        };
        let allowed = suites_of_versions(&provider.cipher_suites, versions);
        if allowed.is_empty() {
            let names = join_names(&provider.cipher_suites);
            let text = format!("none of the suites {names} belongs to {text}");
            return Err(HandshakeError::config(text));
        }
        let offer = OurOffer {
            versions: text.into(),
            suites: join_names(&allowed),
            groups: groups::joined(&provider.kx_groups),
        };
        Ok(Self {
            provider: Arc::new(provider),
            versions,
            offer: Arc::new(offer),
        })
    }
}

/// Returns the suites with these names in the order of `names`, without duplicates.
fn suites(
    names: &[String],
    all: &[SupportedCipherSuite],
) -> Result<Vec<SupportedCipherSuite>, HandshakeError> {
    if names.is_empty() {
        let text = format!("no suite is allowed: name some of {}", join_names(all));
        return Err(HandshakeError::config(text));
    }
    let find = |name: &String| {
        let found = all
            .iter()
            .find(|suite| suite_name(suite.suite()) == *name)
            .copied();
        found.ok_or_else(|| {
            HandshakeError::config(format!(
                "suite {} is not one of {}",
                quoted(name),
                join_names(all)
            ))
        })
    };
    let mut suites: Vec<SupportedCipherSuite> = Vec::new();
    for suite in names.iter().map(find) {
        let suite = suite?;
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    Ok(suites)
}

fn suites_of_versions(
    suites: &[SupportedCipherSuite],
    versions: &[&'static SupportedProtocolVersion],
) -> Vec<SupportedCipherSuite> {
    suites
        .iter()
        .copied()
        .filter(|suite| versions.contains(&suite.version()))
        .collect()
}

fn join_names(suites: &[SupportedCipherSuite]) -> String {
    let names = suites.iter().map(|suite| suite_name(suite.suite()));
    names.collect::<Vec<_>>().join(", ")
}

fn client_verifier(
    options: &ServerOptions<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, HandshakeError> {
    let Some(pem) = options.client_roots else {
        if options.require_client_cert {
            let text = "require_client_cert needs client_roots to check certificates against";
            return Err(HandshakeError::config(text));
        }
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = Arc::new(pem::roots("client_roots", pem)?);
    let hints_fit = message_limits::authorities_fit(&roots.subjects());
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let builder = if hints_fit {
        builder
    } else {
        builder.clear_root_hint_subjects()
    };
    let builder = if options.require_client_cert {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|_| HandshakeError::config("client_roots holds no usable root certificate"))
}

fn server_roots(roots: TrustedRoots<'_>) -> Result<RootCertStore, HandshakeError> {
    match roots {
        TrustedRoots::Pem(pem) => pem::roots("roots", pem),
        TrustedRoots::System => system_roots(),
        TrustedRoots::WebPki => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    }
}

/// Returns the system's root certificates. Those that do not parse are left out: stores contain old
/// ones.
fn system_roots() -> Result<RootCertStore, HandshakeError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or(String::new(), store_fault);
        let text = format!("this system has no root certificates{why}: pass some as PEM");
        return Err(HandshakeError::config(text));
    }
    Ok(roots)
}

/// Returns the reason why the system's store could not be read, in parentheses for an error
/// message.
fn store_fault(error: &rustls_native_certs::Error) -> String {
    use rustls_native_certs::ErrorKind;

    match &error.kind {
        ErrorKind::Io { inner, path } => {
            format!(" ({}: {})", path.display(), system_reason(inner))
        }
        ErrorKind::Pem(_) => " (its PEM does not parse)".into(),
        _ => String::new(),
    }
}

fn key_log(path: Option<&Path>) -> Result<Arc<dyn KeyLog>, HandshakeError> {
    Ok(match path {
        Some(path) => Arc::new(KeyLogFile::open(path)?),
        None => Arc::new(NoKeyLog),
    })
}

/// Converts an error of a call that cannot fail once the options are checked, unless the system has
/// no random bytes.
fn internal_error(error: Rustls) -> HandshakeError {
    HandshakeError::config(internal_failure(&error))
}
