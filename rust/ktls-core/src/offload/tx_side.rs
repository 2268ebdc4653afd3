//! The sending direction over a device: the socket's own [`Tx`] with the rules of [`TxPhase`].
//!
//! One send serves both paths (R-API-2): records are framed for the device or sealed, as the phase says,
//! and the socket's operations never change (R-TX-2).

use crate::crypto_info::Direction;
use crate::key::TrafficKey;
use crate::offload::count::{Carrier, Gauges};
use crate::offload::device::{Connection, Netdev, OffloadDevice};
use crate::offload::fallback::seal_segment;
use crate::offload::policy::Policy;
use crate::offload::record_list::RecordList;
use crate::offload::rings::Descriptor;
use crate::offload::tx::{Line, TxEvent, TxPhase};
use crate::slot::SlotId;
use crate::socket::{Fault, Shared, Tx};
use crate::stats::Stats;

/// What a sending direction knows of its device.
#[derive(Debug)]
pub struct TxOffload {
    policy: Policy,
    connection: Connection,
    phase: TxPhase,
    gauges: Gauges,
    /// The device's key.
    slot: Option<SlotId>,
    list: RecordList,
    /// Where the device's records end, once they do.
    list_end: Option<u64>,
    /// The key of `list` when it is not the newest.
    past: Option<TrafficKey>,
    /// The offset behind the last record.
    write: u64,
    acked: u64,
    /// The device has lost its place (D-11).
    resync_wanted: bool,
    resync_at: Option<(u64, u64)>,
    tally: TxTally,
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
pub enum Path {
    /// They are sealed.
    Sealed,
    /// They are plaintext, framed for the device.
    Device,
}

/// A piece of the stream on its way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    /// What the caller knows it by.
    pub id: u64,
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether they are sealed: as it was when TCP took them.
    pub path: Path,
}

/// What became of a segment (D-10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transmit {
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
    pub(crate) const fn on_device(&self) -> bool {
        self.phase.on_device()
    }

    /// A record was framed for the device (D-6, D-11).
    pub(crate) fn framed(&mut self, seq: u64, record: &[u8]) {
        if std::mem::take(&mut self.resync_wanted) {
            self.resync_at = Some((self.write, seq));
        }
        self.list.push(record.to_vec());
        self.write += record.len() as u64;
        self.tally.device_records += 1;
    }

    /// A record was sealed in software.
    pub(crate) const fn sealed(&mut self, len: usize) {
        self.write += len as u64;
        self.tally.software_records += 1;
    }

    /// The key that was in use until now; kept for what the device has not got through.
    pub(crate) fn replaced(&mut self, past: TrafficKey) {
        if self.on_device() && self.policy != Policy::Naive {
            self.past = Some(past);
        }
    }

    fn on(&mut self, event: TxEvent, stats: &Stats) -> bool {
        let was_on_device = self.on_device();
        let step = self.phase.on(self.policy, event);
        self.phase = step.phase;
        self.gauges
            .show(carrier(step.phase), step.phase.is_rekeying(), stats);
        self.gauges.count(step.outcome, stats);
        if was_on_device && !self.on_device() && self.policy != Policy::Naive {
            self.list_end = Some(self.write);
        }
        step.install
    }

    fn give_key(&mut self, key: &TrafficKey, seq: u64, device: &mut dyn OffloadDevice) -> TxEvent {
        if let Some(slot) = self.slot.take() {
            // A slot that is gone by itself is as good as deleted.
            let _ = device.dev_del(slot);
        }
        let info = key.live_info(seq);
        match device.dev_add(self.connection, Direction::Tx, &info, self.write) {
            Err(_) => {
                self.list_end.get_or_insert(self.write);
                TxEvent::Refused
            }
            Ok(slot) => {
                self.slot = Some(slot);
                if self.policy != Policy::Naive {
                    self.list = RecordList::new(self.write, seq);
                }
                self.list_end = None;
                TxEvent::Installed
            }
        }
    }

    fn segment_to_device(
        &self,
        segment: Segment,
        device: &mut dyn OffloadDevice,
    ) -> Option<Segment> {
        let Some(slot) = self.slot else {
            return Some(segment);
        };
        let Segment {
            id,
            offset,
            bytes,
            path,
        } = segment;
        let descriptor = Descriptor {
            id,
            slot,
            offset,
            bytes,
        };
        let refused = device.submit(descriptor).err()?.descriptor;
        Some(Segment {
            bytes: refused.bytes,
            id,
            offset,
            path,
        })
    }

    fn fall_back(&mut self, segment: &Segment, newest: &TrafficKey) -> Transmit {
        let key = self.past.as_ref().unwrap_or(newest);
        match seal_segment(&self.list, key, segment.offset, segment.bytes.len()) {
            Some(bytes) => {
                self.tally.fallback_bytes += bytes.len() as u64;
                Transmit::Fallback(bytes)
            }
            None => {
                self.tally.dropped_segments += 1;
                Transmit::Dropped
            }
        }
    }
}

