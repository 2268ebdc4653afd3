//! A pair of a pool, as other threads than its own see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::inbox::{PoolInbox, PoolOrder};
use crate::NetError;
use crate::fork::HomeProcess;

/// Called once with a pair that has ended, by the thread that pumped it.
pub type OnClose = Box<dyn FnOnce(Arc<RelayPair>) + Send>;

/// Options of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairOptions {
    /// The pair ends with an error if nothing has moved for this long. Without a value it has no
    /// limit.
    pub idle: Option<Duration>,
    /// How the end of a TLS peer without close_notify is passed on.
    pub truncation: TruncationPolicy,
}

/// How a pair passes on the end of a TLS peer without close_notify, which may be a truncation.
///
/// With either policy, everything that the peer sent is passed on first, and the other direction
/// continues.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TruncationPolicy {
    /// The other side gets a reset or an alert, once it has ended too or nothing has moved for some
    /// seconds.
    #[default]
    Reset,
    /// The other side gets an end in order.
    Fin,
}

/// How a pair ended without an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairEnd {
    /// Both directions have ended, or the pair was stopped.
    Complete,
    /// A `KtlsSocket` has a record that its owner has to read. All data before the record was
    /// passed on, and neither side was ended.
    Control {
        /// 0 for the first side, 1 for the second.
        side: usize,
        /// The record's content type.
        record_type: u8,
    },
}

/// Two sides between which a [`super::RelayPool`] pumps. Direction 0 begins at the first side.
pub struct RelayPair {
    id: u64,
    /// The process that pumps.
    home: HomeProcess,
    inbox: Weak<PoolInbox>,
    bytes: [AtomicU64; 2],
    records: [AtomicU64; 2],
    truncated: OnceLock<usize>,
    outcome: OnceLock<Result<PairEnd, NetError>>,
}

impl RelayPair {
    /// Makes a pair of the thread that has `inbox`.
    pub(super) fn new(id: u64, inbox: &Arc<PoolInbox>) -> Arc<Self> {
        Arc::new(Self {
            id,
            home: HomeProcess::here(),
            inbox: Arc::downgrade(inbox),
            bytes: Default::default(),
            records: Default::default(),
            truncated: OnceLock::new(),
            outcome: OnceLock::new(),
        })
    }

    /// Returns the id of the pair, which is unique in its pool.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Returns the plaintext bytes of each direction so far.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        self.bytes
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Returns the records of each direction so far, including those without data. They are counted
    /// by the side at which the direction begins, or by the other side if that one is plain.
    #[must_use]
    pub fn records(&self) -> [u64; 2] {
        self.records
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Returns the side whose TLS peer ended without close_notify, if any, or `None` while the pair
    /// runs.
    #[must_use]
    pub fn truncated(&self) -> Option<usize> {
        self.truncated.get().copied()
    }

    /// Returns how the pair ended, or `None` while it runs.
    #[must_use]
    pub fn outcome(&self) -> Option<&Result<PairEnd, NetError>> {
        self.outcome.get()
    }

    /// Asks the pair to end in order, as [`super::Relay`] does when its stop descriptor becomes
    /// readable.
    ///
    /// # Errors
    /// EBUSY in a child of the process that pumps.
    pub fn stop(&self) -> Result<(), NetError> {
        self.home.check()?;
        if let Some(inbox) = self.inbox.upgrade() {
            inbox.send(PoolOrder::Stop(self.id));
        }
        Ok(())
    }

    /// Publishes the counters. Returns by how many bytes they have grown.
    pub(super) fn publish_counts(&self, bytes: [u64; 2], records: [u64; 2]) -> u64 {
        for (count, new) in self.records.iter().zip(records) {
            count.store(new, Ordering::Relaxed);
        }
        let grown = |(count, new): (&AtomicU64, u64)| new - count.swap(new, Ordering::Relaxed);
        self.bytes.iter().zip(bytes).map(grown).sum()
    }

    /// Publishes the side that ended without close_notify, if there is one.
    pub(super) fn note_truncation(&self, side: Option<usize>) {
        // Its thread alone calls this, and once.
        let _first = side.map(|side| self.truncated.set(side));
    }

    /// Publishes the outcome.
    pub(super) fn end(&self, outcome: Result<PairEnd, NetError>) {
        // Its thread alone calls this, and once.
        let _first = self.outcome.set(outcome);
    }
}
