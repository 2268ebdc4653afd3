//! Private keys in PEM files: finding, decrypting, and explaining why one cannot be used.

use pkcs8::der::asn1::{AnyRef, ContextSpecific, OctetStringRef, UintRef};
use pkcs8::der::{Decode, Header, SliceReader, Tag, TagNumber};
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::descriptions::{EC_PUBLIC_KEY, RSA_ENCRYPTION, oid_name};
use super::pem::{PemSection, missing_section, sections};
use crate::error::HandshakeError;

/// Returns the first private key of `pem`, decrypted with `password` if it is encrypted. `source`
/// names the PEM in error messages.
pub(super) fn private_key(
    source: &str,
    pem: &[u8],
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, HandshakeError> {
    let mut others = Vec::new();
    // Sections after the key are not parsed, as in OpenSSL.
    for section in sections(source, pem) {
        let section = section?;
        if is_private_key(&section) {
            return decode_key(source, &section, password);
        }
        others.push(section);
    }
    let text = "private key: PEM with PKCS#8, PKCS#1 or SEC1 is needed";
    Err(missing_section(source, text, pem, &others))
}

fn decode_key(
    source: &str,
    section: &PemSection<'_>,
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, HandshakeError> {
    if is_traditionally_encrypted(section) {
        let how = "in OpenSSL's traditional format (Proc-Type: 4,ENCRYPTED)";
        return Err(unknown_encryption(source, how));
    }
    let der = section.decode(source)?;
    match section.label {
        ENCRYPTED => decrypt(source, &der, password),
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der.to_vec()).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der.to_vec()).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der.to_vec()).into()),
        "OPENSSH PRIVATE KEY" => Err(unusable(
            source,
            "it is in the format of OpenSSH, which `ssh-keygen -p -m PKCS8 -f FILE` rewrites",
        )),
        label => {
            let kind = label.trim_end_matches(" PRIVATE KEY");
            Err(unsupported(source, kind))
        }
    }
}

/// Returns `true` if the first private key of `pem` is encrypted in a format that a password can
/// open.
#[must_use]
pub fn needs_password(pem: &[u8]) -> bool {
    let mut sections = sections("key", pem).map_while(Result::ok);
    let first = sections.find(is_private_key);
    first.is_some_and(|section| section.label == ENCRYPTED)
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

fn is_private_key(section: &PemSection<'_>) -> bool {
    section.label == "PRIVATE KEY" || section.label.ends_with(" PRIVATE KEY")
}

/// Returns `true` for a key encrypted by `openssl rsa -aes256` or `openssl ec -aes256`.
fn is_traditionally_encrypted(section: &PemSection<'_>) -> bool {
    let encrypted =
        |header: &[u8]| header.starts_with(b"Proc-Type:") && header.ends_with(b"ENCRYPTED");
    section.headers().any(encrypted)
}

/// Decrypts a key that is encrypted by a scheme of PKCS#5.
fn decrypt(
    source: &str,
    der: &[u8],
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, HandshakeError> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|_| unknown_encryption(source, "by an unknown scheme"))?;
    let Some(password) = password else {
        return Err(HandshakeError::config(format!(
            "{source} is encrypted: its password is needed"
        )));
    };
    let opened = encrypted.decrypt(password).map_err(|error| {
        use pkcs8::pkcs5::Error::{
            AlgorithmParametersInvalid, NoPbes1CryptSupport, UnsupportedAlgorithm,
        };
        match error {
            pkcs8::Error::EncryptedPrivateKey(
                NoPbes1CryptSupport
                | UnsupportedAlgorithm { .. }
                | AlgorithmParametersInvalid { .. },
            ) => unknown_encryption(source, "by an old scheme (PBES1, or single DES)"),
            // A wrong password shows as bad padding, or as a result that is not a key.
            _ => HandshakeError::config(format!("the password does not open {source}")),
        }
    })?;
    if PrivateKeyInfoRef::try_from(opened.as_bytes()).is_err() {
        let text = format!("the password does not open {source}");
        return Err(HandshakeError::config(text));
    }
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
}

fn unknown_encryption(source: &str, how: &str) -> HandshakeError {
    HandshakeError::config(format!(
        "{source} is encrypted {how}: convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc \
         -in FILE -out NEW`"
    ))
}

/// Explains why a key that was refused cannot be used.
pub(super) fn explain_refusal(source: &str, key: &PrivateKeyDer<'_>) -> HandshakeError {
    match kind_of(key).and_then(KeyKind::unsupported) {
        Some(kind) => unsupported(source, &kind),
        None => unusable(source, "it is malformed"),
    }
}

pub(super) fn unsupported(source: &str, kind: &str) -> HandshakeError {
    unusable(
        source,
        &format!(
            "keys of type {kind} are not supported; RSA of 2048 to 8192 bits, EC on P-256, \
             P-384 or P-521, and Ed25519 are"
        ),
    )
}

