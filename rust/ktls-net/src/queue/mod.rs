//! A device made of threads: sockets put records into rings, and workers seal and write them.
//!
//! # Sending
//!
//! A send call does what a kernel's does before its device takes over: it checks, cuts records and numbers
//! them. Each record becomes a [`QueuedRecord`](ktls_core::socket::QueuedRecord): key, number, type and
//! plaintext, which is all that a worker needs. Bytes of a caller that stay as they are are kept, not
//! copied ([`KeptBytes`]). The record goes into the ring of its connection (`ConnRing`). The ring is
//! bounded; a call that meets a full one waits at the ring's bell.
//!
//! With the first record in an empty ring the connection is posted to its worker, always the same one. The
//! worker has the connection until the ring is empty, so records leave in order although no lock is held
//! while they are sealed or written. It takes a few records at a time, seals them side by side and writes
//! them; when TCP is full it turns to its other connections and waits for all of the full ones in one
//! `poll`. An error of TCP is kept for the next call of the socket, and the records in the ring are dropped.
//!
//! # Receiving
//!
//! After each call a reader posts its connection, if it is not posted. The worker takes bytes from TCP and
//! opens records ahead of the reader, beside the ciphertext. What it opened counts for nothing until a call
//! gets there, so number, pause, record type and error are decided as they would be without a queue.
//!
//! # Keys
//!
//! Each direction has a key slot in the queue, and [`OffloadDriver`](ktls_core::offload::OffloadDriver)
//! decides when the next key takes it. Until then, the caller seals: its records go through the same ring
//! behind the older ones. What the peer has acknowledged is what the workers have written less what TCP
//! says is unacknowledged (`SIOCOUTQ`), and is asked only while a key waits. One lock of the sending
//! direction is held from that question to the last record that a call puts into the ring. So no record
//! can be made between the decision about a key and its effect.
//!
//! # Locks and ends
//!
//! The locks are, outermost first: the sending direction, its ring, the slots or an inbox. Those of a ring
//! and of an inbox are held to put in and take out only. A full set of slots, a closed queue and a child of
//! a fork are all the same to a socket: a device that refuses. It goes on in software, behind what the ring
//! still has. A worker's thread starts with its first connection and ends when the queue is closed and it
//! has nothing left to do.

mod key_slots;
mod ring;
mod shared;
mod socket;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ktls_core::offload::InstallPolicy;

use crate::{NetError, Wait};
pub(crate) use key_slots::QueueSlots;
pub use ktls_core::socket::KeptBytes;
pub(crate) use ring::{ConnRing, FinPlan};
pub(crate) use shared::{QueueShared, TaskPost};
pub(crate) use socket::{ReadAheadNext, RingReceiver, RingSender};

/// Worker threads that sockets give their records to.
///
/// The threads end behind the last record once the queue is closed or dropped.
#[derive(Debug)]
pub struct OffloadQueue {
    shared: Arc<QueueShared>,
}

/// How a queue is made.
#[derive(Clone, Copy, Debug)]
pub struct QueueShape {
    /// Threads. With 0, sockets stay in software.
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
    /// Records that sockets put into rings.
    pub submitted: u64,
    /// Records that TCP has, or that are lost with their connection.
    pub completed: u64,
    /// Of the submitted records, those that their callers had sealed.
    pub software: u64,
    /// How often a call met a full ring.
    pub full: u64,
    /// Records in the rings now.
    pub depth: u64,
    /// Key slots in use.
    pub slots: usize,
}

impl OffloadQueue {
    /// Makes a queue. Its threads start with their first connections.
    ///
    /// # Errors
    /// EMFILE and the like.
    pub fn new(shape: QueueShape) -> Result<Self, NetError> {
        let shared = Arc::new(QueueShared::new(shape)?);
        Ok(Self { shared })
    }

    /// Returns how it was made.
    #[must_use]
    pub fn shape(&self) -> QueueShape {
        self.shared.shape
    }

    /// Returns what it has done.
    ///
    /// # Errors
    /// EBUSY in a child of a fork.
    pub fn stats(&self) -> Result<QueueStats, NetError> {
        self.shared.check_process()?;
        let tally = &self.shared.tally;
        Ok(QueueStats {
            submitted: tally.submitted.load(Ordering::Relaxed),
            completed: tally.completed.load(Ordering::Relaxed),
            software: tally.software.load(Ordering::Relaxed),
            full: tally.full.load(Ordering::Relaxed),
            depth: tally.depth.load(Ordering::Relaxed),
            slots: self.shared.slots_in_use(),
        })
    }

    /// Returns true once it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Waits until the accepted records have left, and ends the threads. Sockets go on in software.
    ///
    /// # Errors
    /// [`NetError::TimedOut`] when a peer takes nothing for that long: the threads go on.
    /// [`NetError::Interrupted`], to be called again; EBUSY in a child of a fork.
    pub fn close(&self, patience: Wait) -> Result<(), NetError> {
        self.shared.check_process()?;
        self.shared.close();
        self.shared.wait_until_ended(patience)
    }

    /// Returns the device for a socket, or `None` where all is done in software.
    pub(crate) fn shared(&self) -> Option<&Arc<QueueShared>> {
        (self.shared.shape.workers > 0).then_some(&self.shared)
    }

    /// Checks that the threads are in this process.
    ///
    /// # Errors
    /// EBUSY in a child of a fork.
    pub fn check_process(&self) -> Result<(), NetError> {
        self.shared.check_process()
    }
}

impl Drop for OffloadQueue {
    fn drop(&mut self) {
        if self.shared.is_here() {
            self.shared.close();
        }
    }
}
