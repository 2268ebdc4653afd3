//! TLS alerts.

use std::fmt;

macro_rules! alerts {
    ($($name:ident = $code:literal $text:literal,)*) => {
        /// The alerts of RFC 8446 §6 that we send or name in messages.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum Alert {
            $(#[doc = $text] $name = $code,)*
        }

        impl Alert {
            /// Returns the alert with this code, or `None` if it has no name here.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Returns the name in the RFC.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

alerts! {
    CloseNotify = 0 "close_notify",
    UnexpectedMessage = 10 "unexpected_message",
    BadRecordMac = 20 "bad_record_mac",
    RecordOverflow = 22 "record_overflow",
    HandshakeFailure = 40 "handshake_failure",
    BadCertificate = 42 "bad_certificate",
    UnsupportedCertificate = 43 "unsupported_certificate",
    CertificateRevoked = 44 "certificate_revoked",
    CertificateExpired = 45 "certificate_expired",
    CertificateUnknown = 46 "certificate_unknown",
    IllegalParameter = 47 "illegal_parameter",
    UnknownCa = 48 "unknown_ca",
    AccessDenied = 49 "access_denied",
    DecodeError = 50 "decode_error",
    DecryptError = 51 "decrypt_error",
    ProtocolVersion = 70 "protocol_version",
    InsufficientSecurity = 71 "insufficient_security",
    InternalError = 80 "internal_error",
    InappropriateFallback = 86 "inappropriate_fallback",
    UserCanceled = 90 "user_canceled",
    NoRenegotiation = 100 "no_renegotiation",
    MissingExtension = 109 "missing_extension",
    UnsupportedExtension = 110 "unsupported_extension",
    UnrecognizedName = 112 "unrecognized_name",
    BadCertificateStatusResponse = 113 "bad_certificate_status_response",
    UnknownPskIdentity = 115 "unknown_psk_identity",
    CertificateRequired = 116 "certificate_required",
    GeneralError = 117 "general_error",
    NoApplicationProtocol = 120 "no_application_protocol",
}

impl Alert {
    /// Returns the code of the alert.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
