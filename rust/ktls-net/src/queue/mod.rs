//! A device made of threads: sockets submit records, its workers seal and write them, and open ahead.
//!
//! Locks of a lane and of an inbox are never held while waiting, nor while sealing.

mod descriptor;
mod device;
mod hub;
mod lane;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ktls_core::offload::InstallPolicy;

use crate::{NetError, Wait};
pub use descriptor::KeptBytes;
pub(crate) use descriptor::SendPayload;
pub(crate) use device::{RxDevice, TxDevice};
pub(crate) use hub::QueueShared;
pub(crate) use lane::ConnRing;

/// Worker threads that sockets give their records to. They end behind the last descriptor once the queue
/// is closed or nobody has it any more.
#[derive(Debug)]
pub struct OffloadQueue {
    hub: Arc<QueueShared>,
}

/// How a queue is made.
#[derive(Clone, Copy, Debug)]
pub struct QueueShape {
    /// Threads; none is the software path.
    pub workers: usize,
    /// Records in the submission ring of each connection.
    pub depth: usize,
    /// Keys, one for each direction of a connection.
    pub slots: usize,
    /// How keys are renewed.
    pub policy: InstallPolicy,
}

/// What a queue has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueStats {
    /// Descriptors that sockets submitted.
    pub submitted: u64,
    /// Descriptors of which TCP has the record, or that are lost with their connection.
    pub completed: u64,
    /// Of the submitted ones, those that their callers had sealed.
    pub software: u64,
    /// How often a call met a full ring.
    pub full: u64,
    /// Descriptors in the rings now.
    pub depth: u64,
    /// Key slots in use.
    pub slots: usize,
}

impl OffloadQueue {
    /// # Errors
    /// EMFILE and the like.
    pub fn new(shape: QueueShape) -> Result<Self, NetError> {
        let hub = Arc::new(QueueShared::new(shape)?);
        Ok(Self { hub })
    }

    /// How it was made.
    #[must_use]
    pub fn shape(&self) -> QueueShape {
        self.hub.shape
    }

    /// What it has done.
    ///
    /// # Errors
    /// EBUSY in a child of a fork.
    pub fn stats(&self) -> Result<QueueStats, NetError> {
        self.hub.check_here()?;
        let tally = &self.hub.tally;
        Ok(QueueStats {
            submitted: tally.submitted.load(Ordering::Relaxed),
            completed: tally.completed.load(Ordering::Relaxed),
            software: tally.software.load(Ordering::Relaxed),
            full: tally.full.load(Ordering::Relaxed),
            depth: tally.depth.load(Ordering::Relaxed),
            slots: self.hub.slots_in_use(),
        })
    }

    /// True once it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.hub.is_closed()
    }

    /// Lets what was accepted leave, and ends the threads. Sockets go on in software.
    ///
    /// # Errors
    /// [`NetError::TimedOut`] when a peer takes nothing for so long: the threads go on.
    /// [`NetError::Interrupted`], to be called again; EBUSY in a child of a fork.
    pub fn close(&self, patience: Wait) -> Result<(), NetError> {
        self.hub.check_here()?;
        self.hub.close();
        self.hub.wait_until_ended(patience)
    }

    /// The device for a socket; none where all is done in software.
    pub(crate) fn hub(&self) -> Option<&Arc<QueueShared>> {
        (self.hub.shape.workers > 0).then_some(&self.hub)
    }

    /// # Errors
    /// EBUSY in a child of a fork.
    pub fn check_here(&self) -> Result<(), NetError> {
        self.hub.check_here()
    }
}

impl Drop for OffloadQueue {
    fn drop(&mut self) {
        if self.hub.is_here() {
            self.hub.close();
        }
    }
}
