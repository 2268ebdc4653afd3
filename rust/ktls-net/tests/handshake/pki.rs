//! Certificates for the tests.

use std::sync::LazyLock;

use ktls_net::handshake::{ClientOptions, IdentityOptions, ServerOptions, TrustedRoots};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};

/// The server name in the tests.
pub(crate) const NAME: &str = "a.test";

/// A certificate chain and its key, as PEM.
pub(crate) struct Identity {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn server(&self) -> ServerOptions<'_> {
        ServerOptions::new(self.cert.as_bytes(), self.key.as_bytes())
    }

    /// Returns it as the certificate and key of a client.
    pub(crate) fn shown(&self) -> Option<IdentityOptions<'_>> {
        Some(self.server().identity)
    }

    pub(crate) fn pair(&self) -> (&[u8], &[u8]) {
        (self.cert.as_bytes(), self.key.as_bytes())
    }
}

/// An authority and the certificates that it has issued.
pub(crate) struct Pki {
    /// The authority's certificate and key.
    pub(crate) authority: Identity,
    /// For [`NAME`], ECDSA.
    pub(crate) ecdsa: Identity,
    /// For [`NAME`], RSA.
    pub(crate) rsa: Identity,
    /// For [`NAME`], expired in 2001.
    pub(crate) expired: Identity,
    /// Another authority, which has issued none of these certificates.
    pub(crate) stranger: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

impl Pki {
    fn new() -> Self {
        let (issuer, authority) = authority("the tests' authority");
        Self {
            ecdsa: issued(leaf(), &PKCS_ECDSA_P256_SHA256, &issuer),
            rsa: issued(leaf(), &PKCS_RSA_SHA256, &issuer),
            expired: issued(long_ago(), &PKCS_ECDSA_P256_SHA256, &issuer),
            stranger: self::authority("a stranger").1,
            authority,
        }
    }

    /// Returns a client that trusts the authority.
    pub(crate) fn client(&self) -> ClientOptions<'_> {
        ClientOptions::new(TrustedRoots::Pem(self.authority.cert.as_bytes()))
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, Identity) {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    let identity = Identity {
        cert,
        key: key.serialize_pem(),
    };
    (Issuer::new(params, key), identity)
}

/// Returns the certificates of `count` authorities, each with a name of about 100 bytes.
pub(crate) fn idle_authorities(count: usize) -> String {
    let key = KeyPair::generate().unwrap();
    let cert = |number: usize| {
        let mut params = CertificateParams::default();
        let name = format!("{number:0>80}");
        params
            .distinguished_name
            .push(DnType::OrganizationName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().pem()
    };
    (0..count).map(cert).collect()
}

fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(vec![NAME.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    params
}

fn long_ago() -> CertificateParams {
    let mut params = leaf();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
    params
}

fn issued(
    params: CertificateParams,
    algorithm: &'static SignatureAlgorithm,
    issuer: &Issuer<'static, KeyPair>,
) -> Identity {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let cert = params.signed_by(&key, issuer).unwrap().pem();
    Identity {
        cert,
        key: key.serialize_pem(),
    }
}
