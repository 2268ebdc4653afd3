//! What a sending direction knows of its device, by the rules of [`TxPhase`].

use std::sync::Arc;

use crate::crypto_info::Direction;
use crate::key::TrafficKey;
use crate::offload::count::{Carrier, OffloadGauges};
use crate::offload::device::{DeviceConnection, OffloadDevice};
use crate::offload::fallback::seal_segment;
use crate::offload::policy::InstallPolicy;
use crate::offload::record_list::RecordList;
use crate::offload::rings::SegmentDescriptor;
use crate::offload::tx::{TxOffloadEvent, TxPhase};
use crate::slot::SlotId;
use crate::stats::Stats;

/// What a sending direction knows of its device.
#[derive(Debug)]
pub struct TxOffload {
    pub(super) policy: InstallPolicy,
    connection: DeviceConnection,
    pub(super) phase: TxPhase,
    gauges: OffloadGauges,
    /// The device's key.
    pub(super) slot: Option<SlotId>,
    pub(super) list: RecordList,
    /// Where the device's records end, once they do.
    pub(super) list_end: Option<u64>,
    /// The key of `list` when it is not the newest.
    pub(super) past: Option<Arc<TrafficKey>>,
    /// The offset behind the last record.
    pub(super) write: u64,
    pub(super) acked: u64,
    /// The device has lost its place (D-11).
    pub(super) resync_wanted: bool,
    pub(super) resync_at: Option<(u64, u64)>,
    pub(super) tally: TxTally,
}

/// How much was done where.
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
    /// What the caller knows it by.
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

impl TxOffload {
    /// In software, with nothing written.
    pub(super) fn new(policy: InstallPolicy, connection: DeviceConnection) -> Self {
        Self {
            policy,
            connection,
            phase: TxPhase::Software,
            gauges: OffloadGauges::new(Direction::Tx),
            slot: None,
            list: RecordList::default(),
            list_end: Some(0),
            past: None,
            write: 0,
            acked: 0,
            resync_wanted: false,
            resync_at: None,
            tally: TxTally::default(),
        }
    }

    /// Counts the first key.
    pub(super) fn start(&mut self, stats: &Stats) {
        self.gauges.start(carrier(self.phase), stats);
    }

    pub(crate) const fn on_device(&self) -> bool {
        self.phase.on_device()
    }

    /// A record was framed for the device (D-6, D-11).
    pub(crate) fn framed(&mut self, seq: u64, record: &[u8]) {
        if std::mem::take(&mut self.resync_wanted) {
            self.resync_at = Some((self.write, seq));
        }
        self.list.push(record.into());
        self.write += record.len() as u64;
        self.tally.device_records += 1;
    }

    /// A record was sealed in software.
    pub(crate) const fn sealed(&mut self, len: usize) {
        self.write += len as u64;
        self.tally.software_records += 1;
    }

    /// The key that was in use until now; kept for what the device has not got through.
    pub(crate) fn replaced(&mut self, past: Arc<TrafficKey>) {
        if self.on_device() && self.policy != InstallPolicy::Naive {
            self.past = Some(past);
        }
    }

    pub(super) fn on(&mut self, event: TxOffloadEvent, stats: &Stats) -> bool {
        let was_on_device = self.on_device();
        let step = self.phase.on(self.policy, event);
        self.phase = step.phase;
        self.gauges
            .show(carrier(step.phase), step.phase.is_rekeying(), stats);
        self.gauges.count(step.outcome, stats);
        if was_on_device && !self.on_device() && self.policy != InstallPolicy::Naive {
            self.list_end = Some(self.write);
        }
        step.install
    }

    pub(super) fn give_key(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        device: &mut dyn OffloadDevice,
    ) -> TxOffloadEvent {
        if let Some(slot) = self.slot.take() {
            // A slot that is gone by itself is as good as deleted.
            let _ = device.dev_del(slot);
        }
        (self.resync_wanted, self.resync_at) = (false, None);
        let info = key.live_info(seq);
        match device.dev_add(self.connection, Direction::Tx, &info, self.write) {
            Err(_) => {
                self.list_end.get_or_insert(self.write);
                TxOffloadEvent::Refused
            }
            Ok(slot) => {
                self.slot = Some(slot);
                if self.policy != InstallPolicy::Naive {
                    self.list = RecordList::new(self.write, seq);
                }
                self.list_end = None;
                TxOffloadEvent::Installed
            }
        }
    }

    pub(super) fn segment_to_device(
        &self,
        segment: StreamSegment,
        device: &mut dyn OffloadDevice,
    ) -> Option<StreamSegment> {
        let Some(slot) = self.slot else {
            return Some(segment);
        };
        let StreamSegment {
            id,
            offset,
            bytes,
            path,
        } = segment;
        let descriptor = SegmentDescriptor {
            id,
            slot,
            offset,
            bytes,
        };
        let refused = device.submit(descriptor).err()?.descriptor;
        Some(StreamSegment {
            bytes: refused.bytes,
            id,
            offset,
            path,
        })
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
            None => {
                self.tally.dropped_segments += 1;
                TransmitOutcome::Dropped
            }
        }
    }
}

const fn carrier(phase: TxPhase) -> Carrier {
    match phase {
        TxPhase::Closed => Carrier::Nothing,
        phase if phase.counts_as_device() => Carrier::Device,
        _ => Carrier::Software,
    }
}