/// The sending direction over a device.
impl Tx {
    /// Tries to hand the first key, just installed, to a device; without one, or refused, it stays in
    /// software (D-2, D-6).
    pub fn start_offload(
        &mut self,
        policy: Policy,
        connection: Connection,
        device: &mut dyn OffloadDevice,
        stats: &Stats,
    ) {
        let Some((key, seq)) = self.key_and_seq() else {
            return;
        };
        let mut offload = TxOffload {
            policy,
            connection,
            phase: TxPhase::Software,
            gauges: Gauges::new(Direction::Tx),
            slot: None,
            list: RecordList::default(),
            list_end: Some(0),
            past: None,
            write: 0,
            acked: 0,
            resync_wanted: false,
            resync_at: None,
            tally: TxTally::default(),
        };
        if offload.give_key(key, seq, device) == TxEvent::Installed {
            offload.phase = TxPhase::Offloaded;
        }
        offload.gauges.start(carrier(offload.phase), stats);
        self.offload = Some(offload);
    }

    /// `TLS_TX` with the next key of a direction that may be the device's (R-API-1).
    ///
    /// # Errors
    /// EAGAIN by V17, when a record is open and TCP has no `room` to flush it (V-TX-2): nothing
    /// changed then. What sealing that record says.
    pub fn rekey(
        &mut self,
        key: TrafficKey,
        room: usize,
        device: &mut dyn OffloadDevice,
        shared: &Shared,
    ) -> Result<(), Fault> {
        let flush = self
            .offload
            .as_ref()
            .is_some_and(|offload| offload.policy.flushes_open_record());
        if flush && self.open_len() > 0 {
            if room == 0 {
                return Err(Fault::System(crate::Errno::Again.code()));
            }
            self.close_open(shared)?;
        }
        self.install(key);
        let open = self.open_len();
        let Some(offload) = &mut self.offload else {
            return Ok(());
        };
        let line = Line {
            write: offload.write,
            acked: offload.acked,
            open,
        };
        if offload.on(TxEvent::Key(line), &shared.stats) {
            self.give_newest_key(device, &shared.stats);
        }
        Ok(())
    }

    /// Before a sendmsg: where past keys are acknowledged, the open record is closed and the newest key
    /// goes to the device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// What closing the record says; the next sendmsg tries again.
    pub fn begin_send(
        &mut self,
        device: &mut dyn OffloadDevice,
        shared: &Shared,
    ) -> Result<(), Fault> {
        if self.phase() == TxPhase::Ready {
            self.close_open(shared)?;
        }
        let Some(offload) = &mut self.offload else {
            return Ok(());
        };
        if offload.on(TxEvent::Send, &shared.stats) {
            self.give_newest_key(device, &shared.stats);
        }
        Ok(())
    }

    /// After a sendmsg: tells the device the place that it asked for (D-11).
    pub fn end_send(&mut self, device: &mut dyn OffloadDevice) {
        let Some(offload) = &mut self.offload else {
            return;
        };
        if let (Some(slot), Some((offset, seq))) = (offload.slot, offload.resync_at.take())
            && device.resync(slot, offset, seq).is_err()
        {
            // The flag is cleared on success only.
            offload.resync_wanted = true;
        }
    }

