//! `sk_err`: one slot for an error that did not arise in a call, or that outlives its call.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Errno, Error};

/// Why a call failed: an error of the record layer, or an errno of TCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallFault {
    /// An error of the record layer.
    Tls(Error),
    /// An error of TCP, by its errno.
    System(i32),
}

impl CallFault {
    /// Returns the errno of the platform.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Tls(error) => error.errno().code(),
            Self::System(code) => code,
        }
    }

    /// Returns `true` for EPIPE, the only error that a send takes out (`docs/kernel-rules.md`,
    /// S2.2-11).
    #[must_use]
    pub const fn is_pipe(self) -> bool {
        self.code() == Errno::Pipe.code()
    }
}

impl From<Error> for CallFault {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::System(code) => write!(f, "errno {code}"),
        }
    }
}

/// A slot for one error. A new error replaces the old one. A receive and `SO_ERROR` empty the slot;
/// a send does not, except for EPIPE.
///
/// The kernel has one slot for the record layer and TCP. Here TCP has a slot of its own, whose
/// changes cannot be observed. The owner of the descriptor moves TCP's error here, and drops it if
/// [`SockError::take_tcp_outdated`] returns `true`, since it is older than the error in the slot.
#[derive(Debug, Default)]
pub struct SockError {
    slot: Mutex<Option<CallFault>>,
    /// The error in the slot is later than that of TCP, and the owner of the descriptor does not
    /// know yet.
    tcp_outdated: AtomicBool,
}

impl SockError {
    /// Stores an error that did not arise in a call. TCP may have a later one.
    pub fn set(&self, fault: impl Into<CallFault>) {
        *self.slot() = Some(fault.into());
    }

    /// Stores an error that arose in a call, and is therefore later than any error of TCP.
    pub fn set_in_call(&self, fault: impl Into<CallFault>) {
        self.set(fault);
        self.outdate_tcp();
    }

    /// Marks the current error of TCP as older than the error in the slot.
    pub fn outdate_tcp(&self) {
        self.tcp_outdated.store(true, Ordering::Release);
    }

    /// Returns `true` once after [`SockError::outdate_tcp`]: the current error of TCP is to be
    /// dropped.
    #[must_use]
    pub fn take_tcp_outdated(&self) -> bool {
        // A load is cheaper than a swap, and the flag is rarely set.
        self.tcp_outdated.load(Ordering::Acquire) && self.tcp_outdated.swap(false, Ordering::AcqRel)
    }

    /// Returns the error and leaves it in the slot.
    #[must_use]
    pub fn peek(&self) -> Option<CallFault> {
        *self.slot()
    }

    /// Takes the error out of the slot.
    #[must_use]
    pub fn take(&self) -> Option<CallFault> {
        self.slot().take()
    }

    /// Checks that the slot is empty, as a send does: only EPIPE is taken out.
    ///
    /// # Errors
    /// The error in the slot.
    pub fn check_send(&self) -> Result<(), CallFault> {
        let mut slot = self.slot();
        match *slot {
            None => Ok(()),
            Some(fault) => {
                slot.take_if(|fault| fault.is_pipe());
                Err(fault)
            }
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<CallFault>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_leaves_every_fault_but_epipe() {
        let slot = SockError::default();
        assert_eq!(slot.check_send(), Ok(()));
        slot.set(Error::BadTag);
        assert_eq!(slot.check_send(), Err(CallFault::Tls(Error::BadTag)));
        assert_eq!(slot.check_send(), Err(CallFault::Tls(Error::BadTag)));
        slot.set(CallFault::System(32));
        assert_eq!(slot.check_send(), Err(CallFault::System(32)));
        assert_eq!(slot.check_send(), Ok(()));
    }

    #[test]
    fn the_slot_holds_the_newest_and_is_read_once() {
        let slot = SockError::default();
        slot.set(Error::BadTag);
        slot.set(CallFault::System(104));
        assert_eq!(slot.peek(), Some(CallFault::System(104)));
        assert_eq!(slot.take(), Some(CallFault::System(104)));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn a_fault_of_a_call_outdates_tcp_once() {
        let slot = SockError::default();
        slot.set(Error::BadTag);
        assert!(!slot.take_tcp_outdated());
        slot.set_in_call(Error::BadTag);
        assert!(slot.take_tcp_outdated());
        assert!(!slot.take_tcp_outdated());
    }
}
