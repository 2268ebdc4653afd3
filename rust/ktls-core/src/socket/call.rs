//! What one call asks for: flags and control messages (`docs/kernel-rules.md`, S2.2 and S3.3).

use crate::error::Error;
use crate::socket::options::INT_LEN;

/// `SOL_TLS`
pub const SOL_TLS: i32 = 282;
/// `TLS_SET_RECORD_TYPE`, on send.
pub const SET_RECORD_TYPE: i32 = 1;
/// `TLS_GET_RECORD_TYPE`, on receive.
pub const GET_RECORD_TYPE: i32 = 2;

/// The flags of a send call, checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SendFlags {
    /// `MSG_MORE`: the last record stays open.
    pub more: bool,
    /// `MSG_DONTWAIT`
    pub dont_wait: bool,
}

impl SendFlags {
    /// Checks what the caller gave.
    ///
    /// # Errors
    /// [`Error::BadFlags`], [`Error::MoreAndEor`]
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
    /// `MSG_PEEK`
    pub peek: bool,
    /// `MSG_WAITALL`
    pub wait_all: bool,
    /// `MSG_DONTWAIT`
    pub dont_wait: bool,
    /// `MSG_ERRQUEUE`: TCP's own queue, not ours.
    pub error_queue: bool,
}

impl RecvFlags {
    /// Reads what the caller gave.
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
    /// `cmsg_level`
    pub level: i32,
    /// `cmsg_type`
    pub kind: i32,
    /// What follows the header.
    pub data: &'a [u8],
}

/// What the control messages of a send call ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SendControls {
    /// One set a record type, which ends an open record even if a later one is refused.
    pub end_open: bool,
    /// The record type that they set: none only if there are none at all.
    pub record_type: Result<Option<u8>, Error>,
}

impl SendControls {
    /// Checks them in turn. The errors are [`Error::BadControlType`], [`Error::EmptyControl`],
    /// [`Error::TypeWithMore`] and [`Error::NoRecordType`].
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

/// Checks the control messages of a send that TCP gets as it is: a direction without a key.
///
/// TCP looks at those of `SOL_SOCKET` only.
///
/// # Errors
/// [`Error::BadSocketControl`]
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

/// How much of a received control message fits into the caller's room, in bytes
/// (`docs/kernel-rules.md`, S3.3-5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlRoom {
    /// Not even the header.
    None,
    /// The header without the type.
    Header,
    /// All of it.
    Full,
}

impl ControlRoom {
    /// From `msg_controllen`.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        match len {
            0..CMSG_HEADER_LEN => Self::None,
            CMSG_HEADER_LEN => Self::Header,
            _ => Self::Full,
        }
    }
}

/// `CMSG_LEN(0)`; the type makes it one byte more, and no padding is asked for
/// (`docs/kernel-rules.md`, S3.3-5).
const CMSG_HEADER_LEN: usize = 16;

/// `MSG_PEEK`
pub const PEEK: u32 = 0x2;
/// `MSG_CTRUNC`
pub const CTRUNC: u32 = 0x8;
/// `MSG_DONTWAIT`
pub const DONTWAIT: u32 = 0x40;
/// `MSG_EOR`
pub const EOR: u32 = 0x80;
/// `MSG_WAITALL`
pub const WAITALL: u32 = 0x100;
/// `MSG_ERRQUEUE`
pub const ERRQUEUE: u32 = 0x2000;
/// `MSG_NOSIGNAL`
pub const NOSIGNAL: u32 = 0x4000;
/// `MSG_MORE`
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
    fn only_five_flags_are_taken() {
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
    fn without_a_key_only_the_messages_of_sockets_are_looked_at() {
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
    fn seventeen_bytes_are_room_enough() {
        let rooms = [0, 15, 16, 17, 24].map(ControlRoom::new);
        let (none, header, full) = (ControlRoom::None, ControlRoom::Header, ControlRoom::Full);
        assert_eq!(rooms, [none, none, header, full, full]);
    }
}
