//! The one error type; errno, alert and blame are total functions of it.

mod alert;
mod display;
mod errno;
mod total;

pub use alert::Alert;
pub use errno::Errno;

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
    /// More KeyUpdates in a row, without data between them, than the policy tolerates.
    KeyUpdateStorm { count: u32 },
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
    /// A setting of the environment that cannot be honoured.
    BadSetting {
        name: &'static str,
        value: &'static str,
        problem: &'static str,
    },
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
    /// A key that the object has or had: its record numbers would come again.
    KeyUsed,
    /// One secret for both directions.
    OneSecret,
    /// Content type 0 in TLS 1.3, where it is padding.
    NoRecordTypeZero,
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
    /// A control message of `SOL_SOCKET` that TCP does not know, or of the wrong length.
    BadSocketControl { cmsg_type: i32, len: usize },
    /// A control record and no room for its type.
    NoControlRoom { record_type: u8 },
    /// Splice moves data only.
    ControlSpliced { record_type: u8 },

    /// The 64-bit record sequence number has come to its end.
    SeqExhausted,
    /// The key has sealed as many records as it may (RFC 8446 §5.5).
    KeyExhausted { limit: u64 },
    /// Every key slot is taken.
    SlotsFull { capacity: usize },
    /// The system has no memory for what was asked for.
    NoMemory { bytes: usize },
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

impl std::error::Error for Error {}
