//! `bytes` of Python that the workers of a queue seal in place, and their release.
//!
//! A worker never releases a Python object. Without the GIL, that would take a lock of PyO3, and a
//! fork at that moment would copy the lock in its locked state: the child would wait for it
//! forever.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use ktls_net::KeptBytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// The `bytes` that the workers of one queue have finished with, until a call releases them.
#[derive(Default)]
pub(crate) struct SpentBytes(Mutex<Vec<PyBackedBytes>>);

/// `bytes` in the ring of a queue.
struct InUse {
    /// `Some` until it is dropped.
    bytes: Option<PyBackedBytes>,
    spent: Arc<SpentBytes>,
}

/// Tries to take the lock a bounded number of times. In the child of a fork it may never be
/// released.
const TRIES: usize = 1000;

impl SpentBytes {
    /// Keeps `bytes` for longer than the call.
    pub(crate) fn keep(self: &Arc<Self>, bytes: &Bound<'_, PyBytes>) -> KeptBytes {
        let in_use = InUse {
            bytes: Some(bytes.clone().into()),
            spent: Arc::clone(self),
        };
        KeptBytes::new(Arc::new(in_use), 0)
    }

    /// Releases the `bytes` that the workers have finished with.
    pub(crate) fn release(&self, _attached: Python<'_>) {
        drop(self.take());
    }

    fn take(&self) -> Vec<PyBackedBytes> {
        let taken = self.try_lock().map(|mut spent| std::mem::take(&mut *spent));
        taken.unwrap_or_default()
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<PyBackedBytes>>> {
        for _ in 0..TRIES {
            match self.0.try_lock() {
                Ok(spent) => return Some(spent),
                Err(TryLockError::Poisoned(spent)) => return Some(spent.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        None
    }
}

impl Drop for SpentBytes {
    /// The last owner may be a worker, so that no call would follow to release the `bytes`.
    fn drop(&mut self) {
        let spent = ManuallyDrop::new(self.take());
        if !spent.is_empty() {
            // Without an interpreter they are leaked.
            let _released = Python::try_attach(|_| drop(ManuallyDrop::into_inner(spent)));
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        match (self.bytes.take(), self.spent.try_lock()) {
            (Some(bytes), Some(mut spent)) => spent.push(bytes),
            (bytes, _) => std::mem::forget(bytes),
        }
    }
}

impl AsRef<[u8]> for InUse {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}
