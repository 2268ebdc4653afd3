//! Plain and bounded descriptions of what other crates report as enums, byte strings and unbounded
//! lists.

use std::fmt;

use ktls_core::shortened;
use pkcs8::ObjectIdentifier;
use pkcs8::der::{Decode, Reader, SliceReader};

/// Describes an enum variant: `NoKxGroupsInCommon` becomes "no key exchange groups in common".
///
/// Only the name of the variant is used: its fields contain text of another crate.
pub(super) fn variant_in_words(variant: &dyn fmt::Debug) -> String {
    let debug = format!("{variant:?}");
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next();
    let words: Vec<String> = split_camel_case(name.unwrap_or_default())
        .iter()
        .map(|word| spelled_out(word))
        .collect();
    words.join(" ")
}

fn split_camel_case(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = 'A';
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && !last.is_ascii_uppercase();
        match words.last_mut() {
            Some(word) if !begins => word.push(c.to_ascii_lowercase()),
            _ => words.push(c.to_ascii_lowercase().to_string()),
        }
        last = c;
    }
    words
}

fn spelled_out(word: &str) -> String {
    let found = ABBREVIATIONS.iter().find(|(short, _)| *short == word);
    found.map_or(word, |(_, long)| long).to_owned()
}

const ABBREVIATIONS: [(&str, &str); 24] = [
    ("ca", "CA"),
    ("ccs", "change_cipher_spec"),
    ("cert", "certificate"),
    ("crl", "CRL"),
    ("der", "DER"),
    ("dh", "Diffie-Hellman"),
    ("dns", "DNS"),
    ("ec", "elliptic curve"),
    ("ech", "encrypted ClientHello"),
    ("ems", "extended master secret"),
    ("ids", "identities"),
    ("kx", "key exchange"),
    ("ocsp", "OCSP"),
    ("or13", "or 1.3"),
    ("params", "parameters"),
    ("psk", "pre-shared key"),
    ("quic", "QUIC"),
    ("sct", "certificate timestamp"),
    ("sig", "signature"),
    ("tls12", "TLS 1.2"),
    ("tls13", "TLS 1.3"),
    ("eku", "extended key usage"),
    ("sni", "server name"),
    ("config", "configuration"),
];

/// Joins the first few of `items` with commas, and states how many more there are.
pub(super) fn join_first(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MAX_LISTED);
    let mut text = items
        .take(MAX_LISTED)
        .map(|item| shortened(&item))
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

const MAX_LISTED: usize = 8;

/// Formats a name in a certificate, which the verifier prints as `DnsName("a.test")` or
/// `IpAddress(127.0.0.1)`, as `"a.test"` or `127.0.0.1`.
pub(super) fn certified_name(printed: &str) -> String {
    let inside = printed
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    match inside {
        Some(name) if !printed.starts_with("Unsupported") => name.to_owned(),
        _ => "a name of another kind".to_owned(),
    }
}

/// Returns the name of an algorithm, from the contents of its `AlgorithmIdentifier` (RFC 5280
/// §4.1.1.2).
pub(super) fn algorithm_name(identifier: &[u8]) -> String {
    let Ok(mut reader) = SliceReader::new(identifier) else {
        return "an unknown algorithm".into();
    };
    let Ok(algorithm) = ObjectIdentifier::decode(&mut reader) else {
        return "an unknown algorithm".into();
    };
    if algorithm != EC_PUBLIC_KEY || reader.is_finished() {
        return oid_name(algorithm);
    }
    match ObjectIdentifier::decode(&mut reader) {
        Ok(curve) => format!("EC on {}", oid_name(curve)),
        Err(_) => "EC with explicit curve parameters".into(),
    }
}

/// Returns the common name of an algorithm or curve, or its number.
pub(super) fn oid_name(oid: ObjectIdentifier) -> String {
    let number = oid.to_string();
    let found = OIDS.iter().find(|(known, _)| *known == number);
    found.map_or_else(
        || format!("the algorithm {number}"),
        |(_, name)| (*name).to_owned(),
    )
}

pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const OIDS: [(&str, &str); 35] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.7", "RSA-OAEP"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10045.3.1.1", "P-192"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
    ("1.2.156.10197.1.301", "SM2"),
    ("1.2.156.10197.1.501", "SM2 with SM3"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
];

#[cfg(test)]
mod tests {
    use rustls::{InvalidMessage, PeerIncompatible};

    use super::*;

    #[test]
    fn names_of_errors_become_words() {
        for (error, text) in [
            (
                &InvalidMessage::MissingData("Random") as &dyn fmt::Debug,
                "missing data",
            ),
            (
                &PeerIncompatible::NoKxGroupsInCommon,
                "no key exchange groups in common",
            ),
            (
                &PeerIncompatible::ServerDoesNotSupportTls12Or13,
                "server does not support TLS 1.2 or 1.3",
            ),
            (&InvalidMessage::InvalidCcs, "invalid change_cipher_spec"),
            (
                &InvalidMessage::DuplicateExtension(7),
                "duplicate extension",
            ),
        ] {
            assert_eq!(variant_in_words(error), text);
        }
    }

    #[test]
    fn algorithms_are_named_or_numbered() {
        let ecdsa = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let p224 = [
            6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 33,
        ];
        let explicit = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x30, 0];
        for (identifier, text) in [
            (&ecdsa[..], "ECDSA with SHA-256"),
            (&p224, "EC on P-224"),
            (&explicit, "EC with explicit curve parameters"),
            (&[6, 3, 0x2b, 0x65, 0x71], "Ed448"),
            (&[6, 2, 0x2a, 3], "the algorithm 1.2.3"),
            (&[], "an unknown algorithm"),
            (&[6, 9], "an unknown algorithm"),
        ] {
            assert_eq!(algorithm_name(identifier), text);
        }
    }

    #[test]
    fn names_of_a_certificate_stand_alone() {
        for (printed, text) in [
            ("DnsName(\"a.test\")", "\"a.test\""),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("IpAddress(::1)", "::1"),
            ("UniformResourceIdentifier(\"x://(y)\")", "\"x://(y)\""),
            ("DirectoryName", "a name of another kind"),
            ("Unsupported(0x01)", "a name of another kind"),
        ] {
            assert_eq!(certified_name(printed), text);
        }
    }

    #[test]
    fn long_lists_and_items_are_cut() {
        let numbers = |count: usize| join_first((0..count).map(|n| n.to_string()));
        assert_eq!(numbers(0), "");
        assert_eq!(numbers(3), "0, 1, 2");
        assert_eq!(numbers(8), "0, 1, 2, 3, 4, 5, 6, 7");
        assert_eq!(numbers(900), "0, 1, 2, 3, 4, 5, 6, 7 and 892 more");
        let long = join_first(std::iter::once("ü".repeat(101)));
        assert_eq!(long, format!("{}…", "ü".repeat(100)));
    }
}
