//! A pause of the thread while its process forks.
//!
//! The thread holds descriptors for a moment while it works on them. A child that is forked at such a moment
//! would keep its copies open, since it has no thread that lets go of them. So the thread that forks first
//! waits until the background thread has finished its turn, and holds the lock that this takes for each turn
//! until the fork is over. No other thread waits for the lock, so other fork handlers may run meanwhile.

use std::cell::RefCell;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::BackgroundSender;

thread_local! {
    /// The lock, in the thread that forks.
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// A fork waits no longer than this: the thread may itself wait for a lock of somebody who waits for us.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The time between two tries to get the lock.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Before a fork, in the thread that forks.
pub(crate) fn pause_for_fork() {
    HELD.set(BackgroundSender::here().pause(Instant::now() + LONGEST_PAUSE));
}

/// After it, in the same thread, of the parent or of the child.
pub(crate) fn go_on_after_fork() {
    HELD.set(None);
}

impl BackgroundSender {
    fn pause(&'static self, end: Instant) -> Option<MutexGuard<'static, ()>> {
        loop {
            match self.at_work.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(guard)) => return Some(guard.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY_INTERVAL),
            }
        }
    }
}
