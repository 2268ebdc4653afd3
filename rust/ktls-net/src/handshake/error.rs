//! Why there is no connection: sentences for the one who configures or runs it.

use std::fmt;

use ktls_core::Alert;
use rustls::{
    AlertDescription, CertificateError, Error as Rustls, InvalidMessage, PeerIncompatible,
};

use super::words::{algorithm_name, certified_name, listed, words};

/// Whose turn it is to mend something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeErrorKind {
    /// The caller's: a configuration that does not parse or fit together (EINVAL).
    Config,
    /// The handshake with this peer failed (EPROTO).
    Failed,
}

/// Why a configuration was refused or a handshake failed. Never holds key bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HandshakeError {
    kind: HandshakeErrorKind,
    text: String,
}

impl HandshakeError {
    /// Whose turn it is.
    #[must_use]
    pub const fn kind(&self) -> HandshakeErrorKind {
        self.kind
    }

    pub(super) fn config(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            kind: HandshakeErrorKind::Config,
            text,
        }
    }

    /// The stream ended before the handshake did.
    pub(crate) fn closed() -> Self {
        Self::failed("the peer closed the connection during the handshake")
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            kind: HandshakeErrorKind::Failed,
            text,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for HandshakeError {}

impl From<Rustls> for HandshakeError {
    /// For what has no peer to blame.
    fn from(error: Rustls) -> Self {
        Self::failed(failed_inside(&error))
    }
}

impl From<ktls_core::Error> for HandshakeError {
    fn from(error: ktls_core::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// The versions and suites that we allow, as text.
#[derive(Debug)]
pub(super) struct OurOffer {
    pub(super) versions: String,
    pub(super) suites: String,
}

/// What a sentence about a failure needs to know of us.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureContext<'a> {
    /// The name that the peer's certificate must prove: at a client.
    pub(super) server_name: Option<&'a str>,
    /// Our ALPN protocols.
    pub(super) alpn: &'a [Vec<u8>],
    /// Our versions and suites.
    pub(super) offer: &'a OurOffer,
}

impl FailureContext<'_> {
    /// What `error` means, and what to do about it where that is known.
    pub(super) fn explain(self, error: &Rustls) -> String {
        match error {
            Rustls::AlertReceived(alert) => alert_received(*alert),
            Rustls::InvalidCertificate(why) => self.bad_certificate(why),
            Rustls::PeerIncompatible(why) => self.incompatible(why),
            Rustls::NoApplicationProtocol => {
                format!(
                    "the peer offers none of our ALPN protocols: {}",
                    listed(self.alpn.iter().map(|name| name.escape_ascii().to_string()))
                )
            }
            Rustls::NoCertificatesPresented => {
                "the peer sent no certificate, and one is required".into()
            }
            error => protocol_broken(error),
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
            why => format!("the peer lacks what we need: {}", words(why)),
        }
    }
}

/// What is wrong with a certificate, as the rest of a sentence about it.
fn certificate_fault(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "is issued by none of our roots: add its issuer to them".into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = listed(presented.iter().map(|name| certified_name(name)));
            format!("is not valid for that name, only for [{names}]")
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("expired {} ago", span(ago))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            format!(
                "is not valid before {} from now: check the clock",
                span(ahead)
            )
        }
        CertificateError::BadEncoding => {
            "does not parse: it is malformed, or has more than 65535 bytes".into()
        }
        // Also what the handshake itself is signed by.
        CertificateError::BadSignature => {
            "cannot be trusted: a signature by its key, or in its chain, does not verify; \
             it is forged, or of an RSA key outside of 2048 to 8192 bits, which is not supported"
                .into()
        }
        CertificateError::Expired => "is valid at no time".into(),
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
                "or its chain is signed by {algorithm} with a key of the kind {key}, \
                 which is not supported"
            )
        }
        // The verifier's own error comes as text only.
        CertificateError::Other(other) => verifier_fault(&other.to_string()),
        why => format!("is not acceptable: {}", words(why)),
    }
}

