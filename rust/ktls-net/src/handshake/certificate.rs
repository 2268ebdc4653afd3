//! Checks of our own certificates, so that they cannot make a handshake fail later.

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::{AnyRef, BitStringRef, ContextSpecific, UintRef};
use pkcs8::der::{Decode, SliceReader, TagNumber};
use rustls::pki_types::CertificateDer;

use super::descriptions::{RSA_ENCRYPTION, algorithm_name};
use super::private_key::{KeyKind, fields_of};
use crate::error::HandshakeError;

/// The longest certificate, in bytes, that the verifiers of rustls accept.
const MAX_CERTIFICATE: usize = 0xffff + HEADER;
/// The length of a DER header (tag and length) in front of up to 65535 bytes.
const HEADER: usize = 4;

/// Refuses certificates that do not parse, or are too long for verifiers. `source` names their
/// origin in error messages.
pub(super) fn check(source: &str, chain: &[CertificateDer<'_>]) -> Result<(), HandshakeError> {
    for (index, cert) in chain.iter().enumerate() {
        if public_key(cert).is_none() || cert.len() > MAX_CERTIFICATE {
            return Err(unusable(source, index, cert));
        }
    }
    Ok(())
}

/// Returns the error that explains why a certificate was refused.
pub(super) fn unusable(source: &str, index: usize, cert: &[u8]) -> HandshakeError {
    let len = cert.len();
    let why = if len > MAX_CERTIFICATE {
        format!("has {len} bytes: at most {MAX_CERTIFICATE} are supported")
    } else {
        "does not parse as X.509".into()
    };
    HandshakeError::config(format!("certificate {index} of {source} {why}"))
}

/// Returns the kind of a certificate's public key, or `None` if the certificate does not parse.
pub(super) fn kind_of_key(cert: &[u8]) -> Option<KeyKind> {
    let (algorithm, key) = public_key(cert)?;
    let oid = ObjectIdentifier::decode(&mut SliceReader::new(algorithm).ok()?).ok()?;
    if oid != RSA_ENCRYPTION {
        return Some(KeyKind::Other(algorithm_name(algorithm)));
    }
    let modulus = UintRef::decode(&mut fields_of(key)?).ok()?;
    KeyKind::rsa(modulus)
}

/// Returns the algorithm and the public key of a certificate (RFC 5280 §4.1).
fn public_key(cert: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut certificate = fields_of(cert)?;
    let signed = AnyRef::decode(&mut certificate).ok()?;
    let mut fields = SliceReader::new(signed.value()).ok()?;
    let _version =
        ContextSpecific::<AnyRef<'_>>::decode_explicit(&mut fields, TagNumber(0)).ok()?;
    for _ in ["serialNumber", "signature", "issuer", "validity", "subject"] {
        AnyRef::decode(&mut fields).ok()?;
    }
    let info = AnyRef::decode(&mut fields).ok()?;
    let mut info = SliceReader::new(info.value()).ok()?;
    let algorithm = AnyRef::decode(&mut info).ok()?;
    let key = BitStringRef::decode(&mut info).ok()?;
    Some((algorithm.value(), key.as_bytes()?))
}
