//! Certificates with their keys, and the choice of one of them for a client.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as Rustls, InconsistentKeys};

use super::options::IdentityOptions;
use super::{certificate, message_limits, pem, private_key};
use crate::error::HandshakeError;

/// A certificate chain together with its private key. Clones share both.
#[derive(Clone, Debug)]
pub struct CertificateIdentity(pub(super) Arc<CertifiedKey>);

impl CertificateIdentity {
    /// Checks a certificate chain and its private key.
    ///
    /// # Errors
    /// Returns an error of kind `Config` if one of them does not parse, or the key does not belong to the first
    /// certificate.
    pub fn new(options: IdentityOptions<'_>) -> Result<Self, HandshakeError> {
        Self::with_provider(options, &default_provider())
    }

    pub(super) fn with_provider(
        options: IdentityOptions<'_>,
        provider: &CryptoProvider,
    ) -> Result<Self, HandshakeError> {
        let chain = pem::chain("cert", options.cert)?;
        message_limits::check_chain("cert", &chain)?;
        certificate::check("cert", &chain)?;
        let key = private_key::private_key("key", options.key, options.password)?;
        let signer = provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| private_key::explain_refusal("key", &key))?;
        let identity = CertifiedKey::new(chain, signer);
        match identity.keys_match() {
            // If the public part of a key is not known, the key is accepted without this check.
            Ok(()) | Err(Rustls::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(identity)))
            }
            Err(error) => Err(key_mismatch(&identity, &error)),
        }
    }

    /// Returns `true` if the certificate is valid for `name`.
    fn is_valid_for(&self, name: &ServerName<'_>) -> bool {
        let leaf = self.0.cert.first();
        leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
            .is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }

    /// Returns `true` if the client accepts a signature by the key.
    fn is_usable_by(&self, hello: &ClientHello<'_>) -> bool {
        let signer = self.0.key.choose_scheme(hello.signature_schemes());
        signer.is_some()
    }
}

/// Explains why the key does not belong to the first certificate.
fn key_mismatch(identity: &CertifiedKey, error: &Rustls) -> HandshakeError {
    let first = "the first certificate of cert";
    if matches!(error, Rustls::InvalidCertificate(_)) {
        return HandshakeError::config(format!("{first} is malformed"));
    }
    let kind = identity
        .cert
        .first()
        .and_then(|cert| certificate::kind_of_key(cert));
    if let Some(kind) = kind.and_then(private_key::KeyKind::unsupported) {
        return private_key::unsupported(first, &kind);
    }
    let text = "key does not belong to the first certificate of cert";
    let owner = identity.cert.iter().position(|cert| {
        let alone = CertifiedKey::new(vec![cert.clone()], identity.key.clone());
        alone.keys_match().is_ok()
    });
    HandshakeError::config(match owner {
        Some(index) => format!(
            "{text}, but to number {} of {}: put that one first",
            index + 1,
            identity.cert.len()
        ),
        None => text.into(),
    })
}

/// The certificates among which a server chooses: never none.
#[derive(Clone, Debug)]
pub(super) struct IdentitySet {
    default: CertificateIdentity,
    /// Certificates for other names, in order of preference.
    others: Vec<CertificateIdentity>,
}

impl IdentitySet {
    pub(super) const fn new(
        default: CertificateIdentity,
        others: Vec<CertificateIdentity>,
    ) -> Self {
        Self { default, others }
    }

    /// Returns the default certificate, then the others.
    fn all(&self) -> impl Iterator<Item = &CertificateIdentity> {
        std::iter::once(&self.default).chain(&self.others)
    }

    /// Returns the first certificate for the name that the client asks for with a key that the client accepts;
    /// without one, the first with such a key; without that, the default, which rustls then refuses to use.
    fn choose(&self, hello: &ClientHello<'_>) -> &CertificateIdentity {
        let name = hello.server_name();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let usable = || self.all().filter(|identity| identity.is_usable_by(hello));
        let named = name.and_then(|name| usable().find(|identity| identity.is_valid_for(&name)));
        named.or_else(|| usable().next()).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for IdentitySet {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let alone = self.others.is_empty();
        let chosen = if alone {
            &self.default
        } else {
            self.choose(&hello)
        };
        Some(Arc::clone(&chosen.0))
    }
}

/// The certificates of a configuration, which can be replaced while it is in use.
///
/// A handshake uses the set that was in place at its start.
#[derive(Debug)]
pub(super) struct ReloadableIdentities(ArcSwap<IdentitySet>);

impl ReloadableIdentities {
    pub(super) fn new(set: IdentitySet) -> Self {
        Self(ArcSwap::from_pointee(set))
    }

    /// Returns the set that is in use now.
    pub(super) fn current(&self) -> Arc<IdentitySet> {
        self.0.load_full()
    }

    /// Replaces the default certificate and, unless `others` is `None`, the others.
    pub(super) fn replace(
        &self,
        default: CertificateIdentity,
        others: Option<Vec<CertificateIdentity>>,
    ) {
        // The closure may run again if another thread replaces the set meanwhile.
        self.0.rcu(|set| IdentitySet {
            default: default.clone(),
            others: others.clone().unwrap_or_else(|| set.others.clone()),
        });
    }
}
