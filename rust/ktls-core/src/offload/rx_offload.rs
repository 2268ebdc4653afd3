//! The receiving direction over a device: the socket's own [`SocketRx`] with the rules of [`RxPhase`].

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::key::TrafficKey;
use crate::offload::count::{Carrier, OffloadGauges};
use crate::offload::device::{DeviceConnection, NetdevState, OffloadDevice, SegmentMark};
use crate::offload::marks::{DeviceTouch, StreamMarks};
use crate::offload::policy::InstallPolicy;
use crate::offload::resync::{RecordPosition, ResyncHead, ResyncState};
use crate::offload::rx::{RxDeed, RxOffloadEvent, RxPhase, UnreadStream};
use crate::slot::SlotId;
use crate::socket::SocketRx;
use crate::stats::{Counter, Stats};

/// What a receiving direction knows of its device.
#[derive(Debug)]
pub struct RxOffload {
    policy: InstallPolicy,
    connection: DeviceConnection,
    phase: RxPhase,
    gauges: OffloadGauges,
    /// The key slot that is in the device now.
    slot: Option<SlotId>,
    /// The slot that held the newest key, in the device or deleted.
    key_slot: Option<SlotId>,
    marks: StreamMarks,
    past: Vec<PastKey>,
    resync: ResyncState,
    arrived: ArrivedStream,
    deed: Option<DeviceRequest>,
    /// A KeyUpdate was read behind the record at which the device is to get the newest key.
    key_update_waits: bool,
    tell: Option<RecordPosition>,
    tally: RxTally,
}

/// A key that the device had, while bytes wait that it may have been used on.
#[derive(Debug)]
struct PastKey {
    slot: SlotId,
    key: TrafficKey,
    /// The number that the record at the head had under this key.
    seq: u64,
    /// Nothing from here on was touched.
    until: u64,
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ArrivedStream {
    /// The offset of the first byte that is missing (`rcv_nxt`).
    pub in_order: u64,
    /// The offset behind the last byte that has come, out of order or not.
    pub farthest: u64,
}

/// Something to ask of the device when the call is over.
#[derive(Debug)]
enum DeviceRequest {
    Delete,
    /// Start and number of the record at which the newest key begins in the device.
    Install(RecordPosition),
}

/// How much was done where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RxTally {
    /// Records that the device opened.
    pub device_records: u64,
    /// Records that software opened.
    pub software_records: u64,
    /// Records of which the device had touched a part, or with the wrong key.
    pub regained_records: u64,
    /// Bytes that were encrypted again to get the ciphertext back.
    pub regained_bytes: u64,
}

/// Who has to open the record at the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeadOpener {
    /// The device did.
    Opened,
    /// Software does: the ciphertext is there.
    Sealed,
}

impl RxOffload {
    /// Looks at the record at the head; its ciphertext is put back where the device has spoilt it (D-12).
    pub(crate) fn judge(&mut self, record: &mut [u8], key: &TrafficKey, seq: u64) -> HeadOpener {
        let touch = self.marks.touch(record.len());
        self.note(touch, record.len() as u64, seq);
        match touch {
            DeviceTouch::All(slot) if self.key_slot == Some(slot) => {
                self.tally.device_records += 1;
                return HeadOpener::Opened;
            }
            DeviceTouch::All(_) | DeviceTouch::Some => self.regain(record, key, seq),
            DeviceTouch::None => {}
        }
        self.tally.software_records += 1;
        HeadOpener::Sealed
    }

    /// The record at the head was opened.
    pub(crate) fn spent(&mut self, len: usize) {
        self.marks.consume(len);
        let head = self.marks.head();
        self.past.retain(|past| past.until > head);
        for past in &mut self.past {
            past.seq = past.seq.wrapping_add(1);
        }
    }

    /// V-RX-1. An install that this call has planned comes first.
    pub(crate) fn key_update_read(&mut self, stats: &Stats) {
        if self.phase == RxPhase::Installing {
            self.key_update_waits = true;
            return;
        }
        self.on(RxOffloadEvent::KeyUpdateRead, (0, 0), stats);
    }

