//! The one error type; errno, alert and blame are total functions of it.

use std::fmt;

/// Why something was refused or failed. Never holds key or plaintext bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are the numbers that the variant's sentence names"
)]
pub enum Error {
    /// The tag does not match.
    BadTag,
    /// A record's length field is over the limit.
    RecordTooLong { len: usize, max: usize },
    /// A record's length field leaves no room for nonce and tag.
    RecordTooShort { len: usize, min: usize },
    /// A record header does not carry 0x0303.
    BadRecordVersion { version: u16 },
    /// A whole record was asked for and the buffer holds less, or more.
    NotOneRecord { len: usize },
    /// The inner plaintext has no content type: it is empty or all zeros.
    NoContentType,
    /// The inner plaintext is longer than 2^14 + 1 (RFC 8446 §5.4).
    PlaintextTooLong { len: usize, max: usize },
    /// A content type that may not come here.
    UnexpectedRecord { record_type: u8 },
    /// A handshake message that may not come here.
    UnexpectedMessage { message_type: u8 },
    /// A handshake or alert record without content.
    EmptyFragment { record_type: u8 },
    /// Another content type inside a handshake message (RFC 8446 §5.1).
    Interleaved { record_type: u8 },
    /// Handshake bytes follow a KeyUpdate in its record (RFC 8446 §5.1).
    DataAfterKeyUpdate,
    /// A KeyUpdate whose length is not 1.
    BadKeyUpdateLength { len: usize },
    /// A KeyUpdate that asks for something unknown.
    BadKeyUpdateValue { value: u8 },
    /// More KeyUpdates than the policy tolerates.
    KeyUpdateStorm { count: u32, window_ms: u64 },
    /// A handshake message longer than we are willing to hold.
    HandshakeTooLong { len: usize, max: usize },
    /// A session ticket that does not parse.
    BadTicket,
    /// An alert record that is not two bytes long.
    BadAlertLength { len: usize },
    /// The peer ended the connection with this alert.
    AlertReceived(u8),
    /// The stream ended without close_notify.
    Truncated,

