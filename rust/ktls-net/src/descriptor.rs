//! A descriptor that can be closed while other threads use it, and exclusive turns of reading and
//! writing.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::io::Errno;

use crate::fork::{CountedCall, Ownership};
use crate::mutex::lock;
use crate::wait::SIGNAL_CHECK_INTERVAL;
use crate::{NetError, Wait};

/// An open descriptor. It is closed when the last call that uses it has returned.
#[derive(Debug)]
pub(crate) struct SharedFd {
    fd: Mutex<Option<Arc<OwnedFd>>>,
    owner: Arc<Ownership>,
}

/// A descriptor for the duration of one call.
#[derive(Debug)]
pub struct OpenFd {
    fd: Arc<OwnedFd>,
    _call: CountedCall,
}

impl SharedFd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd: Mutex::new(Some(Arc::new(fd))),
            owner: Ownership::new(),
        }
    }

    /// Moves the descriptor, together with the ownership, to a new object.
    ///
    /// # Errors
    /// Returns EBADF if it is closed.
    pub(crate) fn take(&self) -> Result<Self, NetError> {
        let fd = lock(&self.fd).take().ok_or(NetError::Io(Errno::BADF))?;
        Ok(Self {
            fd: Mutex::new(Some(fd)),
            owner: Arc::clone(&self.owner),
        })
    }

    pub(crate) fn closed() -> Self {
        Self {
            fd: Mutex::default(),
            owner: Ownership::new(),
        }
    }

    /// Returns the descriptor for a call that uses the state of its owner.
    ///
    /// # Errors
    /// - EBADF if it is closed.
    /// - EBUSY if the other process of a fork uses it.
    pub(crate) fn open(&self) -> Result<OpenFd, NetError> {
        self.owner.check_not_stuck()?;
        // Before the claim: a closed descriptor needs no owner.
        let fd = self.number()?;
        let call = self.owner.enter()?;
        Ok(OpenFd { fd, _call: call })
    }

    /// Returns the descriptor for a call that asks TCP only, which any process may do.
    ///
    /// # Errors
    /// Returns EBADF if it is closed.
    pub(crate) fn number(&self) -> Result<Arc<OwnedFd>, NetError> {
        lock(&self.fd).clone().ok_or(NetError::Io(Errno::BADF))
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.fd).is_none()
    }

    pub(crate) const fn owner(&self) -> &Arc<Ownership> {
        &self.owner
    }

    /// Returns `true` if it is open, and cannot have been claimed by the other process of a fork.
    pub(crate) fn is_left_open(&self) -> bool {
        self.owner.is_ours() && self.number().is_ok()
    }

    /// Closes the descriptor. Returns it to the first caller only. In a child forked in the middle
    /// of a call, where locks may stay locked forever, only tries the lock and returns `None`.
    pub(crate) fn close(&self) -> Option<Arc<OwnedFd>> {
        if self.owner.is_stuck() {
            self.fd.try_lock().ok()?.take();
            return None;
        }
        lock(&self.fd).take()
    }
}

impl OpenFd {
    /// Returns the shared descriptor, for what outlives the call.
    pub(crate) const fn shared(&self) -> &Arc<OwnedFd> {
        &self.fd
    }
}

impl Deref for OpenFd {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        &self.fd
    }
}

impl AsFd for OpenFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An exclusive right to read or to write. Unlike a mutex, it may be held while waiting for the
/// peer.
#[derive(Debug, Default)]
pub(crate) struct IoTurn {
    takers: Mutex<TurnTakers>,
    free: Condvar,
}

/// Whether a turn is taken, and how many threads wait for it.
#[derive(Debug, Default)]
struct TurnTakers {
    taken: bool,
    /// The number of waiting threads. A notification for nobody would cost a system call at the end
    /// of every turn.
    waiting: usize,
}

/// Returns the turn when dropped.
pub(crate) struct HeldTurn<'a>(&'a IoTurn);

impl IoTurn {
    /// Returns `true` while the turn is taken.
    pub(crate) fn is_taken(&self) -> bool {
        lock(&self.takers).taken
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// - EAGAIN or [`NetError::TimedOut`] if the turn is not free within `patience`.
    /// - [`NetError::Interrupted`] from time to time, so that signal handlers can run. Call again.
    pub(crate) fn take(&self, patience: Wait) -> Result<HeldTurn<'_>, NetError> {
        let mut takers = lock(&self.takers);
        if takers.taken {
            // A signal does not end this wait, so it returns from time to time.
            let left = patience
                .left()?
                .unwrap_or(SIGNAL_CHECK_INTERVAL)
                .min(SIGNAL_CHECK_INTERVAL);
            takers.waiting += 1;
            let waited = self
                .free
                .wait_timeout_while(takers, left, |takers| takers.taken);
            takers = waited.unwrap_or_else(PoisonError::into_inner).0;
            takers.waiting -= 1;
            if takers.taken {
                return Err(NetError::Interrupted);
            }
        }
        takers.taken = true;
        Ok(HeldTurn(self))
    }

    /// Ends a turn that was kept.
    pub(crate) fn give_back(&self) {
        let mut takers = lock(&self.takers);
        takers.taken = false;
        let wanted = takers.waiting > 0;
        drop(takers);
        if wanted {
            self.free.notify_one();
        }
    }
}

impl HeldTurn<'_> {
    /// Keeps the turn taken until [`IoTurn::give_back`].
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for HeldTurn<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// An object that is read and written in turns.
pub(crate) trait HasTurns: Send + Sync {
    fn reader(&self) -> &IoTurn;
    fn writer(&self) -> &IoTurn;
}

/// Both turns, for one thread that reads and writes. They end when this is dropped.
pub(crate) struct BothTurns(Arc<dyn HasTurns>);

impl BothTurns {
    /// Waits for the reader's turn and then for the writer's.
    ///
    /// # Errors
    /// Returns the errors of [`IoTurn::take`]; then no turn is taken.
    pub(crate) fn take(of: Arc<dyn HasTurns>, patience: Wait) -> Result<Self, NetError> {
        let reader = of.reader().take(patience)?;
        of.writer().take(patience)?.keep();
        reader.keep();
        Ok(Self(of))
    }
}

impl Drop for BothTurns {
    fn drop(&mut self) {
        self.0.reader().give_back();
        self.0.writer().give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_given_back_goes_to_one_who_waits() {
        let turn = IoTurn::default();
        let held = turn.take(Wait::Never).ok();
        std::thread::scope(|scope| {
            let take = || loop {
                match turn.take(Wait::Forever) {
                    Err(NetError::Interrupted) => {}
                    taken => return taken.map(drop),
                }
            };
            let waiter = scope.spawn(take);
            while lock(&turn.takers).waiting == 0 {
                std::thread::yield_now();
            }
            drop(held);
            assert!(waiter.join().is_ok_and(|taken| taken.is_ok()));
        });
        let takers = lock(&turn.takers);
        assert_eq!((takers.taken, takers.waiting), (false, 0));
    }

    #[test]
    fn a_turn_is_waited_for_as_patiently_as_the_caller_is() {
        let turn = IoTurn::default();
        let _held = turn.take(Wait::Never).ok();
        let again = turn.take(Wait::Never).map(drop);
        assert!(matches!(again, Err(NetError::Io(Errno::AGAIN))));
        let long = turn.take(Wait::Forever).map(drop);
        assert!(matches!(long, Err(NetError::Interrupted)));
        assert_eq!(lock(&turn.takers).waiting, 0);
    }
}
