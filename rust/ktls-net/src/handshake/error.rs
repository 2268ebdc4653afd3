//! Errors of configurations and handshakes, with messages for the person who configures or runs
//! them.

use ktls_core::Alert;
use rustls::{
    AlertDescription, CertificateError, Error as Rustls, InvalidMessage, PeerIncompatible,
};

use crate::error::HandshakeError;

use super::descriptions::{algorithm_name, certified_name, join_first, variant_in_words};

impl From<Rustls> for HandshakeError {
    /// Converts an error that the peer did not cause.
    fn from(error: Rustls) -> Self {
        Self::failed(internal_failure(&error))
    }
}

impl From<ktls_core::Error> for HandshakeError {
    fn from(error: ktls_core::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// The versions, suites and groups that we allow, as text.
#[derive(Debug)]
pub(super) struct OurOffer {
    pub(super) versions: String,
    pub(super) suites: String,
    pub(super) groups: String,
}

/// The part of our configuration that error messages mention.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureContext<'a> {
    /// The name that the peer's certificate must be valid for. `None` at a server.
    pub(super) server_name: Option<&'a str>,
    /// Our ALPN protocols.
    pub(super) alpn: &'a [Vec<u8>],
    /// Our versions, suites and groups.
    pub(super) offer: &'a OurOffer,
}

impl FailureContext<'_> {
    /// Returns a sentence that says what `error` means and, if known, how to correct it.
    pub(super) fn explain(self, error: &Rustls) -> String {
        match error {
            Rustls::AlertReceived(alert) => alert_received(*alert),
            Rustls::InvalidCertificate(why) => self.bad_certificate(why),
            Rustls::PeerIncompatible(why) => self.incompatible(why),
            Rustls::NoApplicationProtocol => {
                format!(
                    "the peer offers none of our ALPN protocols: {}",
                    join_first(self.alpn.iter().map(|name| name.escape_ascii().to_string()))
                )
            }
            Rustls::NoCertificatesPresented => {
                "the peer sent no certificate, and one is required".into()
            }
            error => protocol_violation(error),
        }
    }

    fn bad_certificate(self, why: &CertificateError) -> String {
        let whose = match self.server_name {
            Some(name) => format!("the certificate of {name:?}"),
            None => "the client's certificate".into(),
        };
        format!("{whose} {}", certificate_fault(why))
    }

    fn incompatible(self, why: &PeerIncompatible) -> String {
        match why {
            PeerIncompatible::NoCipherSuitesInCommon => {
                format!(
                    "no suite in common with the peer: we allow {}",
                    self.offer.suites
                )
            }
            PeerIncompatible::NoKxGroupsInCommon => {
                format!(
                    "no key exchange group in common with the peer: we allow {}",
                    self.offer.groups
                )
            }
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                format!(
                    "no version in common with the peer: we allow {}",
                    self.offer.versions
                )
            }
            PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
                format!(
                    "the peer names no signature algorithms, as before TLS 1.2: we allow {}",
                    self.offer.versions
                )
            }
            PeerIncompatible::NoSignatureSchemesInCommon => {
                "the peer accepts no signature that our key can make".into()
            }
            why => format!(
                "the peer is not compatible with us: {}",
                variant_in_words(why)
            ),
        }
    }
}

/// Returns a verb phrase that says what is wrong with a certificate.
fn certificate_fault(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "is issued by none of our roots: add its issuer to them".into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = join_first(presented.iter().map(|name| certified_name(name)));
            format!("is not valid for that name, only for [{names}]")
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("expired {} ago", format_duration(ago))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            format!(
                "is not valid before {} from now: check the clock",
                format_duration(ahead)
            )
        }
        CertificateError::BadEncoding => {
            "does not parse: it is malformed, or has more than 65535 bytes".into()
        }
        // Also the error for the signature over the handshake itself.
        CertificateError::BadSignature => {
            "cannot be trusted: a signature by its key, or in its chain, does not verify; \
             it is forged, or was made with an RSA key outside of 2048 to 8192 bits, which is not \
             supported"
                .into()
        }
        CertificateError::Expired => "is never valid: its validity ends before it begins".into(),
        CertificateError::NotValidForName => "is not valid for that name".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is for another purpose: its extended key usage does not name this one".into()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        } => {
            let algorithm = algorithm_name(signature_algorithm_id);
            format!("or its chain is signed by {algorithm}, which is not supported")
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => {
            let algorithm = algorithm_name(signature_algorithm_id);
            let key = algorithm_name(public_key_algorithm_id);
            format!(
                "or its chain is signed by {algorithm} with a key of type {key}, \
                 which is not supported"
            )
        }
        // The verifier's own error is available as text only.
        CertificateError::Other(other) => verifier_fault(&other.to_string()),
        why => format!("is not acceptable: {}", variant_in_words(why)),
    }
}

