//! Bytes of Python that the workers of a queue seal in place, and how they come back.
//!
//! A worker lets go of no object itself. Without the GIL that would take a lock of PyO3's, and a fork
//! at that moment would copy it locked: the child waits for it for ever, before its first line.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use ktls_net::KeptBytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// What the workers of one queue are through with, until a call lets go of it.
#[derive(Default)]
pub(crate) struct SpentBytes(Mutex<Vec<PyBackedBytes>>);

/// Bytes in the ring of a queue.
struct InUse {
    /// Some until it is dropped.
    bytes: Option<PyBackedBytes>,
    spent: Arc<SpentBytes>,
}

/// Tries to get the lock, with a pause between two. In a child of a fork nobody may ever give it back.
const TRIES: usize = 1000;

impl SpentBytes {
    /// The bytes for longer than the call.
    pub(crate) fn keep(self: &Arc<Self>, bytes: &Bound<'_, PyBytes>) -> KeptBytes {
        let in_use = InUse {
            bytes: Some(bytes.clone().into()),
            spent: Arc::clone(self),
        };
        KeptBytes::new(Arc::new(in_use), 0)
    }

    /// Lets go of what the workers are through with.
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
    /// The last who has it may be a worker: no call will come any more.
    fn drop(&mut self) {
        let spent = ManuallyDrop::new(self.take());
        if !spent.is_empty() {
            // Without an interpreter they stay where they are.
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
