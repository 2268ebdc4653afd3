//! Error messages: lower case, without a full stop, with the values, and never with a key or
//! plaintext.

use std::fmt;

use crate::error::{Alert, Error};

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
                write!(f, "unexpected record of content type {record_type}")
            }
            Self::UnexpectedMessage { message_type } => {
                write!(f, "unexpected handshake message of type {message_type}")
            }
            Self::EmptyFragment { record_type } => {
                write!(f, "a record of content type {record_type} has no content")
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
            Self::KeyUpdateStorm { count } => {
                write!(
                    f,
                    "{count} KeyUpdates without application data between them (see key_update_limit)"
                )
            }
            Self::HandshakeTooLong { len, max } => {
                write!(
                    f,
                    "a handshake message of {len} bytes, at most {max} are accepted"
                )
            }
            Self::BadTicket => f.write_str("a NewSessionTicket does not parse"),
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
            Self::UnknownSuite12 { suite } => write!(
                f,
                "suite {suite:#06x} is not a TLS 1.2 suite with an ephemeral key exchange and an AEAD of the kernel"
            ),
            Self::UnknownSuite { suite } => write!(f, "suite {suite:#06x} is not a TLS 1.3 suite"),
            Self::CipherMissing { cipher } => write!(f, "{cipher} has no implementation here"),
            Self::BadSetting {
                name,
                value,
                problem,
            } => write!(f, "{name} is {value:?}: {problem}"),
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
                    "a rekey keeps the {what}: {installed:#06x} is installed, not {given:#06x}"
                )
            }
            Self::KeyUsed => f.write_str(
                "this key is in use here or was before: its record numbers would repeat",
            ),
            Self::OneSecret => f.write_str(
                "both directions have the same secret: each needs its own, or nonces repeat",
            ),
            Self::NoRecordTypeZero => f.write_str(
                "content type 0 is padding in TLS 1.3: the last data byte would be the type",
            ),
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
            Self::SendClosed => f.write_str("close_notify has been sent: nothing more can be sent"),
            Self::MessageIncomplete => f.write_str(
                "a handshake message of the peer is not complete: read until the rest has arrived",
            ),
            Self::Dead => f.write_str("the connection has failed before"),
            Self::StaleSlot { index } => write!(f, "key slot {index} was deleted or replaced"),
            Self::SeqExhausted => f.write_str("the record sequence numbers are used up"),
            Self::KeyExhausted { limit } => {
                write!(f, "the key has sealed {limit} records, its limit: rekey")
            }
            Self::KeyUpdatesExhausted => {
                f.write_str("the key was updated 2**48 - 1 times, the limit of a connection")
            }
            Self::SlotsFull { capacity } => write!(f, "all {capacity} key slots are taken"),
            Self::NoMemory { bytes } => write!(f, "there is no memory for {bytes} bytes"),
            Self::UnknownUlp => f.write_str("the only upper layer protocol here is \"tls\""),
            Self::NoUlpName => f.write_str("the name of the upper layer protocol is empty"),
            Self::UlpAttached => f.write_str("the socket already has an upper layer protocol"),
            Self::NotEstablished => {
                f.write_str("the connection is not established, or is being closed")
            }
            Self::NotTcp => f.write_str("only a TCP socket supports the upper layer protocol"),
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
                write!(f, "{what} is only for a TLS 1.3 receiver that has its key")
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
                    "the other direction has {what} {installed:#06x}, not {given:#06x}"
                )
            }
            Self::BadFlags { flags } => write!(f, "a send does not accept the flags {flags:#x}"),
            Self::MoreAndEor => f.write_str("MSG_MORE and MSG_EOR exclude each other"),
            Self::TypeWithMore => {
                f.write_str("a record with a type cannot be kept open (MSG_MORE)")
            }
            Self::BadControlType { cmsg_type } => {
                write!(f, "a SOL_TLS control message of type {cmsg_type}, not 1")
            }
            Self::EmptyControl => f.write_str("TLS_SET_RECORD_TYPE has no byte"),
            Self::BadSocketControl { cmsg_type, len } => write!(
                f,
                "TCP does not accept a SOL_SOCKET control message of type {cmsg_type} with {len} bytes"
            ),
            Self::NoRecordType => {
                f.write_str("there are control messages, but none sets the record type")
            }
            Self::ControlSpliced { record_type } => {
                write!(
                    f,
                    "splice does not move a record of content type {record_type}"
                )
            }
            Self::NoControlRoom { record_type } => {
                write!(
                    f,
                    "a record of content type {record_type} is next: receive it with room for a control message"
                )
            }
        }
    }
}
