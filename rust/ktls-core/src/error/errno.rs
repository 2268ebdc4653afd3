//! Error numbers of the operating system.

/// Error numbers by name. [`Errno::code`] returns the number.
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
    /// EISCONN
    IsConn,
    /// EKEYEXPIRED
    KeyExpired,
    /// EMSGSIZE
    MsgSize,
    /// ENOBUFS
    NoBufs,
    /// ENODEV
    NoDev,
    /// ENOENT
    NoEnt,
    /// ENOMEM
    NoMem,
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
    /// ETIMEDOUT
    TimedOut,
}

impl Errno {
    /// Returns the number: Linux's on Linux, that of the BSDs elsewhere. The BSDs have no
    /// EKEYEXPIRED; it is 127 there, as on Linux.
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
            Self::IsConn => (106, 56),
            Self::KeyExpired => (127, 127),
            Self::MsgSize => (90, 40),
            Self::NoBufs => (105, 55),
            Self::NoDev => (19, 19),
            Self::NoEnt => (2, 2),
            Self::NoMem => (12, 12),
            Self::NoProtoOpt => (92, 42),
            Self::NoSpc => (28, 28),
            Self::NotConn => (107, 57),
            Self::OpNotSupp => (95, 102),
            Self::Pipe => (32, 32),
            Self::Proto => (71, 100),
            Self::TimedOut => (110, 60),
        };
        if cfg!(target_os = "linux") {
            linux
        } else {
            bsd
        }
    }
}
