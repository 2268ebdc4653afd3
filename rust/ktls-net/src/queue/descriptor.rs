//! What lies in a submission ring.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ktls_core::key::TrafficKey;
use ktls_core::socket::{JobPlaintext, QueueJob};
use ktls_core::{Fifo, WipedBytes};

/// Bytes that stay as they are for as long as it lives, from an offset on.
#[derive(Clone)]
pub struct KeptBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
}

/// The buffers of a send call, and those of them that need no copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendPayload<'a> {
    pub(crate) slices: &'a [&'a [u8]],
    /// For each slice; or none at all.
    pub(crate) kept: &'a [Option<KeptBytes>],
}

/// One record on its way to a worker.
pub(crate) enum QueuedRecord {
    Seal {
        key: Arc<TrafficKey>,
        seq: u64,
        record_type: u8,
        plaintext: KeptPlaintext,
    },
    Sealed(Vec<u8>),
}

/// Plaintext that outlives the call.
pub(crate) enum KeptPlaintext {
    Kept(KeptBytes, Range<usize>),
    Owned(WipedBytes),
}

impl KeptBytes {
    /// Those of `owner` behind the first `start`.
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

impl SendPayload<'_> {
    fn bytes(&self, plaintext: JobPlaintext) -> KeptPlaintext {
        match plaintext {
            JobPlaintext::Apart(bytes) => KeptPlaintext::Owned(bytes),
            JobPlaintext::InCall { slice, start, len } => match self.kept.get(slice) {
                Some(Some(kept)) => KeptPlaintext::Kept(kept.clone(), start..start + len),
                Some(None) | None => {
                    KeptPlaintext::Owned(self.slices[slice][start..start + len].into())
                }
            },
        }
    }
}

impl QueuedRecord {
    pub(crate) fn new(job: QueueJob, payload: SendPayload<'_>) -> Self {
        match job {
            QueueJob::Sealed(record) => Self::Sealed(record),
            QueueJob::Seal {
                key,
                seq,
                record_type,
                plaintext,
            } => Self::Seal {
                key,
                seq,
                record_type,
                plaintext: payload.bytes(plaintext),
            },
        }
    }

    /// Bytes of the record on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Self::Sealed(record) => record.len(),
            Self::Seal { key, plaintext, .. } => plaintext.as_slice().len() + key.overhead(),
        }
    }

    /// Puts the sealed record behind `wire`.
    pub(crate) fn seal(self, wire: &mut Fifo) {
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

impl KeptPlaintext {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Kept(kept, range) => {
                let all = (*kept.owner).as_ref();
                &all[kept.start + range.start..kept.start + range.end]
            }
        }
    }
}

impl fmt::Debug for KeptBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept(from {})", self.start)
    }
}

impl fmt::Debug for QueuedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Descriptor({} bytes)", self.wire_len())
    }
}
