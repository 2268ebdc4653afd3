//! The records that a sending direction frames for its device, and the segments cut from them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ktls_core::key::TrafficKey;
use ktls_core::offload::InstallPolicy;
use ktls_core::socket::{JobSealer, RecordFramer};

use crate::device_socket::fallback::seal_segment;
use crate::device_socket::record_list::RecordList;
use crate::nic::framed::frame;

/// The records of a sending direction that the device may still need.
#[derive(Debug)]
pub(super) struct DeviceRecords {
    policy: InstallPolicy,
    /// What seals the next record. The worker stands for the device.
    sealer: JobSealer,
    pub(super) list: RecordList,
    /// The offset where the device's records end, or `None` while they continue.
    list_end: Option<u64>,
    /// The key of `list`, if it is not the newest key.
    past: Option<Arc<TrafficKey>>,
    /// The offset after the last record.
    pub(super) write: u64,
    /// Whether the device has lost its place (D-11).
    pub(super) resync_wanted: bool,
    pub(super) resync_at: Option<(u64, u64)>,
    pub(super) tally: TxTally,
}

/// The numbers of records and segments of a sending direction, by the way in which they were
/// sealed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TxTally {
    /// Number of records framed for the device.
    pub device_records: u64,
    /// Number of records sealed in software.
    pub software_records: u64,
    /// Number of bytes of segments sealed by the fallback.
    pub fallback_bytes: u64,
    /// Number of segments dropped because their records were acknowledged.
    pub dropped_segments: u64,
}

/// The form that the socket makes a range of the stream in, which decides what seals it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SealPath {
    /// Sealed by software.
    Sealed,
    /// Framed as plaintext for the device to seal.
    Device,
}

/// A segment of the stream on its way to the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamSegment {
    /// The caller's number for it.
    pub id: u64,
    /// The offset where it starts.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether they are sealed or framed, determined when TCP took them.
    pub path: SealPath,
}

/// The outcome of passing a segment to the device (D-10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TransmitOutcome {
    /// The device has queued the segment.
    Queued,
    /// The segment may be sent unchanged.
    Pass(Vec<u8>),
    /// The segment was sealed by the fallback and may be sent.
    Fallback(Vec<u8>),
    /// The segment must not be sent: its records are acknowledged, and only their plaintext is
    /// left (V-TX-9).
    Dropped,
}

/// The records, shared between the socket that makes them and the calls that send them.
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
    /// Adds a record that was framed for the device (D-6, D-11).
    fn framed(&mut self, seq: u64, record: &[u8]) {
        if std::mem::take(&mut self.resync_wanted) {
            self.resync_at = Some((self.write, seq));
        }
        self.list.push(record.into());
        self.write += record.len() as u64;
        self.tally.device_records += 1;
    }

    /// Counts a record that was sealed in software.
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

    /// Begins a new list, after the device has accepted a key whose first record has the number
    /// `seq`.
    pub(super) fn begin_list(&mut self, seq: u64) {
        if !self.is_naive() {
            self.list = RecordList::new(self.write, seq);
        }
        self.list_end = None;
        self.forget_past();
    }

    /// Ends the list, after the device has refused a key.
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

    /// Returns the path of the byte at `offset`, and the offset up to which this path holds.
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
