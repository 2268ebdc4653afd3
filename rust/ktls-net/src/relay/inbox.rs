//! The inbox of a pool's thread, to which other threads send orders.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::job::PumpJob;
use crate::NetError;
use crate::bell::ReadinessBell;
use crate::mutex::lock;

/// An order for a pool's thread.
pub(super) enum PoolOrder {
    /// Pump this pair.
    Add(Box<PumpJob>),
    /// Stop the pair with this id.
    Stop(u64),
    /// Stop all pairs. After this time, end those that have not ended.
    Close(Duration),
}

/// The inbox of one thread.
pub(super) struct PoolInbox {
    pub(super) bell: ReadinessBell,
    pending: Mutex<PendingOrders>,
    /// Pairs that were added and have not ended.
    load: AtomicUsize,
}

/// Whether a pool's thread takes a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PoolAdmission {
    /// The thread will pump it.
    Added,
    /// The thread is closing, and accepts no more pairs.
    Closed,
}

/// What the lock of an inbox protects.
#[derive(Default)]
struct PendingOrders {
    orders: Vec<PoolOrder>,
    /// No pair may be added any more.
    closed: bool,
}

impl PoolInbox {
    /// Makes an empty inbox.
    pub(super) fn new() -> Result<Self, NetError> {
        Ok(Self {
            bell: ReadinessBell::new()?,
            pending: Mutex::default(),
            load: AtomicUsize::new(0),
        })
    }

    /// Returns the number of pairs of the thread that have not ended.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::SeqCst)
    }

    /// Sends an order to the thread.
    pub(super) fn send(&self, order: PoolOrder) {
        lock(&self.pending).orders.push(order);
        self.bell.ring();
    }

    /// Gives the thread one more pair, unless it is closing.
    pub(super) fn add(&self, job: Box<PumpJob>) -> PoolAdmission {
        let mut pending = lock(&self.pending);
        if pending.closed {
            return PoolAdmission::Closed;
        }
        self.load.fetch_add(1, Ordering::SeqCst);
        pending.orders.push(PoolOrder::Add(job));
        drop(pending);
        self.bell.ring();
        PoolAdmission::Added
    }

    /// Closes the thread: its pairs are stopped, and no more are added.
    pub(super) fn close(&self, drain: Duration) {
        lock(&self.pending).closed = true;
        self.send(PoolOrder::Close(drain));
    }

    /// Removes all orders and returns them.
    pub(super) fn take(&self) -> Vec<PoolOrder> {
        std::mem::take(&mut lock(&self.pending).orders)
    }

    /// Notes that one pair has ended.
    pub(super) fn ended(&self) {
        self.load.fetch_sub(1, Ordering::SeqCst);
    }
}
