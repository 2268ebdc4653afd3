//! Detach first, lock second.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::marker::Ungil;
use pyo3::prelude::*;

/// Below this many bytes releasing the GIL costs more than the work.
const DETACH_FROM: usize = 2048;

/// The guard, also after a panic elsewhere: what it guards is changed only after every check.
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on what the mutex guards, without the GIL if that pays or somebody else has the lock.
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
