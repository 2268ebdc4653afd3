//! `sk_err`: one slot for what went wrong on its own, not in a call.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Errno, Error};

/// Why a call failed: a rule of TLS, or an errno that TCP gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The record layer.
    Tls(Error),
    /// TCP, by its errno.
    System(i32),
}

impl Fault {
    /// The errno of the platform.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Tls(error) => error.errno().code(),
            Self::System(code) => code,
        }
    }

    /// EPIPE, the one error that a send consumes (spec 2.2).
    #[must_use]
    pub const fn is_pipe(self) -> bool {
        self.code() == Errno::Pipe.code()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::System(code) => write!(f, "errno {code}"),
        }
    }
}

/// The slot: a new fault replaces the old one; a receive and `SO_ERROR` empty it, a send does not.
#[derive(Debug, Default)]
pub struct SockError(Mutex<Option<Fault>>);

impl SockError {
    /// Puts a fault in.
    pub fn set(&self, fault: impl Into<Fault>) {
        *self.slot() = Some(fault.into());
    }

    /// Looks at the fault.
    #[must_use]
    pub fn peek(&self) -> Option<Fault> {
        *self.slot()
    }

    /// Takes the fault out.
    #[must_use]
    pub fn take(&self) -> Option<Fault> {
        self.slot().take()
    }

    /// Fails with the fault as a send does: only EPIPE is taken out.
    ///
    /// # Errors
    /// The fault.
    pub fn check_send(&self) -> Result<(), Fault> {
        let mut slot = self.slot();
        match *slot {
            None => Ok(()),
            Some(fault) => {
                slot.take_if(|fault| fault.is_pipe());
                Err(fault)
            }
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(slot.check_send(), Err(Fault::Tls(Error::BadTag)));
        assert_eq!(slot.check_send(), Err(Fault::Tls(Error::BadTag)));
        slot.set(Fault::System(32));
        assert_eq!(slot.check_send(), Err(Fault::System(32)));
        assert_eq!(slot.check_send(), Ok(()));
    }

    #[test]
    fn the_slot_holds_the_newest_and_is_read_once() {
        let slot = SockError::default();
        slot.set(Error::BadTag);
        slot.set(Fault::System(104));
        assert_eq!(slot.peek(), Some(Fault::System(104)));
        assert_eq!(slot.take(), Some(Fault::System(104)));
        assert_eq!(slot.take(), None);
    }
}