    /// The peer has acknowledged everything below `acked` (D-7, R-TX-6).
    pub fn acked(&mut self, acked: u64, stats: &Stats) {
        if let Some(offload) = &mut self.offload {
            offload.acked = acked;
            offload.list.trim(acked);
            offload.on(TxEvent::Acked(acked), stats);
        }
    }

    /// A segment leaves: by the device, by the fallback, or as it is (D-10).
    pub fn transmit(&mut self, segment: Segment, device: &mut dyn OffloadDevice) -> Transmit {
        if segment.path == Path::Sealed {
            return Transmit::Pass(segment.bytes);
        }
        let (Some(offload), Some(keyed)) = (&mut self.offload, &self.keyed) else {
            return Transmit::Dropped;
        };
        if segment.offset + (segment.bytes.len() as u64) <= offload.list.start() {
            offload.tally.dropped_segments += 1;
            return Transmit::Dropped;
        }
        let Some(segment) = offload.segment_to_device(segment, device) else {
            return Transmit::Queued;
        };
        let asked = offload.slot.and_then(|slot| device.request(slot));
        offload.resync_wanted |= asked.is_some();
        offload.fall_back(&segment, keyed.key())
    }

    /// Who seals the byte at `offset`, and up to where the answer holds.
    #[must_use]
    pub fn path(&self, offset: u64) -> (Path, u64) {
        let Some(offload) = &self.offload else {
            return (Path::Sealed, u64::MAX);
        };
        let (start, end) = (offload.list.start(), offload.list_end.unwrap_or(u64::MAX));
        if offset < start.min(end) {
            (Path::Sealed, start.min(end))
        } else if offset < end {
            (Path::Device, end)
        } else {
            (Path::Sealed, u64::MAX)
        }
    }

    /// The interface went down: the device's key is gone, the fallback does its work (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(offload) = &mut self.offload
            && device.netdev() == Netdev::Down
            && let Some(slot) = offload.slot.take()
        {
            // It may be gone already.
            let _ = device.dev_del(slot);
        }
    }

    /// The connection is closed: what is unacknowledged still leaves (V-TX-8).
    pub fn close_offload(&mut self, stats: &Stats) {
        if let Some(offload) = &mut self.offload {
            offload.on(TxEvent::Close, stats);
        }
    }

    /// Nothing is unacknowledged any more: the device forgets the connection.
    pub fn release_device(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(slot) = self
            .offload
            .as_mut()
            .and_then(|offload| offload.slot.take())
        {
            // It may be gone already.
            let _ = device.dev_del(slot);
        }
    }

    /// Where the direction stands.
    #[must_use]
    pub fn phase(&self) -> TxPhase {
        self.offload
            .as_ref()
            .map_or(TxPhase::Software, |offload| offload.phase)
    }

    /// How much was done where.
    #[must_use]
    pub fn tally(&self) -> TxTally {
        self.offload
            .as_ref()
            .map_or_else(TxTally::default, |offload| offload.tally)
    }

    /// The stream offset behind the last record.
    #[must_use]
    pub fn write_offset(&self) -> u64 {
        self.offload.as_ref().map_or(0, |offload| offload.write)
    }

    fn give_newest_key(&mut self, device: &mut dyn OffloadDevice, stats: &Stats) {
        let (Some(offload), Some(keyed)) = (&mut self.offload, &self.keyed) else {
            return;
        };
        let verdict = offload.give_key(keyed.key(), keyed.seq(), device);
        offload.past = None;
        offload.on(verdict, stats);
    }

    fn key_and_seq(&self) -> Option<(&TrafficKey, u64)> {
        self.keyed.as_ref().map(|keyed| (keyed.key(), keyed.seq()))
    }
}

const fn carrier(phase: TxPhase) -> Carrier {
    match phase {
        TxPhase::Closed => Carrier::Nothing,
        phase if phase.counts_as_device() => Carrier::Device,
        _ => Carrier::Software,
    }
}