    /// The key that was in use until now, and the number its next record would have had (V-RX-4).
    pub(crate) fn replaced(&mut self, key: TrafficKey, seq: u64) {
        if let Some(slot) = self.key_slot.take() {
            let until = self.arrived.farthest;
            self.past.push(PastKey {
                slot,
                key,
                seq,
                until,
            });
        }
    }

    fn regain(&mut self, record: &mut [u8], key: &TrafficKey, seq: u64) {
        let (key_slot, past) = (self.key_slot, &self.past);
        let bytes = self.marks.regain(record, |slot| {
            if key_slot == Some(slot) {
                return Some((key, seq));
            }
            let past = past.iter().find(|past| past.slot == slot)?;
            Some((&past.key, past.seq))
        });
        self.tally.regained_records += 1;
        self.tally.regained_bytes += bytes as u64;
    }

    /// Tells the phase and the resync of the record at the head.
    fn note(&mut self, touch: DeviceTouch, len: u64, seq: u64) {
        let start = self.marks.head();
        let head = ResyncHead {
            start,
            end: start + len,
            seq,
            untouched: touch == DeviceTouch::None,
            last: self.arrived.in_order <= start + len,
        };
        if let Some(place) = self.resync.met(head) {
            self.tell = Some(place);
        }
        let event = match touch {
            DeviceTouch::None => RxOffloadEvent::Untouched { start },
            DeviceTouch::All(_) | DeviceTouch::Some => RxOffloadEvent::Touched { end: start + len },
        };
        // No update can get its outcome here, so nothing is counted.
        let step = self.phase.on(self.policy, event);
        self.phase = step.phase;
        self.plan(step.deed, (start, seq));
    }

    fn on(&mut self, event: RxOffloadEvent, place: RecordPosition, stats: &Stats) {
        let step = self.phase.on(self.policy, event);
        self.phase = step.phase;
        self.plan(step.deed, place);
        let carrier = carrier(step.phase, self.gauges.carrier());
        self.gauges.show(carrier, step.phase.is_rekeying(), stats);
        self.gauges.count(step.outcome, stats);
    }

    fn plan(&mut self, deed: Option<RxDeed>, place: RecordPosition) {
        match deed {
            None => {}
            Some(RxDeed::Delete) => self.deed = Some(DeviceRequest::Delete),
            Some(RxDeed::Install) => self.deed = Some(DeviceRequest::Install(place)),
        }
    }

    fn delete(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(slot) = self.slot.take() {
            // A slot that is gone by itself is as good as deleted.
            let _ = device.dev_del(slot);
        }
        self.tell = None;
    }

    /// Tells the device the place that is due, and hears its questions (D-13).
    fn resynchronise(&mut self, device: &mut dyn OffloadDevice, stats: &Stats) {
        let Some(slot) = self.slot else {
            return;
        };
        if let Some((offset, seq)) = self.tell.take() {
            stats.add(Counter::TlsRxDeviceResync);
            // There is no negative answer: a device that did not hear asks again.
            let _ = device.resync(slot, offset, seq);
        }
        while let Some(request) = device.request(slot) {
            self.resync.asked(request);
        }
    }

    /// dev_del of the past key, then dev_add of the newest (R-RX-2).
    fn install(
        &mut self,
        info: &CryptoInfo,
        start: u64,
        device: &mut dyn OffloadDevice,
    ) -> RxOffloadEvent {
        self.delete(device);
        match device.dev_add(self.connection, Direction::Rx, info, start) {
            Err(_) => RxOffloadEvent::Refused,
            Ok(slot) => {
                (self.slot, self.key_slot) = (Some(slot), Some(slot));
                self.resync = ResyncState::new(device.capabilities().resync);
                RxOffloadEvent::Installed
            }
        }
    }
}

