//! One receive call: its arguments and its result so far (`docs/kernel-rules.md`, S3.3).

use crate::error::Error;
use crate::socket::CallFault;
use crate::socket::call::{CTRUNC, ControlRoom, EOR, RecvFlags};
use crate::wire::ContentType;

/// A receive call in progress: its arguments, and its result so far.
#[derive(Debug)]
pub struct ReceiveCall {
    flags: RecvFlags,
    room: ControlRoom,
    /// The number of bytes at which the call returns instead of waiting.
    target: usize,
    /// The number of bytes copied.
    got: usize,
    /// The content type of the first record.
    record_type: Option<u8>,
    end_of_record: bool,
    /// Whether the call has met more than one record.
    several: bool,
    /// Whether the call ends before a record that does not fit.
    whole: bool,
}

/// The result of a receive call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReceiveResult {
    /// The number of bytes of plaintext.
    pub len: usize,
    /// The content type for the control message. `None` if no record was delivered.
    pub record_type: Option<u8>,
    /// The value of `MSG_EOR`: whether a record was delivered to its end.
    pub end_of_record: bool,
    room: ControlRoom,
}

/// Which call delivers a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RecordAdmission {
    /// The call in progress.
    ThisCall,
    /// A later call, because the content type is not that of the records delivered before.
    LaterCall,
}

impl ReceiveResult {
    /// Returns the data of the `TLS_GET_RECORD_TYPE` message, as much as fits into the caller's
    /// buffer. Returns `None` if there is no message, or its header does not fit.
    #[must_use]
    pub fn control(&self) -> Option<Vec<u8>> {
        match self.room {
            ControlRoom::None => None,
            ControlRoom::Header => self.record_type.map(|_| Vec::new()),
            ControlRoom::Full => self.record_type.map(|kind| vec![kind]),
        }
    }

    /// Returns the value of `msg_flags`.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        let eor = if self.end_of_record { EOR } else { 0 };
        match (self.record_type, self.room) {
            (Some(_), ControlRoom::None | ControlRoom::Header) => eor | CTRUNC,
            (Some(_), ControlRoom::Full) | (None, _) => eor,
        }
    }
}

impl ReceiveCall {
    /// Begins a call for up to `len` bytes. `low_water` is the value of `SO_RCVLOWAT`.
    #[must_use]
    pub fn new(flags: RecvFlags, room: ControlRoom, len: usize, low_water: usize) -> Self {
        let target = if flags.wait_all {
            len
        } else {
            low_water.min(len).max(1)
        };
        Self {
            flags,
            room,
            target,
            got: 0,
            record_type: None,
            end_of_record: false,
            several: false,
            whole: false,
        }
    }

    /// Makes the call end before a record that does not fit behind others, so that no plaintext has
    /// to be copied.
    #[must_use]
    pub const fn whole_records(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// Returns `true` once the call has enough bytes to return, although more would fit.
    #[must_use]
    pub const fn has_enough(&self) -> bool {
        self.got >= self.target
    }

    /// Returns the result of the call if it ends now.
    #[must_use]
    pub fn received(&self) -> ReceiveResult {
        ReceiveResult {
            len: self.got,
            record_type: self.record_type,
            end_of_record: self.end_of_record,
            room: self.room,
        }
    }

    /// Ends the call at `fault`. Data comes before errors: a call that has copied bytes returns
    /// them.
    ///
    /// # Errors
    /// `fault`, if no byte was copied.
    pub fn end(&self, fault: impl Into<CallFault>) -> Result<(), CallFault> {
        if self.got > 0 {
            Ok(())
        } else {
            Err(fault.into())
        }
    }

    /// Returns `true` if a record that does not fit is left to the next call.
    pub(super) const fn leaves_cut_records(&self) -> bool {
        self.whole && self.has_copied()
    }

    /// Returns `true` for a call with `MSG_PEEK`.
    pub(super) const fn peeks(&self) -> bool {
        self.flags.peek
    }

    /// Returns `true` once the call has copied bytes.
    #[must_use]
    pub const fn has_copied(&self) -> bool {
        self.got > 0
    }

    /// Returns `true` if the first record of the call is a control record.
    pub(super) fn is_control(&self) -> bool {
        self.record_type
            .is_some_and(|kind| kind != ContentType::APPLICATION_DATA.0)
    }

    /// Returns `true` once the call has met more than one record.
    #[must_use]
    pub const fn has_met_several(&self) -> bool {
        self.several
    }

    /// Counts `len` bytes that were copied to the caller.
    pub fn add(&mut self, len: usize) {
        self.got += len;
    }

    /// Notes that a record was delivered to its end.
    pub(super) fn finish_record(&mut self) {
        self.end_of_record = true;
    }

    /// Decides whether this call may deliver a record of this type. A call delivers only records of
    /// the type of its first record.
    ///
    /// # Errors
    /// - [`Error::NoContentType`] for type 0.
    /// - [`Error::NoControlRoom`] for a control record if the caller's buffer has no room for a
    ///   control message.
    pub(super) fn admit_record(&mut self, record_type: u8) -> Result<RecordAdmission, Error> {
        if let Some(first) = self.record_type {
            self.several = true;
            return Ok(if first == record_type {
                RecordAdmission::ThisCall
            } else {
                RecordAdmission::LaterCall
            });
        }
        if record_type == 0 {
            return Err(Error::NoContentType);
        }
        self.record_type = Some(record_type);
        if self.is_control() && self.room != ControlRoom::Full {
            return Err(Error::NoControlRoom { record_type });
        }
        Ok(RecordAdmission::ThisCall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_water_mark_is_at_most_the_length_and_at_least_one() {
        let plain = RecvFlags::default();
        let all = RecvFlags {
            wait_all: true,
            ..plain
        };
        for (flags, len, low_water, target) in [
            (plain, 10, 1, 1),
            (plain, 10, 8, 8),
            (plain, 5, 8, 5),
            (plain, 5, 0, 1),
            (all, 10, 1, 10),
        ] {
            let call = ReceiveCall::new(flags, ControlRoom::Full, len, low_water);
            assert_eq!(call.target, target, "{flags:?} {len} {low_water}");
        }
    }

    #[test]
    fn the_first_type_decides_and_control_needs_room() {
        for room in [ControlRoom::None, ControlRoom::Header, ControlRoom::Full] {
            let fits = room == ControlRoom::Full;
            let call = || ReceiveCall::new(RecvFlags::default(), room, 10, 1);

            let mut data = call();
            assert_eq!(data.admit_record(23), Ok(RecordAdmission::ThisCall));
            assert_eq!(data.received().flags() & CTRUNC == 0, fits);
            assert_eq!(data.received().control() == Some(vec![23]), fits);
            assert_eq!(data.admit_record(22), Ok(RecordAdmission::LaterCall));

            let want = if fits {
                Ok(RecordAdmission::ThisCall)
            } else {
                Err(Error::NoControlRoom { record_type: 22 })
            };
            assert_eq!(call().admit_record(22), want);
            assert_eq!(call().admit_record(0), Err(Error::NoContentType));
        }
    }
}
