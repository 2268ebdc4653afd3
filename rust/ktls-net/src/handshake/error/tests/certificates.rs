//! Messages about certificates.

use super::*;
use sentences::explained;

#[test]
fn a_failed_signature_is_explained() {
    let error = Rustls::InvalidCertificate(CertificateError::BadSignature);
    assert_eq!(
        explained(&error),
        "the certificate of \"a.test\" cannot be trusted: a signature by its key, or in its chain, \
         does not verify; it is forged, or was made with an RSA key outside of 2048 to 8192 bits, \
         which is not supported"
    );
}

#[test]
fn an_algorithm_that_is_not_supported_is_named() {
    let sha1 = vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 5, 5, 0];
    let p224 = vec![
        6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 33,
    ];
    let ecdsa = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let error = CertificateError::UnsupportedSignatureAlgorithmContext {
        signature_algorithm_id: sha1,
        supported_algorithms: Vec::new(),
    };
    assert_eq!(
        certificate_fault(&error),
        "or its chain is signed by RSA with SHA-1, which is not supported"
    );
    let error = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
        signature_algorithm_id: ecdsa,
        public_key_algorithm_id: p224,
    };
    assert_eq!(
        certificate_fault(&error),
        "or its chain is signed by ECDSA with SHA-256 with a key of type EC on P-224, which is \
         not supported"
    );
}

#[test]
fn a_certificate_with_many_names_makes_a_short_sentence() {
    let name = |n: usize| format!("DnsName(\"host-{n}.{}.test\")", "x".repeat(60));
    let expected = rustls::pki_types::ServerName::try_from("a.test").unwrap();
    for (count, ends) in [
        (1, "test\"]"),
        (8, "test\"]"),
        (900, "and 892 more]"),
        (100_000, "more]"),
    ] {
        let error = CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented: (0..count).map(name).collect(),
        };
        let text = certificate_fault(&error);
        assert!(text.ends_with(ends), "{text}");
        assert!(text.len() < 1000, "{} bytes", text.len());
    }
}