/// The receiving direction over a device.
impl SocketRx {
    /// Tries to hand the first key to a device; without one, or refused, it stays in software (D-2, D-3).
    pub fn start_offload(
        &mut self,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Stats,
    ) {
        let mut offload = RxOffload {
            policy,
            connection,
            phase: RxPhase::Software,
            gauges: OffloadGauges::new(Direction::Rx),
            slot: None,
            key_slot: None,
            marks: StreamMarks::default(),
            past: Vec::new(),
            resync: ResyncState::new(device.capabilities().resync),
            arrived: ArrivedStream::default(),
            deed: None,
            key_update_waits: false,
            tell: None,
            tally: RxTally::default(),
        };
        if offload.install(&self.live_info(), 0, device) == RxOffloadEvent::Installed {
            offload.phase = RxPhase::Offloaded;
        }
        let carrier = carrier(offload.phase, Carrier::Software);
        offload.gauges.start(carrier, stats);
        self.offload = Some(offload);
    }

    /// The next bytes, of which [`SocketRx::fed`] will tell, came with this mark.
    pub fn marked(&mut self, len: usize, mark: SegmentMark) {
        if let Some(offload) = &mut self.offload {
            offload.marks.push(len, mark);
        }
    }

    /// The stream has come so far.
    pub fn arrived(&mut self, arrived: ArrivedStream) {
        if let Some(offload) = &mut self.offload {
            offload.arrived = arrived;
        }
    }

    /// `TLS_RX` with the next key of a direction that may be the device's.
    ///
    /// # Errors
    /// As [`SocketRx::install`].
    pub fn rekey(
        &mut self,
        key: TrafficKey,
        device: &mut dyn OffloadDevice,
        stats: &Stats,
    ) -> Result<(), Error> {
        self.serve_device(device, stats);
        self.install(key)?;
        let seq = self.seq();
        let Some(offload) = &mut self.offload else {
            return Ok(());
        };
        let queue = UnreadStream {
            head: offload.marks.head(),
            received: offload.arrived.farthest.max(offload.arrived.in_order),
        };
        let place = (queue.head, seq);
        offload.on(RxOffloadEvent::Key(queue), place, stats);
        self.serve_device(device, stats);
        Ok(())
    }

    /// After a call: does what it left to be asked of the device, and hears the device's questions.
    pub fn serve_device(&mut self, device: &mut dyn OffloadDevice, stats: &Stats) {
        let mut info = self.key().info().clone();
        let Some(offload) = &mut self.offload else {
            return;
        };
        while let Some(deed) = offload.deed.take() {
            match deed {
                DeviceRequest::Delete => offload.delete(device),
                DeviceRequest::Install((start, seq)) => {
                    info.rec_seq = seq;
                    let verdict = offload.install(&info, start, device);
                    offload.on(verdict, (0, 0), stats);
                }
            }
            if std::mem::take(&mut offload.key_update_waits) {
                offload.key_update_read(stats);
            }
        }
        offload.resynchronise(device, stats);
    }

    /// The interface went down: the device's key is gone, software opens (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(offload) = &mut self.offload
            && device.netdev() == NetdevState::Down
        {
            offload.delete(device);
        }
    }

    /// The connection is closed (V-RX-6).
    pub fn close_offload(&mut self, device: &mut dyn OffloadDevice, stats: &Stats) {
        if let Some(offload) = &mut self.offload {
            offload.on(RxOffloadEvent::Close, (0, 0), stats);
            offload.delete(device);
        }
    }

    /// Where the direction stands.
    #[must_use]
    pub fn phase(&self) -> RxPhase {
        self.offload
            .as_ref()
            .map_or(RxPhase::Software, |offload| offload.phase)
    }

    /// How much was done where.
    #[must_use]
    pub fn tally(&self) -> RxTally {
        self.offload
            .as_ref()
            .map_or_else(RxTally::default, |offload| offload.tally)
    }
}

const fn carrier(phase: RxPhase, before: Carrier) -> Carrier {
    match phase {
        RxPhase::Closed => Carrier::Nothing,
        phase if phase.counts_as_device(matches!(before, Carrier::Device)) => Carrier::Device,
        _ => Carrier::Software,
    }
}
