//! The records that a sending direction frames for its device, and the segments made of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ktls_core::key::TrafficKey;
use ktls_core::offload::InstallPolicy;
use ktls_core::socket::{JobSealer, RecordFramer};

use crate::device_socket::fallback::seal_segment;
use crate::device_socket::record_list::RecordList;
use crate::nic::framed::frame;

/// The records that a sending direction has made and the device may still need.
#[derive(Debug)]
pub(super) struct DeviceRecords {
    policy: InstallPolicy,
    /// Who seals the next record; the worker is the device.
    sealer: JobSealer,
    pub(super) list: RecordList,
    /// The offset where the device's records end, once they do.
    list_end: Option<u64>,
    /// The key of `list` if it is not the newest.
    past: Option<Arc<TrafficKey>>,
    /// The offset behind the last record.
    pub(super) write: u64,
    /// The device has lost its place (D-11).
    pub(super) resync_wanted: bool,
    pub(super) resync_at: Option<(u64, u64)>,
    pub(super) tally: TxTally,
}

/// How many records and segments of a sending direction went which way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TxTally {
    /// Records framed for the device.
    pub device_records: u64,
    /// Records sealed in software.
    pub software_records: u64,
    /// Bytes of segments sealed by the fallback.
    pub fallback_bytes: u64,
    /// Segments that nobody needed any more.
    pub dropped_segments: u64,
}

/// Who seals the bytes of a stretch of the stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SealPath {
    /// They are sealed.
    Sealed,
    /// They are plaintext, framed for the device.
    Device,
}

/// A piece of the stream on its way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamSegment {
    /// The caller's name for it.
    pub id: u64,
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether they are sealed: as it was when TCP took them.
    pub path: SealPath,
}

/// What became of a segment (D-10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TransmitOutcome {
    /// The device has it.
    Queued,
    /// It may leave as it is.
    Pass(Vec<u8>),
    /// It was sealed by the fallback and may leave.
    Fallback(Vec<u8>),
    /// Its records are acknowledged: it must not leave, since only its plaintext is left (V-TX-9).
    Dropped,
}

/// The records, for the socket that makes them and for the calls that send them.
#[derive(Clone, Debug)]
pub(super) struct SharedRecords(Arc<Mutex<DeviceRecords>>);

impl SharedRecords {
    pub(super) fn new(policy: InstallPolicy) -> Self {
        Self(Arc::new(Mutex::new(DeviceRecords {
            policy,
            sealer: JobSealer::Caller,
            list: RecordList::default(),
            list_end: Some(0),
            past: None,
            write: 0,
            resync_wanted: false,
            resync_at: None,
            tally: TxTally::default(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, DeviceRecords> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordFramer for SharedRecords {
    fn write(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        record_type: u8,
        plaintext: &[u8],
        out: &mut [u8],
    ) {
        let mut records = self.lock();
        match records.sealer {
            JobSealer::Worker => {
                frame(key, seq, record_type, plaintext, out);
                records.framed(seq, out);
            }
            JobSealer::Caller => {
                key.seal(seq, record_type, plaintext, out);
                records.sealed(out.len());
            }
        }
    }

    fn seals_empty_calls(&self) -> bool {
        self.lock().sealer == JobSealer::Worker
    }

    fn replaced(&mut self, past: Arc<TrafficKey>) {
        let mut records = self.lock();
        if records.sealer == JobSealer::Worker && !records.is_naive() {
            records.past = Some(past);
        }
    }
}

impl DeviceRecords {
    /// A record was framed for the device (D-6, D-11).
    fn framed(&mut self, seq: u64, record: &[u8]) {
        if std::mem::take(&mut self.resync_wanted) {
            self.resync_at = Some((self.write, seq));
        }
        self.list.push(record.into());
        self.write += record.len() as u64;
        self.tally.device_records += 1;
    }

    /// A record was sealed in software.
    const fn sealed(&mut self, len: usize) {
        self.write += len as u64;
        self.tally.software_records += 1;
    }

    pub(super) fn seal_by(&mut self, sealer: JobSealer) {
        if self.sealer == JobSealer::Worker && sealer == JobSealer::Caller && !self.is_naive() {
            self.list_end = Some(self.write);
        }
        self.sealer = sealer;
    }

    /// The device has taken a key whose first record will have the number `seq`.
    pub(super) fn begin_list(&mut self, seq: u64) {
        if !self.is_naive() {
            self.list = RecordList::new(self.write, seq);
        }
        self.list_end = None;
        self.forget_past();
    }

    /// The device has refused a key.
    pub(super) fn end_list(&mut self) {
        self.list_end.get_or_insert(self.write);
        self.forget_past();
    }

    fn forget_past(&mut self) {
        self.past = None;
        (self.resync_wanted, self.resync_at) = (false, None);
    }

    fn is_naive(&self) -> bool {
        self.policy == InstallPolicy::Naive
    }

    /// Who seals the byte at `offset`, and up to where the answer holds.
    pub(super) fn path(&self, offset: u64) -> (SealPath, u64) {
        let (start, end) = (self.list.start(), self.list_end.unwrap_or(u64::MAX));
        if offset < start.min(end) {
            (SealPath::Sealed, start.min(end))
        } else if offset < end {
            (SealPath::Device, end)
        } else {
            (SealPath::Sealed, u64::MAX)
        }
    }

    pub(super) fn fall_back(
        &mut self,
        segment: &StreamSegment,
        newest: &TrafficKey,
    ) -> TransmitOutcome {
        let key = self.past.as_deref().unwrap_or(newest);
        match seal_segment(&self.list, key, segment.offset, segment.bytes.len()) {
            Some(bytes) => {
                self.tally.fallback_bytes += bytes.len() as u64;
                TransmitOutcome::Fallback(bytes)
            }
            None => self.drop_segment(),
        }
    }

    pub(super) const fn drop_segment(&mut self) -> TransmitOutcome {
        self.tally.dropped_segments += 1;
        TransmitOutcome::Dropped
    }
}
