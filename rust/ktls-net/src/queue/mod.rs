//! A device made of threads: sockets put records into rings, and workers seal and write them.
//!
//! # Sending
//!
//! A send call does what the kernel does before its device takes over: it checks the call, cuts the
//! data into records and numbers them. Each record becomes a
//! [`QueuedRecord`](ktls_core::socket::QueuedRecord): key, number, type and plaintext, which is all
//! that a worker needs. Immutable buffers of a caller are not copied ([`KeptBytes`]). The record
//! goes into the ring of its connection (`ConnRing`). The ring is bounded; a call that finds it
//! full waits at the ring's bell.
//!
//! With the first record in an empty ring the connection is posted to its worker, always the same
//! one. The worker has the connection until the ring is empty, so records leave in order although
//! no lock is held while they are sealed or written. It takes a few records at a time, seals them
//! and writes them. If TCP is full, it continues with its other connections, and waits for all
//! blocked ones in one `poll`. An error of TCP is kept for the next call of the socket, and the
//! records in the ring are dropped.
//!
//! # Receiving
//!
//! After each call, a reader posts its connection, unless it is posted already. The worker reads
//! from TCP and opens records ahead of the reader, next to the ciphertext. Records opened ahead
//! change no state until a call reaches them. So record number, pause, record type and error are
//! decided as without a queue.
//!
//! # Keys
//!
//! Each direction has a key slot in the queue, and
//! [`OffloadDriver`](ktls_core::offload::OffloadDriver) decides when the next key replaces the one
//! in the slot. Until then the caller seals: its records go through the same ring, behind the older
//! ones. The acknowledged bytes are those that the workers have written, minus those that TCP
//! reports as unacknowledged (`SIOCOUTQ`). They are queried only while a key waits. One lock of the
//! sending direction is held from that query to the last record that a call puts into the ring. So
//! no record can be made between the decision about a key and its effect.
//!
//! # Locks and ends
//!
//! The locks are, outermost first: the sending direction, its ring, the slots or an inbox. Those of
//! a ring and of an inbox are held only to put in and take out. A full set of slots, a closed queue
//! and a child of a fork are the same to a socket: the device refuses the key. The socket continues
//! in software, behind the records that the ring still has. A worker's thread starts with its first
//! connection and ends when the queue is closed and it has nothing left to do.

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

/// A device made of worker threads, which seal and write the records of sockets.
///
/// Once the queue is closed or dropped, the threads end after the last record.
#[derive(Debug)]
pub struct OffloadQueue {
    shared: Arc<QueueShared>,
}

/// The shape of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueShape {
    /// The number of threads. With 0, sockets stay in software.
    pub workers: usize,
    /// The number of records that the ring of each connection holds before a send waits.
    pub depth: usize,
    /// The number of key slots. Each direction of a connection takes one.
    pub slots: usize,
    /// The policy of key updates.
    pub policy: InstallPolicy,
}

/// Counters of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueStats {
    /// Records that sockets put into rings.
    pub submitted: u64,
    /// Records that TCP has, or that were lost with their connection.
    pub completed: u64,
    /// Submitted records that their callers had sealed.
    pub software: u64,
    /// How often a call found its ring full.
    pub full: u64,
    /// Records that are in the rings now.
    pub depth: u64,
    /// Key slots that are in use now.
    pub slots: usize,
}

impl OffloadQueue {
    /// Makes a queue. Each thread starts with its first connection.
    ///
    /// # Errors
    /// EMFILE or ENFILE if there are no descriptors for the bells.
    pub fn new(shape: QueueShape) -> Result<Self, NetError> {
        let shared = Arc::new(QueueShared::new(shape)?);
        Ok(Self { shared })
    }

    /// Returns the shape that the queue was made with.
    #[must_use]
    pub fn shape(&self) -> QueueShape {
        self.shared.shape
    }

    /// Returns the counters of the queue.
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

    /// Returns `true` once the queue is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Closes the queue, and waits until the accepted records have left and the threads have ended.
    /// Sockets continue in software.
    ///
    /// # Errors
    /// - [`NetError::TimedOut`] if `patience` ends before; the threads continue.
    /// - [`NetError::Interrupted`] from time to time: the caller checks for signals and calls
    ///   again.
    /// - EBUSY in a child of a fork.
    pub fn close(&self, patience: Wait) -> Result<(), NetError> {
        self.shared.check_process()?;
        self.shared.close();
        self.shared.wait_until_ended(patience)
    }

    /// Returns the shared state for a socket, or `None` if the queue has no workers.
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
