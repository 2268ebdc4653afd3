//! The flags and control messages of one call (`docs/kernel-rules.md`, S2.2 and S3.3).

use crate::error::Error;
use crate::socket::options::INT_LEN;

/// The value of `SOL_TLS`.
pub const SOL_TLS: i32 = 282;
/// The value of `TLS_SET_RECORD_TYPE`, a control message of sends.
pub const SET_RECORD_TYPE: i32 = 1;
/// The value of `TLS_GET_RECORD_TYPE`, a control message of receives.
pub const GET_RECORD_TYPE: i32 = 2;

/// The checked flags of a send call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SendFlags {
    /// Whether `MSG_MORE` is set: the last record stays open.
    pub more: bool,
    /// Whether `MSG_DONTWAIT` is set.
    pub dont_wait: bool,
}

impl SendFlags {
    /// Checks the flags of the call.
    ///
    /// # Errors
    /// - [`Error::BadFlags`] for a flag other than `MSG_MORE`, `MSG_DONTWAIT`, `MSG_NOSIGNAL` and
    ///   `MSG_EOR`.
    /// - [`Error::MoreAndEor`] for both `MSG_MORE` and `MSG_EOR`.
    pub const fn new(flags: u32) -> Result<Self, Error> {
        if flags & !(MORE | DONTWAIT | NOSIGNAL | EOR) != 0 {
            return Err(Error::BadFlags { flags });
        }
        if flags & MORE != 0 && flags & EOR != 0 {
            return Err(Error::MoreAndEor);
        }
        Ok(Self {
            more: flags & MORE != 0,
            dont_wait: flags & DONTWAIT != 0,
        })
    }
}

/// The flags of a receive call; all others are ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecvFlags {
    /// Whether `MSG_PEEK` is set.
    pub peek: bool,
    /// Whether `MSG_WAITALL` is set.
    pub wait_all: bool,
    /// Whether `MSG_DONTWAIT` is set.
    pub dont_wait: bool,
    /// Whether `MSG_ERRQUEUE` is set: the call reads the error queue of TCP.
    pub error_queue: bool,
}

impl RecvFlags {
    /// Reads the flags of the call.
    #[must_use]
    pub const fn new(flags: u32) -> Self {
        Self {
            peek: flags & PEEK != 0,
            wait_all: flags & WAITALL != 0,
            dont_wait: flags & DONTWAIT != 0,
            error_queue: flags & ERRQUEUE != 0,
        }
    }
}

/// One control message of a send call.
#[derive(Clone, Copy, Debug)]
pub struct SendControl<'a> {
    /// The value of `cmsg_level`.
    pub level: i32,
    /// The value of `cmsg_type`.
    pub kind: i32,
    /// The bytes behind the header.
    pub data: &'a [u8],
}

/// The result of the control messages of a send call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SendControls {
    /// Whether a message set a record type. This seals an open record, even if a later message is
    /// refused.
    pub end_open: bool,
    /// The record type that the last message set, or `None` if the call has no control message.
    pub record_type: Result<Option<u8>, Error>,
}

impl SendControls {
    /// Checks the messages in order. The first error is stored in `record_type`:
    ///
    /// - [`Error::BadControlType`] for a message of `SOL_TLS` other than `TLS_SET_RECORD_TYPE`.
    /// - [`Error::EmptyControl`] for a message without a byte of data.
    /// - [`Error::TypeWithMore`] for a record type in a call with `MSG_MORE`.
    /// - [`Error::NoRecordType`] if there are messages, and none of them is of `SOL_TLS`.
    pub fn new<'a>(controls: impl IntoIterator<Item = SendControl<'a>>, flags: SendFlags) -> Self {
        let (mut any, mut found) = (false, None);
        for control in controls {
            any = true;
            if control.level != SOL_TLS {
                continue;
            }
            match set_record_type(control, flags) {
                Ok(record_type) => found = Some(record_type),
                Err(error) => {
                    return Self {
                        end_open: found.is_some(),
                        record_type: Err(error),
                    };
                }
            }
        }
        Self {
            end_open: found.is_some(),
            record_type: if any && found.is_none() {
                Err(Error::NoRecordType)
            } else {
                Ok(found)
            },
        }
    }
}

/// Checks the control messages of a send in a direction without a key, which passes its bytes to
/// TCP.
///
/// TCP checks only messages of `SOL_SOCKET`.
///
/// # Errors
/// [`Error::BadSocketControl`] for a message of `SOL_SOCKET` that TCP would refuse.
pub fn check_plain<'a>(controls: impl IntoIterator<Item = SendControl<'a>>) -> Result<(), Error> {
    let refused = |control: &SendControl<'_>| {
        let len = control.data.len();
        let taken = match control.kind {
            SCM_RIGHTS | SCM_CREDENTIALS => true,
            SO_PRIORITY | SO_MARK | SO_TIMESTAMPING_OLD | SO_TIMESTAMPING_NEW | SCM_TS_OPT_ID => {
                len == INT_LEN
            }
            SCM_TXTIME => len == 2 * INT_LEN,
            _ => false,
        };
        control.level == SOL_SOCKET && !taken
    };
    match controls.into_iter().find(refused) {
        None => Ok(()),
        Some(control) => Err(Error::BadSocketControl {
            cmsg_type: control.kind,
            len: control.data.len(),
        }),
    }
}

/// The level of options and control messages that every socket has.
pub const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const SCM_CREDENTIALS: i32 = 2;
const SO_PRIORITY: i32 = 12;
const SO_MARK: i32 = 36;
const SO_TIMESTAMPING_OLD: i32 = 37;
const SCM_TXTIME: i32 = 61;
const SO_TIMESTAMPING_NEW: i32 = 65;
const SCM_TS_OPT_ID: i32 = 81;

