//! Why there is no connection: sentences for the one who configures or runs it.

use std::fmt;

use ktls_core::Alert;
use rustls::{
    AlertDescription, CertificateError, Error as Rustls, InvalidMessage, PeerIncompatible,
};

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

/// The versions and suites that we allow, as text.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) versions: String,
    pub(super) suites: String,
}

/// What a sentence about a failure needs to know of us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a> {
    /// The name that the peer's certificate must prove: at a client.
    pub(super) server_name: Option<&'a str>,
    /// Our ALPN protocols.
    pub(super) alpn: &'a [Vec<u8>],
    /// Our versions and suites.
    pub(super) offer: &'a Offer,
}

impl Ours<'_> {
    /// What `error` means, and what to do about it where that is known.
    pub(super) fn explain(self, error: &Rustls) -> String {
        match error {
            Rustls::AlertReceived(alert) => alert_received(*alert),
            Rustls::InvalidCertificate(why) => self.bad_certificate(why),
            Rustls::PeerIncompatible(why) => self.incompatible(why),
            Rustls::NoApplicationProtocol => {
                format!(
                    "the peer offers none of our ALPN protocols: {}",
                    join(self.alpn)
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
            format!(
                "is not valid for that name, only for [{}]",
                names(presented)
            )
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
        // The verifier's own error comes as text only.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "is a CA's own (CA:TRUE): a peer needs one that the CA has issued".into()
        }
        why => format!("is not acceptable: {}", words(why)),
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
        error => error.to_string(),
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

/// `NoCipherSuitesInCommon` as "no cipher suites in common".
fn words(name: &dyn fmt::Debug) -> String {
    let mut out = String::new();
    let mut last = ' ';
    for c in format!("{name:?}").chars() {
        if c.is_ascii_uppercase() && last.is_ascii_lowercase() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
        last = c;
    }
    out
}

/// `DnsName("a.test")`, as the verifier gives it, as `"a.test"`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| name.replace("DnsName(", "").replace(')', "");
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

fn join(protocols: &[Vec<u8>]) -> String {
    let text = |name: &Vec<u8>| name.escape_ascii().to_string();
    protocols.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn span(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{seconds} seconds"),
        3_600..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_has_its_name_in_the_rfc_or_its_number() {
        for (code, name) in [(48, "unknown_ca"), (112, "unrecognized_name"), (77, "77")] {
            assert_eq!(alert_name(AlertDescription::from(code)), name);
        }
    }

    #[test]
    fn names_of_errors_become_words() {
        assert_eq!(
            words(&InvalidMessage::MissingData("Random")),
            "missing data(\"random\")"
        );
        assert_eq!(
            words(&PeerIncompatible::NoKxGroupsInCommon),
            "no kx groups in common"
        );
    }

    #[test]
    fn plain_protocols_are_named() {
        for (first, text) in [
            (&b"GET /"[..], "the peer speaks plain HTTP, not TLS"),
            (b"HTTP/", "the peer speaks plain HTTP, not TLS"),
            (
                b"SSH-2",
                "the peer does not speak TLS: it begins with \"SSH-2\"",
            ),
            (
                b"\0\x01\xff\"\n",
                r#"the peer does not speak TLS: it begins with "\x00\x01\xff\"\n""#,
            ),
        ] {
            assert_eq!(not_tls(first), text);
        }
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        for (seconds, text) in [(59, "59 seconds"), (7_200, "2 hours"), (864_000, "10 days")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_failed_signature_is_no_riddle() {
        let error = Rustls::InvalidCertificate(CertificateError::BadSignature);
        let offer = Offer {
            versions: String::new(),
            suites: String::new(),
        };
        let ours = Ours {
            server_name: Some("a.test"),
            alpn: &[],
            offer: &offer,
        };
        let text = ours.explain(&error);
        assert_eq!(
            text,
            "the certificate of \"a.test\" is not acceptable: bad signature"
        );
    }
}
