//! Certificates and keys out of PEM, with errors that say what is missing.

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::HandshakeError;

/// Every certificate, in order; at least one.
pub(super) fn chain(
    what: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, HandshakeError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(HandshakeError::config(format!(
            "{what} holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed"
        ))),
        Ok(chain) => Ok(chain),
        Err(error) => Err(broken(what, &error)),
    }
}

/// The first private key.
pub(super) fn key(what: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, HandshakeError> {
    if contains(pem, b"ENCRYPTED") {
        return Err(HandshakeError::config(format!(
            "{what} is encrypted: decrypt it first (openssl pkey)"
        )));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => HandshakeError::config(format!(
            "{what} holds no private key: PEM with PKCS#8, PKCS#1 or SEC1 is needed"
        )),
        error => broken(what, &error),
    })
}

/// Every certificate as a root to trust.
pub(super) fn roots(what: &str, pem: &[u8]) -> Result<RootCertStore, HandshakeError> {
    let mut roots = RootCertStore::empty();
    for (index, cert) in chain(what, pem)?.into_iter().enumerate() {
        roots.add(cert).map_err(|error| {
            HandshakeError::config(format!(
                "certificate {index} of {what} does not parse: {error}"
            ))
        })?;
    }
    Ok(roots)
}

/// The texts are our own: those of the parser quote the input, which may be a key.
fn broken(what: &str, error: &Error) -> HandshakeError {
    let why = match error {
        Error::MissingSectionEnd { .. } => "a section has no END line",
        Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        Error::Base64Decode(_) => "its base64 does not decode",
        _ => "it is no PEM",
    };
    HandshakeError::config(format!("{what} does not parse: {why}"))
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_pem_is_said() {
        for (pem, text) in [
            (
                "",
                "cert holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is needed",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n",
                "cert does not parse: a section has no END line",
            ),
            (
                "-----BEGIN CERTIFICATE---\n",
                "cert does not parse: a BEGIN line is malformed",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
                "cert does not parse: its base64 does not decode",
            ),
        ] {
            assert_eq!(chain("cert", pem.as_bytes()).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn an_encrypted_key_is_not_called_missing() {
        let pem =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let text = key("key", pem).unwrap_err().to_string();
        assert_eq!(text, "key is encrypted: decrypt it first (openssl pkey)");
        let text = key("key", b"no PEM at all").unwrap_err().to_string();
        assert_eq!(
            text,
            "key holds no private key: PEM with PKCS#8, PKCS#1 or SEC1 is needed"
        );
    }

    #[test]
    fn a_root_that_is_no_certificate_is_counted() {
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = roots("roots", pem).unwrap_err().to_string();
        assert!(
            text.starts_with("certificate 0 of roots does not parse"),
            "{text}"
        );
    }
}
