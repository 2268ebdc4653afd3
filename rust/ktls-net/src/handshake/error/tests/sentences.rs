//! Every error of rustls and of its verifier has a plain sentence.

use super::*;
use catalogue::{
    INVALID_MESSAGE, PEER_INCOMPATIBLE, PEER_MISBEHAVED, VERIFIER_ERRORS, certificate_errors,
    other_errors,
};

/// Fails if `text` has names of types, brackets of `Debug`, or other words that only Rust
/// programmers know.
fn assert_plain(text: &str) {
    let foreign = [
        "{", "}", "::", "Error", "_id", "Some(", "Context", " kx", "psk", "tls12", "[6",
    ];
    for word in foreign {
        assert!(!text.contains(word), "{text:?} has {word:?}");
    }
    let type_name = text
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| word.starts_with(char::is_uppercase) && has_hump(word));
    assert!(
        type_name.is_none_or(|word| word == "ClientHello"),
        "{text:?}"
    );
    assert!(
        !text.starts_with(char::is_uppercase) && !text.ends_with('.'),
        "{text:?}"
    );
}

/// Returns `true` if an upper-case letter follows a lower-case one.
fn has_hump(word: &str) -> bool {
    let letters = word.as_bytes();
    letters
        .windows(2)
        .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

pub(super) fn explained(error: &Rustls) -> String {
    let offer = OurOffer {
        versions: "TLSv1.3 alone".into(),
        suites: "TLS_AES_128_GCM_SHA256".into(),
        groups: "x25519".into(),
    };
    let context = FailureContext {
        server_name: Some("a.test"),
        alpn: &[b"h2".to_vec()],
        offer: &offer,
    };
    context.explain(error)
}

#[test]
fn every_error_of_the_library_becomes_a_plain_sentence() {
    let misbehaved = PEER_MISBEHAVED.iter().cloned().map(Rustls::PeerMisbehaved);
    let incompatible = PEER_INCOMPATIBLE
        .iter()
        .cloned()
        .map(Rustls::PeerIncompatible);
    let malformed = INVALID_MESSAGE.iter().cloned().map(Rustls::InvalidMessage);
    let certificates = certificate_errors()
        .into_iter()
        .map(Rustls::InvalidCertificate);
    let errors = misbehaved
        .chain(incompatible)
        .chain(malformed)
        .chain(certificates);
    for error in errors.chain(other_errors()) {
        assert_plain(&explained(&error));
        assert_plain(&internal_failure(&error));
    }
}

#[test]
fn every_error_of_the_verifier_becomes_a_plain_sentence() {
    for name in VERIFIER_ERRORS {
        assert_plain(&format!(
            "the certificate of \"a.test\" {}",
            verifier_fault(name)
        ));
    }
}
