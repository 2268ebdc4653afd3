//! The error type of the crate. errno, alert and blame are functions of it.

mod alert;
mod classification;
mod display;
mod errno;

pub use alert::Alert;
pub use errno::Errno;

/// The reason why something was refused or failed. It never contains key or plaintext bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are the numbers that the variant's sentence names"
)]
pub enum Error {
    /// The tag does not match.
    BadTag,
    /// The length in a record header is over the limit.
    RecordTooLong { len: usize, max: usize },
    /// The length in a record header leaves no room for nonce and tag.
    RecordTooShort { len: usize, min: usize },
    /// The version in a record header is not 0x0303.
    BadRecordVersion { version: u16 },
    /// The buffer does not contain exactly one record.
    NotOneRecord { len: usize },
    /// The inner plaintext has no content type: it is empty or all zeros.
    NoContentType,
    /// The inner plaintext is longer than 2^14 + 1 bytes (RFC 8446 §5.4).
    PlaintextTooLong { len: usize, max: usize },
    /// A record of this content type is not allowed here.
    UnexpectedRecord { record_type: u8 },
    /// A handshake message of this type is not allowed here.
    UnexpectedMessage { message_type: u8 },
    /// A handshake or alert record has no content.
    EmptyFragment { record_type: u8 },
    /// A record of another content type arrived inside a handshake message (RFC 8446 §5.1).
    Interleaved { record_type: u8 },
    /// Handshake bytes follow a KeyUpdate in its record (RFC 8446 §5.1).
    DataAfterKeyUpdate,
    /// The length of a KeyUpdate is not 1.
    BadKeyUpdateLength { len: usize },
    /// The `request_update` of a KeyUpdate is neither 0 nor 1.
    BadKeyUpdateValue { value: u8 },
    /// The peer sent more KeyUpdates without data between them than the policy allows.
    KeyUpdateStorm { count: u32 },
    /// A handshake message is longer than we accept.
    HandshakeTooLong { len: usize, max: usize },
    /// A session ticket does not parse.
    BadTicket,
    /// An alert is not two bytes long.
    BadAlertLength { len: usize },
    /// The peer ended the connection with this alert.
    AlertReceived(u8),
    /// The stream ended without close_notify.
    Truncated,

    /// No key is installed in this direction.
    NoKey,
    /// A KeyUpdate was received and the next key is not installed.
    KeyExpired,
    /// The version is neither 0x0303 nor 0x0304.
    UnknownVersion { version: u16 },
    /// The kernel has no cipher with this number.
    UnknownCipher { cipher_type: u16 },
    /// There is no TLS 1.3 suite with this number.
    UnknownSuite { suite: u16 },
    /// There is no TLS 1.2 suite with this number whose keys can be derived.
    UnknownSuite12 { suite: u16 },
    /// There is no implementation of the cipher.
    CipherMissing { cipher: &'static str },
    /// An environment variable has a value that cannot be used.
    BadSetting {
        name: &'static str,
        value: &'static str,
        problem: &'static str,
    },
    /// The kernel has this cipher in TLS 1.2 only.
    CipherNotIn13 { cipher: &'static str },
    /// A key, iv, salt, secret or struct has the wrong length.
    BadLength {
        what: &'static str,
        len: usize,
        want: usize,
    },
    /// A rekey would change the version or the cipher.
    RekeyMismatch {
        what: &'static str,
        installed: u16,
        given: u16,
    },
    /// The object uses or has used this key, so record numbers would repeat.
    KeyUsed,
    /// Both directions have the same secret.
    OneSecret,
    /// Content type 0, which means padding in TLS 1.3.
    NoRecordTypeZero,
    /// A key update in TLS 1.2, which has none.
    NoRekeyIn12,
    /// The plaintext does not fit in one record.
    FragmentTooLong { len: usize, max: usize },
    /// The output buffer is too small.
    NoRoom { need: usize, have: usize },
    /// A piece is not inside its buffer.
    PieceOutside {
        index: usize,
        offset: i64,
        length: i64,
        len: usize,
    },
    /// A send after close_notify.
    SendClosed,
    /// A part of a handshake message of the peer was received, so its stream cannot be handed over.
    MessageIncomplete,
    /// The connection has failed before. The first call that failed returned the reason.
    Dead,
    /// The key of this slot was deleted or replaced.
    StaleSlot { index: usize },

    /// There is no ULP with this name.
    UnknownUlp,
    /// The ULP name is empty.
    NoUlpName,
    /// The socket already has a ULP.
    UlpAttached,
    /// The socket is not connected, which the ULP needs.
    NotEstablished,
    /// The socket is of a kind that does not support the ULP.
    NotTcp,
    /// A TLS option was set on a socket without the ULP.
    NoUlp,
    /// A TLS option was read from a socket without the ULP, or the ULP was requested for a Unix
    /// socket.
    UlpUnsupported,
    /// There is no such option.
    UnknownOption { optname: i32 },
    /// The value of an option is out of range.
    BadOption {
        what: &'static str,
        value: u32,
        least: u32,
        most: u32,
    },
    /// The option is only for a TLS 1.3 receiver that has its key.
    OptionNotNow { what: &'static str },
    /// The option cannot change while a record is open.
    OpenRecord { len: usize },
    /// The other direction of the socket has another version or cipher.
    DirectionsDiffer {
        what: &'static str,
        installed: u16,
        given: u16,
    },
    /// A send does not accept these flags.
    BadFlags { flags: u32 },
    /// A call must not both keep a record open and end it.
    MoreAndEor,
    /// A record with a content type cannot be kept open.
    TypeWithMore,
    /// The type of a TLS control message is not `TLS_SET_RECORD_TYPE`.
    BadControlType { cmsg_type: i32 },
    /// A `TLS_SET_RECORD_TYPE` message has no byte.
    EmptyControl,
    /// There are control messages, but none sets the record type.
    NoRecordType,
    /// A `SOL_SOCKET` control message is unknown to TCP, or has the wrong length.
    BadSocketControl { cmsg_type: i32, len: usize },
    /// The next record is a control record, and the caller has no room for its type.
    NoControlRoom { record_type: u8 },
    /// The next record is a control record, which splice does not move.
    ControlSpliced { record_type: u8 },

    /// All 64-bit record sequence numbers are used up.
    SeqExhausted,
    /// The key has sealed as many records as it may (RFC 8446 §5.5).
    KeyExhausted { limit: u64 },
    /// The session has changed its key as often as it may (RFC 9846 §4.7.3).
    KeyUpdatesExhausted,
    /// All key slots are in use.
    SlotsFull { capacity: usize },
    /// The system has no memory for a request.
    NoMemory { bytes: usize },
}

/// Who caused an error, which decides what follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The peer broke a rule. It gets an alert.
    Peer,
    /// The caller misused the interface. No alert is sent and nothing has changed.
    Caller,
    /// A limit was reached.
    Limit,
}

impl std::error::Error for Error {}
