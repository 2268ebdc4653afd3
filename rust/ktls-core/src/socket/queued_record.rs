//! Records that leave by a queue: numbered in the call, and sealed there or by whoever takes them out.
//!
//! A record has this type from the call that makes it to the worker that seals it. It holds all that it
//! needs, so that nothing of the call has to outlive the call.

use std::fmt;
use std::sync::Arc;

use crate::fifo::Fifo;
use crate::key::TrafficKey;
use crate::socket::SendBuffers;
use crate::socket::tx::InstalledKey;
use crate::wiped::WipedBytes;

/// A record on its way through a queue.
pub enum QueuedRecord {
    /// It is to be sealed.
    Seal {
        /// With this key.
        key: Arc<TrafficKey>,
        /// Under this number.
        seq: u64,
        /// The content type.
        record_type: u8,
        /// Its plaintext.
        plaintext: QueuedPlaintext,
    },
    /// It was sealed in the call.
    Sealed(Vec<u8>),
}

/// Plaintext that outlives the call.
#[derive(Debug)]
pub enum QueuedPlaintext {
    /// The first `len` bytes of a buffer that stays as it is.
    Kept {
        /// The buffer.
        bytes: KeptBytes,
        /// The length.
        len: usize,
    },
    /// A copy.
    Owned(WipedBytes),
}

/// The bytes of a buffer from an offset on. They stay as they are for as long as this value lives.
#[derive(Clone)]
pub struct KeptBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
}

/// Records that were made and did not leave yet.
#[derive(Debug, Default)]
pub(super) struct PendingRecords {
    pub(super) staged: Vec<QueuedRecord>,
    /// Records at the end of `staged` that wait for the next transmission.
    pub(super) held: usize,
    pub(super) sealer: JobSealer,
}

/// Who seals the records of a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JobSealer {
    /// Whoever takes them out of the queue.
    #[default]
    Worker,
    /// The call.
    Caller,
}

impl KeptBytes {
    /// The bytes of `owner` behind the first `start`.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, start: usize) -> Self {
        Self { owner, start }
    }

    /// The same without the first `len` bytes.
    #[must_use]
    pub fn skip(&self, len: usize) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
            start: self.start + len,
        }
    }
}

impl QueuedRecord {
    /// The length of the record on the wire.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Sealed(record) => record.len(),
            Self::Seal { key, plaintext, .. } => plaintext.as_slice().len() + key.overhead(),
        }
    }

    /// Puts the sealed record behind `wire`.
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
    /// Makes a record for a queue; `source` is where its plaintext lies in one piece, if it does.
    ///
    /// The record under the last number is sealed at once: it may wait until the next call.
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
