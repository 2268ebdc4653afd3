//! Records that somebody else seals: numbered in the call, sealed elsewhere.

use std::sync::Arc;

use crate::key::TrafficKey;
use crate::socket::tx::InstalledKey;
use crate::wiped::WipedBytes;

/// A record that leaves by way of a queue.
#[derive(Debug)]
pub enum QueueJob {
    /// It is to be sealed.
    Seal {
        /// With this key.
        key: Arc<TrafficKey>,
        /// Under this number.
        seq: u64,
        /// The content type.
        record_type: u8,
        /// Where its plaintext is.
        plaintext: JobPlaintext,
    },
    /// It was sealed in the call.
    Sealed(Vec<u8>),
}

/// Where the plaintext of a record is.
#[derive(Debug)]
pub enum JobPlaintext {
    /// In one buffer of the call, which whoever submits has to keep or to copy.
    InCall {
        /// Which buffer.
        slice: usize,
        /// Where in it.
        start: usize,
        /// Bytes.
        len: usize,
    },
    /// In memory of its own: it came in pieces.
    Apart(WipedBytes),
}

/// Records that were cut and are not submitted yet.
#[derive(Debug, Default)]
pub(super) struct PendingJobs {
    pub(super) staged: Vec<QueueJob>,
    pub(super) sealer: JobSealer,
}

/// Who seals the records of a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JobSealer {
    /// Who takes them out of the queue.
    #[default]
    Worker,
    /// The call.
    Caller,
}

impl InstalledKey {
    /// A record for a queue. The last one waits longer than its call's buffers live.
    pub(super) fn job(
        &self,
        record_type: u8,
        plaintext: &[u8],
        place: Option<JobPlaintext>,
        last: bool,
        sealer: JobSealer,
    ) -> QueueJob {
        let Self { key, seq, .. } = self;
        if last || sealer == JobSealer::Caller {
            let mut record = vec![0; plaintext.len() + key.overhead()];
            key.seal(*seq, record_type, plaintext, &mut record);
            return QueueJob::Sealed(record);
        }
        QueueJob::Seal {
            key: Arc::clone(key),
            seq: *seq,
            record_type,
            plaintext: place.unwrap_or_else(|| JobPlaintext::Apart(plaintext.into())),
        }
    }
}
