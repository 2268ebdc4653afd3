//! What a pool's thread is told, and by whom.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::job::PumpJob;
use crate::NetError;
use crate::bell::ReadinessBell;
use crate::mutex::lock;

/// Something for the thread to do.
pub(super) enum PoolOrder {
    Add(Box<PumpJob>),
    Stop(u64),
    /// Stop all, and end what has not ended after so long.
    Close(Duration),
}

/// The letter box of one thread.
pub(super) struct PoolInbox {
    pub(super) bell: ReadinessBell,
    pending: Mutex<PendingOrders>,
    load: AtomicUsize,
}

/// Whether a pool's thread takes a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PoolAdmission {
    /// The thread will pump it.
    Added,
    /// The thread was told to close, and takes no more.
    Closed,
}

#[derive(Default)]
struct PendingOrders {
    orders: Vec<PoolOrder>,
    closed: bool,
}

impl PoolInbox {
    pub(super) fn new() -> Result<Self, NetError> {
        Ok(Self {
            bell: ReadinessBell::new()?,
            pending: Mutex::default(),
            load: AtomicUsize::new(0),
        })
    }

    /// Pairs of the thread that have not ended.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::SeqCst)
    }

    pub(super) fn send(&self, order: PoolOrder) {
        lock(&self.pending).orders.push(order);
        self.bell.ring();
    }

    /// Gives the thread one more pair.
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

    /// No pair is added behind this.
    pub(super) fn close(&self, drain: Duration) {
        lock(&self.pending).closed = true;
        self.send(PoolOrder::Close(drain));
    }

    pub(super) fn take(&self) -> Vec<PoolOrder> {
        std::mem::take(&mut lock(&self.pending).orders)
    }

    pub(super) fn ended(&self) {
        self.load.fetch_sub(1, Ordering::SeqCst);
    }
}
