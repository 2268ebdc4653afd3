//! Locking without the GIL: detach first, lock second.
//!
//! A thread that waits for a lock must not hold the GIL, because the owner of the lock may need it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::marker::Ungil;
use pyo3::prelude::*;

/// Below this many bytes, releasing the GIL costs more than the work itself.
pub(crate) const DETACH_FROM: usize = 2048;

/// Locks a mutex, also after a panic of another thread: the value is only changed after all checks,
/// so it is valid.
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on the value of the mutex.
///
/// The GIL is released if the work is large enough, or if another thread holds the lock.
pub(crate) fn locked<T: Send, R: Ungil>(
    py: Python<'_>,
    mutex: &Mutex<T>,
    bytes: usize,
    work: impl FnOnce(&mut T) -> R + Send,
) -> R {
    if bytes < DETACH_FROM {
        match mutex.try_lock() {
            Ok(mut free) => return work(&mut free),
            Err(TryLockError::Poisoned(free)) => return work(&mut free.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }
    py.detach(|| work(&mut guard(mutex)))
}
