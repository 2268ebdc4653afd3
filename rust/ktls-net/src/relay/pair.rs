//! A pair in a pool, as those outside its thread see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::TruncationPolicy;
use super::inbox::{PoolInbox, PoolOrder};
use crate::NetError;
use crate::fork::HomeProcess;

/// Called once with a pair that has ended, by the thread that pumped it.
pub type OnClose = Box<dyn FnOnce(Arc<RelayPair>) + Send>;

/// What is asked of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct PairOptions {
    /// It ends when nothing has moved for this long.
    pub idle: Option<Duration>,
    /// What is made of a TLS peer that ends without close_notify.
    pub truncation: TruncationPolicy,
}

/// How a pair ended without an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairEnd {
    /// Both directions have ended, or it was stopped.
    Complete,
    /// A `KtlsSocket` has a record for its owner. All that was read before is passed on, and no side was
    /// told anything.
    Control {
        /// 0 for the first side, 1 for the second.
        side: usize,
        /// The record's content type.
        record_type: u8,
    },
}

/// Two sides that a [`super::RelayPool`] pumps between. Direction 0 begins at the first side.
pub struct RelayPair {
    id: u64,
    home: HomeProcess,
    inbox: Weak<PoolInbox>,
    bytes: [AtomicU64; 2],
    records: [AtomicU64; 2],
    truncated: OnceLock<usize>,
    outcome: OnceLock<Result<PairEnd, NetError>>,
}

impl RelayPair {
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

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Plaintext bytes of each direction so far.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        self.bytes
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Records of each direction so far, those without data included: as the side that it begins at
    /// received them, or, if that is plain, as the other one sent them.
    #[must_use]
    pub fn records(&self) -> [u64; 2] {
        self.records
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// The side whose TLS peer ended without close_notify; None while the pair is under way.
    #[must_use]
    pub fn truncated(&self) -> Option<usize> {
        self.truncated.get().copied()
    }

    /// How it ended; None while it is under way.
    #[must_use]
    pub fn outcome(&self) -> Option<&Result<PairEnd, NetError>> {
        self.outcome.get()
    }

    /// Has it end in order: as [`super::Relay`] when its descriptor becomes readable.
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

    /// Tells the numbers; gives how many bytes are new.
    pub(super) fn publish_counts(&self, bytes: [u64; 2], records: [u64; 2]) -> u64 {
        for (count, new) in self.records.iter().zip(records) {
            count.store(new, Ordering::Relaxed);
        }
        let grown = |(count, new): (&AtomicU64, u64)| new - count.swap(new, Ordering::Relaxed);
        self.bytes.iter().zip(bytes).map(grown).sum()
    }

    pub(super) fn note_truncation(&self, side: Option<usize>) {
        // Only its thread calls this, and once.
        let _first = side.map(|side| self.truncated.set(side));
    }

    pub(super) fn end(&self, outcome: Result<PairEnd, NetError>) {
        // Only its thread calls this, and once.
        let _first = self.outcome.set(outcome);
    }
}
