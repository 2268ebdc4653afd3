//! A pause of the thread while its process forks.
//!
//! A child has copies of everything that the thread is in the middle of, and nobody who would finish it: a
//! descriptor that the thread holds for a moment would stay open. So whoever forks lets the thread come to
//! the end of what it does, and keeps it from beginning anything until the fork is over. Nobody else waits
//! for that lock, so that hooks of others may run meanwhile.

use std::cell::RefCell;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::BackgroundSender;

thread_local! {
    /// What the thread that forks holds meanwhile.
    static PAUSE: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// A fork waits no longer than this: the thread may itself wait for a lock of somebody who waits for us.
const LONGEST: Duration = Duration::from_millis(500);
/// Between two tries.
const BETWEEN: Duration = Duration::from_micros(50);

/// Before a fork, in the thread that forks.
pub(crate) fn pause_for_fork() {
    PAUSE.set(BackgroundSender::here().pause(Instant::now() + LONGEST));
}

/// After it, in the same thread, of the parent or of the child.
pub(crate) fn go_on_after_fork() {
    PAUSE.set(None);
}

impl BackgroundSender {
    fn pause(&'static self, end: Instant) -> Option<MutexGuard<'static, ()>> {
        loop {
            match self.at_work.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(guard)) => return Some(guard.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
            }
        }
    }
}
