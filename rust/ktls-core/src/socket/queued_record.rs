//! Records that leave by a queue: numbered in the call, and sealed in the call or by the worker.
//!
//! A record has this type from the call that makes it to the worker that seals it. It owns
//! everything that sealing needs, so that no buffer of the call has to outlive the call.

use std::fmt;
use std::sync::Arc;

use crate::fifo::Fifo;
use crate::key::TrafficKey;
use crate::socket::SendBuffers;
use crate::socket::tx::InstalledKey;
use crate::wiped_memory::WipedBytes;

/// A record on its way through a queue.
pub enum QueuedRecord {
    /// A record to be sealed.
    Seal {
        /// The key.
        key: Arc<TrafficKey>,
        /// The sequence number.
        seq: u64,
        /// The content type.
        record_type: u8,
        /// The plaintext.
        plaintext: QueuedPlaintext,
    },
    /// A record that was sealed in the call.
    Sealed(Vec<u8>),
}

/// Plaintext that outlives the call.
#[derive(Debug)]
pub enum QueuedPlaintext {
    /// The first `len` bytes of a buffer that does not change.
    Kept {
        /// The buffer.
        bytes: KeptBytes,
        /// The length in bytes.
        len: usize,
    },
    /// A copy.
    Owned(WipedBytes),
}

/// The bytes of a buffer from an offset on. They do not change while this value exists.
#[derive(Clone)]
pub struct KeptBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
}

/// Records that were made for a queue and have not entered it yet.
#[derive(Debug, Default)]
pub(super) struct PendingRecords {
    pub(super) staged: Vec<QueuedRecord>,
    /// The number of records at the end of `staged` that wait for the next transmission.
    pub(super) held: usize,
    pub(super) sealer: JobSealer,
}

/// Where the records of a queue are sealed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JobSealer {
    /// In the worker that takes them out of the queue.
    #[default]
    Worker,
    /// In the call that makes them.
    Caller,
}

impl KeptBytes {
    /// Returns the bytes of `owner` behind the first `start` bytes.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, start: usize) -> Self {
        Self { owner, start }
    }

    /// Returns these bytes without the first `len`.
    #[must_use]
    pub fn skip(&self, len: usize) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
            start: self.start + len,
        }
    }
}

impl QueuedRecord {
    /// Returns the length of the sealed record in bytes.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Sealed(record) => record.len(),
            Self::Seal { key, plaintext, .. } => plaintext.as_slice().len() + key.overhead(),
        }
    }

    /// Seals the record, unless it is sealed, and appends it to `wire`.
    pub fn seal(self, wire: &mut Fifo) {
        let len = self.wire_len();
        let out = wire.space(len);
        match self {
            Self::Sealed(record) => out.copy_from_slice(&record),
            Self::Seal {
                key,
                seq,
                record_type,
                plaintext,
            } => key.seal(seq, record_type, plaintext.as_slice(), out),
        }
        wire.commit(len);
    }
}

impl QueuedPlaintext {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Kept { bytes, len } => &(*bytes.owner).as_ref()[bytes.start..bytes.start + len],
        }
    }
}

impl InstalledKey {
    /// Makes a record for a queue. `source` is the origin of `plaintext` if it was not copied; its
    /// bytes are kept instead of copied if they outlive the call.
    ///
    /// The record under the last sequence number is sealed here, since it may have to wait for the
    /// next call.
    pub(super) fn queued_record(
        &self,
        record_type: u8,
        plaintext: &[u8],
        source: Option<&SendBuffers<'_>>,
        sealer: JobSealer,
    ) -> QueuedRecord {
        let Self { key, seq, .. } = self;
        if *seq == u64::MAX || sealer == JobSealer::Caller {
            let mut record = vec![0; plaintext.len() + key.overhead()];
            key.seal(*seq, record_type, plaintext, &mut record);
            return QueuedRecord::Sealed(record);
        }
        let kept = source.and_then(|source| source.kept(plaintext.len()));
        QueuedRecord::Seal {
            key: Arc::clone(key),
            seq: *seq,
            record_type,
            plaintext: kept.unwrap_or_else(|| QueuedPlaintext::Owned(plaintext.into())),
        }
    }
}

impl fmt::Debug for KeptBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptBytes(from {})", self.start)
    }
}

impl fmt::Debug for QueuedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueuedRecord({} bytes)", self.wire_len())
    }
}
