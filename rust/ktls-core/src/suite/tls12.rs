//! The TLS 1.2 suites whose keys can be derived.

use super::{Hash, Suite, suite};
use crate::error::Error;

/// The TLS 1.2 suites with an ephemeral key exchange whose AEAD the kernel has (RFC 5288, RFC 5289,
/// RFC 6209, RFC 6655, RFC 7251, RFC 7905, RFC 8442).
pub static TLS12_SUITES: [Suite; 20] = [
    suite(
        0x009e,
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        51,
        Hash::Sha256,
    ),
    suite(
        0x009f,
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        52,
        Hash::Sha384,
    ),
    suite(
        0xc02b,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        51,
        Hash::Sha256,
    ),
    suite(
        0xc02c,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        52,
        Hash::Sha384,
    ),
    suite(
        0xc02f,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        51,
        Hash::Sha256,
    ),
    suite(
        0xc030,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        52,
        Hash::Sha384,
    ),
    suite(
        0xc052,
        "TLS_DHE_RSA_WITH_ARIA_128_GCM_SHA256",
        57,
        Hash::Sha256,
    ),
    suite(
        0xc053,
        "TLS_DHE_RSA_WITH_ARIA_256_GCM_SHA384",
        58,
        Hash::Sha384,
    ),
    suite(
        0xc05c,
        "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256",
        57,
        Hash::Sha256,
    ),
    suite(
        0xc05d,
        "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384",
        58,
        Hash::Sha384,
    ),
    suite(
        0xc060,
        "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256",
        57,
        Hash::Sha256,
    ),
    suite(
        0xc061,
        "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384",
        58,
        Hash::Sha384,
    ),
    suite(0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM", 53, Hash::Sha256),
    suite(0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", 53, Hash::Sha256),
    suite(
        0xcca8,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        54,
        Hash::Sha256,
    ),
    suite(
        0xcca9,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        54,
        Hash::Sha256,
    ),
    suite(
        0xccaa,
        "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        54,
        Hash::Sha256,
    ),
    suite(
        0xccac,
        "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
        54,
        Hash::Sha256,
    ),
    suite(
        0xd001,
        "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256",
        51,
        Hash::Sha256,
    ),
    suite(
        0xd002,
        "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384",
        52,
        Hash::Sha384,
    ),
];

impl Suite {
    /// Returns the TLS 1.2 suite with this number.
    ///
    /// # Errors
    /// Returns [`Error::UnknownSuite12`] if it is not in [`TLS12_SUITES`].
    pub fn by_id12(id: u16) -> Result<&'static Self, Error> {
        TLS12_SUITES
            .iter()
            .find(|suite| suite.id == id)
            .ok_or(Error::UnknownSuite12 { suite: id })
    }
}