fn unusable(source: &str, why: &str) -> HandshakeError {
    HandshakeError::config(format!("{source} is not usable: {why}"))
}

const SUPPORTED: [&str; 4] = ["EC on P-256", "EC on P-384", "EC on P-521", "Ed25519"];

/// The kind of a private or public key.
pub(super) enum KeyKind {
    Rsa { bits: usize },
    Other(String),
}

impl KeyKind {
    /// Returns the kind of an RSA key with this modulus.
    pub(super) fn rsa(modulus: UintRef<'_>) -> Option<Self> {
        let modulus = modulus.as_bytes();
        let unused = modulus.first()?.leading_zeros() as usize;
        Some(Self::Rsa {
            bits: 8 * modulus.len() - unused,
        })
    }

    /// Returns the name of the kind if it is not supported.
    pub(super) fn unsupported(self) -> Option<String> {
        match self {
            Self::Rsa { bits } => {
                (!(2048..=8192).contains(&bits)).then(|| format!("RSA of {bits} bits"))
            }
            Self::Other(name) => (!SUPPORTED.contains(&&*name)).then_some(name),
        }
    }
}

/// Returns the kind of a private key, or `None` if it does not parse.
fn kind_of(key: &PrivateKeyDer<'_>) -> Option<KeyKind> {
    match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => Some(KeyKind::Other(sec1_curve(key.secret_sec1_der())?)),
        PrivateKeyDer::Pkcs8(key) => {
            let info = PrivateKeyInfoRef::try_from(key.secret_pkcs8_der()).ok()?;
            match info.algorithm.oid {
                RSA_ENCRYPTION => rsa(info.private_key.as_bytes()),
                EC_PUBLIC_KEY => Some(KeyKind::Other(curve_name(info.algorithm.parameters?))),
                oid => Some(KeyKind::Other(oid_name(oid))),
            }
        }
        _ => None,
    }
}

/// Returns the kind of an `RSAPrivateKey` (RFC 8017 §A.1.2), which is given by the size of its
/// modulus.
fn rsa(der: &[u8]) -> Option<KeyKind> {
    let mut reader = fields_of(der)?;
    UintRef::decode(&mut reader).ok()?;
    KeyKind::rsa(UintRef::decode(&mut reader).ok()?)
}

/// Returns the curve of an `ECPrivateKey` (RFC 5915 §3).
fn sec1_curve(der: &[u8]) -> Option<String> {
    let mut reader = fields_of(der)?;
    UintRef::decode(&mut reader).ok()?;
    <&OctetStringRef>::decode(&mut reader).ok()?;
    let curve =
        ContextSpecific::<AnyRef<'_>>::decode_explicit(&mut reader, TagNumber(0)).ok()??;
    Some(curve_name(curve.value))
}

fn curve_name(parameters: AnyRef<'_>) -> String {
    match ObjectIdentifier::try_from(parameters) {
        Ok(curve) => format!("EC on {}", oid_name(curve)),
        Err(_) => "EC with explicit curve parameters".into(),
    }
}

/// Returns a reader of the contents of a SEQUENCE.
pub(super) fn fields_of(der: &[u8]) -> Option<SliceReader<'_>> {
    let mut reader = SliceReader::new(der).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    (header.tag() == Tag::Sequence).then_some(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_missing_or_in_the_way_of_old_times_is_told_so() {
        let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                      DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let convert = "convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW`";
        for (pem, text) in [
            (
                "no PEM at all",
                "key holds no private key: PEM with PKCS#8, PKCS#1 or SEC1 is needed".to_owned(),
            ),
            (
                legacy,
                format!(
                    "key is encrypted in OpenSSL's traditional format \
                     (Proc-Type: 4,ENCRYPTED): {convert}"
                ),
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",
                format!("key is encrypted by an unknown scheme: {convert}"),
            ),
            (
                "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n",
                "key is not usable: keys of type DSA are not supported; RSA of 2048 to 8192 \
                 bits, EC on P-256, P-384 or P-521, and Ed25519 are"
                    .to_owned(),
            ),
        ] {
            let error = private_key("key", pem.as_bytes(), None).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn only_a_key_that_we_can_decrypt_needs_a_password() {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        let plain = pem("PRIVATE KEY");
        let encrypted = pem("ENCRYPTED PRIVATE KEY");
        assert!(needs_password(encrypted.as_bytes()));
        assert!(needs_password(format!("ENCRYPTED\n{encrypted}").as_bytes()));
        for other in [
            plain.clone(),
            format!("ENCRYPTED\n{plain}"),
            format!("{plain}{encrypted}"),
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".to_owned(),
            String::new(),
        ] {
            assert!(!needs_password(other.as_bytes()), "{other}");
        }
    }
}
