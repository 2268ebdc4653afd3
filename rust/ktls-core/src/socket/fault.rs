//! `sk_err`: one slot for what went wrong on its own, not in a call.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Errno, Error};

/// Why a call failed: a rule of TLS, or an errno that TCP gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallFault {
    /// The record layer.
    Tls(Error),
    /// TCP, by its errno.
    System(i32),
}

impl CallFault {
    /// The errno of the platform.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Tls(error) => error.errno().code(),
            Self::System(code) => code,
        }
    }

    /// EPIPE, the one error that a send consumes (`docs/kernel-rules.md`, S2.2-11).
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

/// The slot: a new fault replaces the old one; a receive and `SO_ERROR` empty it, a send does not.
///
/// The kernel has one for the record layer and TCP. Here TCP has a slot of its own, which nobody sees
/// change: who has the descriptor moves its error here, and asks [`SockError::take_tcp_outdated`] whether
/// that error is the older one.
#[derive(Debug, Default)]
pub struct SockError {
    slot: Mutex<Option<CallFault>>,
    tcp_outdated: AtomicBool,
}

impl SockError {
    /// Puts a fault in that came from outside: TCP may have told a later one since.
    pub fn set(&self, fault: impl Into<CallFault>) {
        *self.slot() = Some(fault.into());
    }

    /// Puts a fault in that arose in a call, so behind all that TCP has told.
    pub fn set_in_call(&self, fault: impl Into<CallFault>) {
        self.set(fault);
        self.outdate_tcp();
    }

    /// What TCP has told up to now is older than the fault in the slot.
    pub fn outdate_tcp(&self) {
        self.tcp_outdated.store(true, Ordering::Release);
    }

    /// True once after a fault that arose in a call: what TCP holds is to be dropped.
    #[must_use]
    pub fn take_tcp_outdated(&self) -> bool {
        // Most calls only look.
        self.tcp_outdated.load(Ordering::Acquire) && self.tcp_outdated.swap(false, Ordering::AcqRel)
    }

    /// Looks at the fault.
    #[must_use]
    pub fn peek(&self) -> Option<CallFault> {
        *self.slot()
    }

    /// Takes the fault out.
    #[must_use]
    pub fn take(&self) -> Option<CallFault> {
        self.slot().take()
    }

    /// Fails with the fault as a send does: only EPIPE is taken out.
    ///
    /// # Errors
    /// The fault.
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
