//! A pause of the background thread while its process forks.
//!
//! The thread holds references to descriptors while it runs a turn. A child forked at that time
//! would keep its copies open, since it has no thread that drops the references. So the thread that
//! forks first waits until the background thread has finished its turn. Until the fork is over, it
//! holds the lock that the background thread takes for each turn. No other thread waits for this
//! lock, so other fork handlers can run meanwhile.

use std::cell::RefCell;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::BackgroundSender;

thread_local! {
    /// The lock, held by the thread that forks.
    static HELD: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// The longest time that a fork waits. The background thread may be waiting for a lock held by
/// another thread that waits for the fork.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// The time between two attempts to take the lock.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Waits for the end of the current turn and stops the thread. Called before a fork, in the thread
/// that forks.
pub(crate) fn pause_for_fork() {
    HELD.set(BackgroundSender::here().pause(Instant::now() + MAX_PAUSE));
}

/// Lets the thread continue. Called after the fork in the same thread, in the parent and in the
/// child.
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