/// Returns a verb phrase for the verifier's error of this name.
fn verifier_fault(name: &str) -> String {
    match name {
        "CaUsedAsEndEntity" => {
            "is a CA certificate (CA:TRUE): a peer needs one that the CA has issued, or \
             a self-signed one made with \
             `openssl req -x509 -addext basicConstraints=critical,CA:FALSE`"
                .into()
        }
        "EndEntityUsedAsCa" => "is issued by a certificate that is not a CA's (CA:TRUE)".into(),
        "PathLenConstraintViolated" => "has a longer chain than one of its CAs allows".into(),
        "NameConstraintViolation" => "has a name that one of its CAs must not certify".into(),
        "UnsupportedCertVersion" => "or its chain is not X.509 version 3".into(),
        "UnsupportedCriticalExtension" => {
            "or its chain has a critical extension that is not supported".into()
        }
        _ => format!(
            "is not acceptable: {}",
            variant_in_words(&format_args!("{name}"))
        ),
    }
}

fn alert_received(alert: AlertDescription) -> String {
    let hint = match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => ": it does not accept our certificate",
        AlertDescription::CertificateRequired => ": it requires a certificate from us",
        AlertDescription::HandshakeFailure => ": most likely no suite in common",
        AlertDescription::ProtocolVersion => ": no version in common",
        AlertDescription::NoApplicationProtocol => ": no ALPN protocol in common",
        AlertDescription::UnrecognisedName => ": it does not serve that name",
        _ => "",
    };
    format!("the peer sent the alert {}{hint}", alert_name(alert))
}

/// Returns the alert's name in the RFC, or its number.
fn alert_name(alert: AlertDescription) -> String {
    let code = u8::from(alert);
    Alert::from_code(code).map_or_else(|| code.to_string(), |alert| alert.name().into())
}

fn protocol_violation(error: &Rustls) -> String {
    match error {
        Rustls::PeerMisbehaved(why) => {
            format!("the peer broke the protocol: {}", variant_in_words(why))
        }
        Rustls::InvalidMessage(InvalidMessage::MessageTooLarge)
        | Rustls::PeerSentOversizedRecord => {
            "the peer sent a record longer than the protocol allows".into()
        }
        Rustls::InvalidMessage(why) => {
            format!(
                "the peer sent a malformed message: {}",
                variant_in_words(why)
            )
        }
        Rustls::InappropriateMessage { got_type, .. } => {
            format!(
                "the peer sent an unexpected message: {}",
                variant_in_words(got_type)
            )
        }
        Rustls::InappropriateHandshakeMessage { got_type, .. } => {
            format!(
                "the peer sent an unexpected message: {}",
                variant_in_words(got_type)
            )
        }
        Rustls::DecryptError => "a record of the peer's handshake does not authenticate".into(),
        error => internal_failure(error),
    }
}

/// Describes an error of our own side, or one for which there is no other text.
pub(super) fn internal_failure(error: &Rustls) -> String {
    match error {
        Rustls::FailedToGetRandomBytes => "the system returned no random bytes".into(),
        Rustls::FailedToGetCurrentTime => "the system's clock cannot be read".into(),
        Rustls::HandshakeNotComplete => "the handshake is not complete".into(),
        Rustls::EncryptError => "a record of the handshake could not be sealed".into(),
        Rustls::General(_) | Rustls::Other(_) => {
            "the handshake failed inside the TLS library".into()
        }
        error => format!("the handshake failed: {}", variant_in_words(error)),
    }
}

/// Explains that the first bytes of the peer are not a TLS record.
pub(super) fn not_tls(first: &[u8]) -> String {
    if HTTP.iter().any(|word| first.starts_with(word)) {
        return "the peer speaks plain HTTP, not TLS".into();
    }
    format!(
        "the peer does not speak TLS: it begins with \"{}\"",
        first.escape_ascii()
    )
}

/// How plain HTTP begins: the methods of requests, and a response.
const HTTP: [&[u8]; 11] = [
    b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"DELE", b"PATC", b"TRAC", b"PRI ",
    b"HTTP",
];

/// Returns `true` if rustls refused five bytes because they cannot be the header of a TLS record.
pub(super) fn is_invalid_header(error: &Rustls) -> bool {
    matches!(
        error,
        Rustls::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion
        )
    )
}

/// Returns the alert for an error for which rustls may make none, such as a message that is too
/// long or interrupted by another.
pub(super) const fn default_alert(error: &Rustls) -> Option<Alert> {
    match error {
        Rustls::InvalidMessage(_) => Some(Alert::DecodeError),
        Rustls::PeerMisbehaved(_) => Some(Alert::UnexpectedMessage),
        // The peer has ended the connection.
        Rustls::AlertReceived(_) => None,
        _ => Some(Alert::InternalError),
    }
}

fn format_duration(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{seconds} seconds"),
        3_600..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