/// Returns the record type that one message sets.
fn set_record_type(control: SendControl<'_>, flags: SendFlags) -> Result<u8, Error> {
    if control.kind != SET_RECORD_TYPE {
        return Err(Error::BadControlType {
            cmsg_type: control.kind,
        });
    }
    let &record_type = control.data.first().ok_or(Error::EmptyControl)?;
    if flags.more {
        return Err(Error::TypeWithMore);
    }
    Ok(record_type)
}

/// How much of the control message of a receive fits into the caller's buffer
/// (`docs/kernel-rules.md`, S3.3-5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlRoom {
    /// Nothing: the header does not fit.
    None,
    /// The header without the content type.
    Header,
    /// The whole message.
    Full,
}

impl ControlRoom {
    /// Returns the value for a buffer of `len` bytes, the value of `msg_controllen`.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        match len {
            0..CMSG_HEADER_LEN => Self::None,
            CMSG_HEADER_LEN => Self::Header,
            _ => Self::Full,
        }
    }
}

/// The value of `CMSG_LEN(0)`. A whole message has one byte more, the content type; room for its
/// padding is not needed (`docs/kernel-rules.md`, S3.3-5).
const CMSG_HEADER_LEN: usize = 16;

/// The value of `MSG_PEEK`.
pub const PEEK: u32 = 0x2;
/// The value of `MSG_CTRUNC`.
pub const CTRUNC: u32 = 0x8;
/// The value of `MSG_DONTWAIT`.
pub const DONTWAIT: u32 = 0x40;
/// The value of `MSG_EOR`.
pub const EOR: u32 = 0x80;
/// The value of `MSG_WAITALL`.
pub const WAITALL: u32 = 0x100;
/// The value of `MSG_ERRQUEUE`.
pub const ERRQUEUE: u32 = 0x2000;
/// The value of `MSG_NOSIGNAL`.
pub const NOSIGNAL: u32 = 0x4000;
/// The value of `MSG_MORE`.
pub const MORE: u32 = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;

    fn control(kind: i32, data: &[u8]) -> SendControl<'_> {
        SendControl {
            level: SOL_TLS,
            kind,
            data,
        }
    }

    #[test]
    fn only_four_flags_are_accepted() {
        for bit in 0..32 {
            let flags = 1_u32 << bit;
            let taken = [MORE, DONTWAIT, NOSIGNAL, EOR].contains(&flags);
            assert_eq!(SendFlags::new(flags).is_ok(), taken, "{flags:#x}");
        }
        assert_eq!(SendFlags::new(MORE | EOR), Err(Error::MoreAndEor));
    }

    #[test]
    fn the_last_type_counts_and_every_message_is_checked() {
        let plain = SendFlags::default();
        let more = SendFlags {
            more: true,
            ..plain
        };
        let other = SendControl {
            level: 1,
            kind: 1,
            data: b"",
        };
        for (controls, flags, want) in [
            (vec![], plain, Ok(None)),
            (vec![], more, Ok(None)),
            (vec![control(1, &[22, 1, 2])], plain, Ok(Some(22))),
            (
                vec![control(1, &[21]), control(1, &[22])],
                plain,
                Ok(Some(22)),
            ),
            (vec![other, control(1, &[0])], plain, Ok(Some(0))),
            (vec![other], plain, Err(Error::NoRecordType)),
            (vec![control(1, &[])], plain, Err(Error::EmptyControl)),
            (vec![control(1, &[23])], more, Err(Error::TypeWithMore)),
            (
                vec![control(1, &[21]), control(3, &[22])],
                plain,
                Err(Error::BadControlType { cmsg_type: 3 }),
            ),
        ] {
            let asked = SendControls::new(controls.clone(), flags);
            assert_eq!(asked.record_type, want, "{controls:?}");
        }
    }

    #[test]
    fn a_good_type_in_front_of_a_bad_message_ends_an_open_record() {
        let plain = SendFlags::default();
        let bad = [control(1, &[]), control(3, &[22])];
        for bad in bad {
            let behind = SendControls::new([control(1, &[21]), bad], plain);
            assert!(behind.end_open && behind.record_type.is_err(), "{bad:?}");
            let in_front = SendControls::new([bad, control(1, &[21])], plain);
            assert!(
                !in_front.end_open && in_front.record_type.is_err(),
                "{bad:?}"
            );
        }
        assert!(!SendControls::new([], plain).end_open);
    }

    #[test]
    fn without_a_key_only_socket_messages_are_checked() {
        let message = |level, kind, data| SendControl { level, kind, data };
        for (control, taken) in [
            (message(SOL_SOCKET, 99, &b""[..]), false),
            (message(SOL_SOCKET, 0, b""), false),
            (message(SOL_SOCKET, SO_MARK, b"123"), false),
            (message(SOL_SOCKET, SO_MARK, b"1234"), true),
            (message(SOL_SOCKET, SCM_RIGHTS, b"1234"), true),
            (message(SOL_TLS, 3, b""), true),
            (message(0, 99, b""), true),
        ] {
            assert_eq!(check_plain([control]).is_ok(), taken, "{control:?}");
        }
    }

    #[test]
    fn seventeen_bytes_are_enough_for_a_control_message() {
        let rooms = [0, 15, 16, 17, 24].map(ControlRoom::new);
        let (none, header, full) = (ControlRoom::None, ControlRoom::Header, ControlRoom::Full);
        assert_eq!(rooms, [none, none, header, full, full]);
    }
}