/// What the verifier says by the name of its error.
fn verifier_fault(name: &str) -> String {
    match name {
        "CaUsedAsEndEntity" => {
            "is a CA's own (CA:TRUE): a peer needs one that the CA has issued, or \
             a self-signed one made with \
             `openssl req -x509 -addext basicConstraints=critical,CA:FALSE`"
                .into()
        }
        "EndEntityUsedAsCa" => "is issued by a certificate that is no CA's (CA:TRUE)".into(),
        "PathLenConstraintViolated" => "has more CAs above it than one of them allows".into(),
        "NameConstraintViolation" => "has a name that one of its CAs may not vouch for".into(),
        "UnsupportedCertVersion" => "or its chain is not of version 3 of X.509".into(),
        "UnsupportedCriticalExtension" => {
            "or its chain has a critical extension that is not supported".into()
        }
        _ => format!("is not acceptable: {}", words(&format_args!("{name}"))),
    }
}

fn alert_received(alert: AlertDescription) -> String {
    let hint = match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => ": it does not accept our certificate",
        AlertDescription::CertificateRequired => ": it wants a certificate of ours",
        AlertDescription::HandshakeFailure => ": most likely no suite in common",
        AlertDescription::ProtocolVersion => ": no version in common",
        AlertDescription::NoApplicationProtocol => ": no ALPN protocol in common",
        AlertDescription::UnrecognisedName => ": it does not serve that name",
        _ => "",
    };
    format!("the peer sent the alert {}{hint}", alert_name(alert))
}

/// The alert's name in the RFC, or its number.
fn alert_name(alert: AlertDescription) -> String {
    let code = u8::from(alert);
    Alert::from_code(code).map_or_else(|| code.to_string(), |alert| alert.name().into())
}

fn protocol_broken(error: &Rustls) -> String {
    match error {
        Rustls::PeerMisbehaved(why) => format!("the peer broke the protocol: {}", words(why)),
        Rustls::InvalidMessage(InvalidMessage::MessageTooLarge)
        | Rustls::PeerSentOversizedRecord => {
            "the peer sent a record longer than the protocol allows".into()
        }
        Rustls::InvalidMessage(why) => {
            format!("the peer sent a malformed message: {}", words(why))
        }
        Rustls::InappropriateMessage { got_type, .. } => {
            format!("the peer sent what may not come here: {}", words(got_type))
        }
        Rustls::InappropriateHandshakeMessage { got_type, .. } => {
            format!("the peer sent what may not come here: {}", words(got_type))
        }
        Rustls::DecryptError => "a record of the peer's handshake does not authenticate".into(),
        error => failed_inside(error),
    }
}

/// What went wrong at our own end, or in a way that no other text is for.
pub(super) fn failed_inside(error: &Rustls) -> String {
    match error {
        Rustls::FailedToGetRandomBytes => "the system gave no random bytes".into(),
        Rustls::FailedToGetCurrentTime => "the system's clock cannot be read".into(),
        Rustls::HandshakeNotComplete => "the handshake is not complete".into(),
        Rustls::EncryptError => "a record of the handshake could not be sealed".into(),
        Rustls::General(_) | Rustls::Other(_) => "the handshake failed inside the library".into(),
        error => format!("the handshake failed: {}", words(error)),
    }
}

/// Why the first bytes are no TLS record.
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

/// True for five bytes that are no header of TLS at all.
pub(super) fn is_no_header(error: &Rustls) -> bool {
    matches!(
        error,
        Rustls::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion
        )
    )
}

/// The alert owed where rustls may owe it: for a message too long, or interrupted by another.
pub(super) const fn unsaid(error: &Rustls) -> Option<Alert> {
    match error {
        Rustls::InvalidMessage(_) => Some(Alert::DecodeError),
        Rustls::PeerMisbehaved(_) => Some(Alert::UnexpectedMessage),
        // The peer has ended it.
        Rustls::AlertReceived(_) => None,
        _ => Some(Alert::InternalError),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{seconds} seconds"),
        3_600..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