    /// No key is installed in this direction.
    NoKey,
    /// A KeyUpdate was received and the next key is not installed.
    KeyExpired,
    /// Not 0x0303 or 0x0304.
    UnknownVersion { version: u16 },
    /// Not a cipher id of the kernel.
    UnknownCipher { cipher_type: u16 },
    /// No such TLS 1.3 suite.
    UnknownSuite { suite: u16 },
    /// The cipher exists and has no implementation here.
    CipherMissing { cipher: &'static str },
    /// The kernel has this cipher in TLS 1.2 only.
    CipherNotIn13 { cipher: &'static str },
    /// A key, iv, salt, secret or struct of the wrong length.
    BadLength {
        what: &'static str,
        len: usize,
        want: usize,
    },
    /// A rekey to another version or cipher.
    RekeyMismatch {
        what: &'static str,
        installed: u16,
        given: u16,
    },
    /// TLS 1.2 has no key update.
    NoRekeyIn12,
    /// A plaintext that does not fit one record.
    FragmentTooLong { len: usize, max: usize },
    /// The output buffer is too small.
    NoRoom { need: usize, have: usize },
    /// A piece lies outside its buffer.
    PieceOutside {
        index: usize,
        offset: i64,
        length: i64,
        len: usize,
    },
    /// Sending after close_notify.
    SendClosed,
    /// The connection has failed before; the text of that failure was given then.
    Dead,
    /// A key slot that was deleted or replaced.
    StaleSlot { index: usize },

    /// A ULP by this name does not exist.
    UnknownUlp,
    /// An empty ULP name.
    NoUlpName,
    /// The socket has its ULP already.
    UlpAttached,
    /// The ULP needs an established connection.
    NotEstablished,
    /// The socket is not one that takes the ULP.
    NotTcp,
    /// A TLS option is set on a socket without the ULP.
    NoUlp,
    /// A TLS option is asked for on a socket without the ULP, or a Unix socket is to get it.
    UlpUnsupported,
    /// No such option.
    UnknownOption { optname: i32 },
    /// An option whose value or moment is wrong.
    BadOption {
        what: &'static str,
        value: u32,
        least: u32,
        most: u32,
    },
    /// An option of TLS 1.3 receivers on a socket that is none.
    OptionNotNow { what: &'static str },
    /// An option that may not change while a record is open.
    OpenRecord { len: usize },
    /// The two directions of a socket have the same version and cipher.
    DirectionsDiffer {
        what: &'static str,
        installed: u16,
        given: u16,
    },
    /// Flags that a send does not take.
    BadFlags { flags: u32 },
    /// A record cannot be kept open and ended by the same call.
    MoreAndEor,
    /// A typed record cannot be kept open.
    TypeWithMore,
    /// A TLS control message of another type than `TLS_SET_RECORD_TYPE`.
    BadControlType { cmsg_type: i32 },
    /// `TLS_SET_RECORD_TYPE` without its byte.
    EmptyControl,
    /// Control messages, and none of them sets the record type.
    NoRecordType,
    /// A control record and no room for its type.
    NoControlRoom { record_type: u8 },

    /// The 64-bit record sequence number has come to its end.
    SeqExhausted,
    /// The key has sealed as many records as it may (RFC 8446 §5.5).
    KeyExhausted { limit: u64 },
    /// Every key slot is taken.
    SlotsFull { capacity: usize },
}

/// Who is to blame, and so what is owed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The peer broke a rule: it gets an alert.
    Peer,
    /// The caller misused the interface: no alert, nothing changed.
    Caller,
    /// A limit is reached.
    Limit,
}

impl Error {
    /// Who is to blame.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::BadTag
            | Self::RecordTooLong { .. }
            | Self::RecordTooShort { .. }
            | Self::BadRecordVersion { .. }
            | Self::NotOneRecord { .. }
            | Self::NoContentType
            | Self::PlaintextTooLong { .. }
            | Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::BadKeyUpdateLength { .. }
            | Self::BadKeyUpdateValue { .. }
            | Self::KeyUpdateStorm { .. }
            | Self::HandshakeTooLong { .. }
            | Self::BadTicket
            | Self::BadAlertLength { .. }
            | Self::AlertReceived(_)
            | Self::Truncated => Blame::Peer,
            Self::SeqExhausted | Self::KeyExhausted { .. } | Self::SlotsFull { .. } => Blame::Limit,
            Self::NoKey
            | Self::KeyExpired
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::CipherMissing { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::NoRekeyIn12
            | Self::FragmentTooLong { .. }
            | Self::NoRoom { .. }
            | Self::PieceOutside { .. }
            | Self::SendClosed
            | Self::Dead
            | Self::StaleSlot { .. }
            | Self::UnknownUlp
            | Self::NoUlpName
            | Self::UlpAttached
            | Self::NotEstablished
            | Self::NotTcp
            | Self::NoUlp
            | Self::UlpUnsupported
            | Self::UnknownOption { .. }
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::OpenRecord { .. }
            | Self::DirectionsDiffer { .. }
            | Self::BadFlags { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType
            | Self::NoControlRoom { .. } => Blame::Caller,
        }
    }

    /// The errno that a kernel TLS socket gives, or the closest where the kernel has no such case.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::BadTag
            | Self::RecordTooShort { .. }
            | Self::NotOneRecord { .. }
            | Self::NoContentType
            | Self::SeqExhausted => Errno::BadMsg,
            Self::RecordTooLong { .. }
            | Self::PlaintextTooLong { .. }
            | Self::FragmentTooLong { .. } => Errno::MsgSize,
            Self::BadRecordVersion { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::PieceOutside { .. }
            | Self::NoUlpName
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::DirectionsDiffer { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType => Errno::Inval,
            Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::BadKeyUpdateLength { .. }
            | Self::BadKeyUpdateValue { .. }
            | Self::KeyUpdateStorm { .. }
            | Self::HandshakeTooLong { .. }
            | Self::BadTicket
            | Self::BadAlertLength { .. } => Errno::Proto,
            Self::AlertReceived(_) => Errno::ConnAborted,
            Self::Truncated => Errno::ConnReset,
            Self::NoKey | Self::NoRekeyIn12 | Self::OpenRecord { .. } => Errno::Busy,
            Self::UlpAttached => Errno::Exist,
            Self::NotEstablished => Errno::NotConn,
            Self::NotTcp | Self::NoUlp | Self::UnknownOption { .. } => Errno::NoProtoOpt,
            Self::UlpUnsupported | Self::BadFlags { .. } => Errno::OpNotSupp,
            Self::NoControlRoom { .. } => Errno::Io,
            Self::KeyExpired | Self::KeyExhausted { .. } => Errno::KeyExpired,
            Self::CipherMissing { .. } | Self::StaleSlot { .. } | Self::UnknownUlp => Errno::NoEnt,
            Self::NoRoom { .. } => Errno::NoBufs,
            Self::SendClosed | Self::Dead => Errno::Pipe,
            Self::SlotsFull { .. } => Errno::NoSpc,
        }
    }

    /// The alert owed to the peer, where one is owed (RFC 8446 §6.2).
    #[must_use]
    pub const fn alert(self) -> Option<Alert> {
        match self {
            Self::BadTag | Self::RecordTooShort { .. } | Self::NotOneRecord { .. } => {
                Some(Alert::BadRecordMac)
            }
            Self::RecordTooLong { .. } | Self::PlaintextTooLong { .. } => {
                Some(Alert::RecordOverflow)
            }
            Self::BadRecordVersion { .. } => Some(Alert::ProtocolVersion),
            Self::NoContentType
            | Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::KeyUpdateStorm { .. } => Some(Alert::UnexpectedMessage),
            Self::BadKeyUpdateLength { .. } | Self::BadAlertLength { .. } | Self::BadTicket => {
                Some(Alert::DecodeError)
            }
            Self::BadKeyUpdateValue { .. } | Self::HandshakeTooLong { .. } => {
                Some(Alert::IllegalParameter)
            }
            Self::SeqExhausted | Self::KeyExhausted { .. } => Some(Alert::InternalError),
            Self::AlertReceived(_)
            | Self::Truncated
            | Self::NoKey
            | Self::KeyExpired
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::CipherMissing { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::NoRekeyIn12
            | Self::FragmentTooLong { .. }
            | Self::NoRoom { .. }
            | Self::PieceOutside { .. }
            | Self::SendClosed
            | Self::Dead
            | Self::StaleSlot { .. }
            | Self::SlotsFull { .. }
            | Self::UnknownUlp
            | Self::NoUlpName
            | Self::UlpAttached
            | Self::NotEstablished
            | Self::NotTcp
            | Self::NoUlp
            | Self::UlpUnsupported
            | Self::UnknownOption { .. }
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::OpenRecord { .. }
            | Self::DirectionsDiffer { .. }
            | Self::BadFlags { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType
            | Self::NoControlRoom { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadTag => {
                f.write_str("the record does not authenticate under this key and number")
            }
            Self::RecordTooLong { len, max } => {
                write!(
                    f,
                    "the record header announces {len} bytes, at most {max} are allowed"
                )
            }
            Self::RecordTooShort { len, min } => {
                write!(
                    f,
                    "the record header announces {len} bytes, at least {min} are needed"
                )
            }
            Self::BadRecordVersion { version } => {
                write!(
                    f,
                    "the record header has version {version:#06x}, not 0x0303"
                )
            }
            Self::NotOneRecord { len } => write!(f, "{len} bytes are not exactly one record"),
            Self::NoContentType => f.write_str("the inner plaintext has no content type"),
            Self::PlaintextTooLong { len, max } => {
                write!(
                    f,
                    "the inner plaintext has {len} bytes, at most {max} are allowed"
                )
            }
            Self::UnexpectedRecord { record_type } => {
                write!(
                    f,
                    "a record of content type {record_type} may not come here"
                )
            }
            Self::UnexpectedMessage { message_type } => {
                write!(
                    f,
                    "a handshake message of type {message_type} may not come here"
                )
            }
            Self::EmptyFragment { record_type } => {
                write!(f, "a record of content type {record_type} without content")
            }
            Self::Interleaved { record_type } => {
                write!(
                    f,
                    "a record of content type {record_type} inside a handshake message"
                )
            }
            Self::DataAfterKeyUpdate => {
                f.write_str("handshake bytes follow a KeyUpdate in its record")
            }
            Self::BadKeyUpdateLength { len } => {
                write!(f, "a KeyUpdate of {len} bytes instead of 1")
            }
            Self::BadKeyUpdateValue { value } => {
                write!(f, "a KeyUpdate with request_update {value}, not 0 or 1")
            }
            Self::KeyUpdateStorm { count, window_ms } => {
                write!(
                    f,
                    "{count} KeyUpdates within {window_ms} ms (see key_update_limit)"
                )
            }
            Self::HandshakeTooLong { len, max } => {
                write!(
                    f,
                    "a handshake message of {len} bytes, at most {max} are accepted"
                )
            }
            Self::BadTicket => f.write_str("a NewSessionTicket that does not parse"),
            Self::BadAlertLength { len } => write!(f, "an alert of {len} bytes instead of 2"),
            Self::AlertReceived(code) => match Alert::from_code(code) {
                Some(alert) => write!(f, "the peer sent the alert {alert} ({code})"),
                None => write!(f, "the peer sent the unknown alert {code}"),
            },
            Self::Truncated => f.write_str("the connection ended without close_notify"),
            Self::NoKey => f.write_str("no key is installed in this direction"),
            Self::KeyExpired => {
                f.write_str("a KeyUpdate was received: install the next receive key first")
            }
            Self::UnknownVersion { version } => {
                write!(f, "version {version:#06x} is neither 0x0303 nor 0x0304")
            }
            Self::UnknownCipher { cipher_type } => {
                write!(f, "cipher_type {cipher_type} is not one of 51 to 58")
            }
            Self::UnknownSuite { suite } => write!(f, "suite {suite:#06x} is not a TLS 1.3 suite"),
            Self::CipherMissing { cipher } => write!(f, "{cipher} has no implementation here"),
            Self::CipherNotIn13 { cipher } => write!(f, "{cipher} exists in TLS 1.2 only"),
            Self::BadLength { what, len, want } => {
                write!(f, "{what} has {len} bytes instead of {want}")
            }
            Self::RekeyMismatch {
                what,
                installed,
                given,
            } => {
                write!(
                    f,
                    "a rekey keeps the {what}: {installed:#06x} is installed, {given:#06x} given"
                )
            }
            Self::NoRekeyIn12 => f.write_str("TLS 1.2 has no key update: the key is already set"),
            Self::FragmentTooLong { len, max } => {
                write!(f, "{len} bytes do not fit one record of at most {max}")
            }
            Self::NoRoom { need, have } => {
                write!(f, "the output buffer has {have} bytes, {need} are needed")
            }
            Self::PieceOutside {
                index,
                offset,
                length,
                len,
            } => write!(
                f,
                "piece {index}, {length} bytes at {offset}, lies outside the buffer of {len} bytes"
            ),
            Self::SendClosed => f.write_str("close_notify has been sent: nothing more can be"),
            Self::Dead => f.write_str("the connection has failed before"),
            Self::StaleSlot { index } => write!(f, "key slot {index} was deleted or replaced"),
            Self::SeqExhausted => f.write_str("the record sequence number has come to its end"),
            Self::KeyExhausted { limit } => {
                write!(f, "the key may seal {limit} records and has: rekey")
            }
            Self::SlotsFull { capacity } => write!(f, "all {capacity} key slots are taken"),
            Self::UnknownUlp => f.write_str("the only upper layer protocol here is \"tls\""),
            Self::NoUlpName => f.write_str("the name of the upper layer protocol is empty"),
            Self::UlpAttached => f.write_str("the socket has its upper layer protocol already"),
            Self::NotEstablished => {
                f.write_str("the connection is not established, or is being closed")
            }
            Self::NotTcp => f.write_str("only a TCP socket takes the upper layer protocol"),
            Self::NoUlp => f.write_str("set TCP_ULP to \"tls\" before any TLS option"),
            Self::UlpUnsupported => f.write_str("the socket has no upper layer protocol"),
            Self::UnknownOption { optname } => write!(f, "SOL_TLS has no option {optname} here"),
            Self::BadOption {
                what,
                value,
                least,
                most,
            } => {
                write!(f, "{what} is {value}, not {least} to {most}")
            }
            Self::OptionNotNow { what } => {
                write!(f, "{what} is for receivers of TLS 1.3 that have their key")
            }
            Self::OpenRecord { len } => {
                write!(f, "a record with {len} bytes is open (MSG_MORE)")
            }
            Self::DirectionsDiffer {
                what,
                installed,
                given,
            } => {
                write!(
                    f,
                    "the other direction has {what} {installed:#06x}, {given:#06x} given"
                )
            }
            Self::BadFlags { flags } => write!(f, "a send does not take the flags {flags:#x}"),
            Self::MoreAndEor => f.write_str("MSG_MORE and MSG_EOR exclude each other"),
            Self::TypeWithMore => {
                f.write_str("a record with a type cannot be kept open (MSG_MORE)")
            }
            Self::BadControlType { cmsg_type } => {
                write!(f, "a SOL_TLS control message of type {cmsg_type}, not 1")
            }
            Self::EmptyControl => f.write_str("TLS_SET_RECORD_TYPE without its byte"),
            Self::NoRecordType => f.write_str("control messages, but none sets the record type"),
            Self::NoControlRoom { record_type } => {
                write!(
                    f,
                    "a record of content type {record_type} waits: receive it with room for a control message"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

/// Errnos by name; [`Errno::code`] is the number of the platform.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Errno {
    /// EAGAIN
    Again,
    /// EBADMSG
    BadMsg,
    /// EBUSY
    Busy,
    /// ECONNABORTED
    ConnAborted,
    /// ECONNRESET
    ConnReset,
    /// EEXIST
    Exist,
    /// EINVAL
    Inval,
    /// EIO
    Io,
    /// EKEYEXPIRED
    KeyExpired,
    /// EMSGSIZE
    MsgSize,
    /// ENOBUFS
    NoBufs,
    /// ENOENT
    NoEnt,
    /// ENOPROTOOPT
    NoProtoOpt,
    /// ENOSPC
    NoSpc,
    /// ENOTCONN
    NotConn,
    /// EOPNOTSUPP
    OpNotSupp,
    /// EPIPE
    Pipe,
    /// EPROTO
    Proto,
}

impl Errno {
    /// The number: Linux's on Linux, the BSD family's elsewhere (which lacks EKEYEXPIRED: Linux's 127).
    #[must_use]
    pub const fn code(self) -> i32 {
        let (linux, bsd) = match self {
            Self::Again => (11, 35),
            Self::BadMsg => (74, 94),
            Self::Busy => (16, 16),
            Self::ConnAborted => (103, 53),
            Self::ConnReset => (104, 54),
            Self::Exist => (17, 17),
            Self::Inval => (22, 22),
            Self::Io => (5, 5),
            Self::KeyExpired => (127, 127),
            Self::MsgSize => (90, 40),
            Self::NoBufs => (105, 55),
            Self::NoEnt => (2, 2),
            Self::NoProtoOpt => (92, 42),
            Self::NoSpc => (28, 28),
            Self::NotConn => (107, 57),
            Self::OpNotSupp => (95, 102),
            Self::Pipe => (32, 32),
            Self::Proto => (71, 100),
        };
        if cfg!(target_os = "linux") {
            linux
        } else {
            bsd
        }
    }
}

macro_rules! alerts {
    ($($name:ident = $code:literal $text:literal,)*) => {
        /// The alerts of RFC 8446 §6 that we send or name.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum Alert {
            $(#[doc = $text] $name = $code,)*
        }

        impl Alert {
            /// The alert with this code, if it has a name.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name in the RFC.
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
    NoApplicationProtocol = 120 "no_application_protocol",
}

impl Alert {
    /// The number on the wire.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_is_found_by_its_code() {
        for code in 0..=u8::MAX {
            if let Some(alert) = Alert::from_code(code) {
                assert_eq!(alert.code(), code, "{alert}");
            }
        }
        assert_eq!(Alert::from_code(47), Some(Alert::IllegalParameter));
    }

    #[test]
    fn only_what_the_peer_or_a_limit_caused_owes_an_alert() {
        for error in [
            Error::NoKey,
            Error::KeyExpired,
            Error::Truncated,
            Error::AlertReceived(40),
        ] {
            assert_eq!(error.alert(), None, "{error}");
        }
        assert_eq!(Error::BadTag.alert(), Some(Alert::BadRecordMac));
        assert_eq!(Error::BadTag.blame(), Blame::Peer);
    }
}
