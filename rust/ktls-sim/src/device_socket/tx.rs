//! A sending socket over a device that works inline.
//!
//! One send serves both paths (R-API-2): the socket frames records for the device or seals them, as the
//! driver tells it, and its operations never change (R-TX-2).

use std::sync::Arc;

use ktls_core::crypto_info::Direction;
use ktls_core::key::TrafficKey;
use ktls_core::offload::{
    InstallPolicy, KeySlots, OffloadDriver, SendingStream, TxMachine, TxOffloadEvent, TxPhase,
};
use ktls_core::slot::SlotId;
use ktls_core::socket::{CallFault, JobSealer, SocketShared, SocketTx};
use ktls_core::stats::Stats;

use crate::device::{DeviceConnection, NetdevState, OffloadDevice, SegmentDescriptor};
use crate::device_socket::tx_records::{
    SealPath, SharedRecords, StreamSegment, TransmitOutcome, TxTally,
};
use crate::planted::{FaultKind, PlantedMachine, PlantedStream};

/// A sending socket and what it knows of its device.
#[derive(Debug)]
pub struct DeviceSocketTx {
    end: SendingEnd,
    driver: OffloadDriver<PlantedMachine<TxMachine>, SlotId>,
    /// The offset up to which the peer has acknowledged.
    acked: u64,
}

/// The socket and its records.
#[derive(Debug)]
struct SendingEnd {
    socket: SocketTx,
    records: SharedRecords,
    connection: DeviceConnection,
    fault: Option<FaultKind>,
}

impl DeviceSocketTx {
    /// Offers the first key, which `socket` has, to a device; refused, the direction stays in software
    /// (D-2, D-6).
    pub fn start(
        socket: SocketTx,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Arc<Stats>,
    ) -> Self {
        Self::start_with(socket, policy, connection, device, stats, None)
    }

    /// The same with a fault in the driver.
    pub(crate) fn start_with(
        mut socket: SocketTx,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Arc<Stats>,
        fault: Option<FaultKind>,
    ) -> Self {
        let records = SharedRecords::new(policy);
        socket.frame_by(Box::new(records.clone()));
        let mut end = SendingEnd {
            socket,
            records,
            connection,
            fault,
        };
        let inner = TxMachine(policy);
        let machine = PlantedMachine { inner, fault };
        let driver = OffloadDriver::offer(machine, &mut end.slots(device), stats)
            .unwrap_or_else(|machine| OffloadDriver::in_software(machine, stats));
        if driver.phase().on_device() {
            end.records.lock().seal_by(JobSealer::Worker);
        }
        Self {
            end,
            driver,
            acked: 0,
        }
    }

    /// The socket.
    #[must_use]
    pub const fn socket(&self) -> &SocketTx {
        &self.end.socket
    }

    /// The socket, to send and to take its bytes.
    pub const fn socket_mut(&mut self) -> &mut SocketTx {
        &mut self.end.socket
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
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        let acked = self.acked;
        let stream = &mut self.end.stream(device, shared, room, acked);
        self.driver.rekey(key, stream)
    }

    /// Before a sendmsg: where past keys are acknowledged, the open record is closed and the newest key
    /// goes to the device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// What closing the record says; the next sendmsg tries again.
    pub fn begin_send(
        &mut self,
        device: &mut dyn OffloadDevice,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        let acked = self.acked;
        let stream = &mut self.end.stream(device, shared, usize::MAX, acked);
        self.driver.begin_send(stream)
    }

    /// After a sendmsg: tells the device the place that it asked for (D-11).
    pub fn end_send(&mut self, device: &mut dyn OffloadDevice) {
        let mut records = self.end.records.lock();
        if let (Some(&slot), Some((offset, seq))) = (self.driver.slot(), records.resync_at.take())
            && device.resync(slot, offset, seq).is_err()
        {
            // The flag is cleared on success only.
            records.resync_wanted = true;
        }
    }

    /// The peer has acknowledged everything below `acked`, and the driver takes note (D-7, R-TX-6).
    pub fn acked(&mut self, acked: u64) {
        self.acked_unnoted(acked);
        self.driver.note(TxOffloadEvent::Acked(acked));
    }

    /// The same for a driver that asks at the next send.
    pub fn acked_unnoted(&mut self, acked: u64) {
        self.acked = acked;
        self.end.records.lock().list.trim(acked);
    }

    /// A segment leaves: by the device, by the fallback, or as it is (D-10).
    pub fn transmit(
        &mut self,
        segment: StreamSegment,
        device: &mut dyn OffloadDevice,
    ) -> TransmitOutcome {
        if segment.path == SealPath::Sealed {
            return TransmitOutcome::Pass(segment.bytes);
        }
        let mut records = self.end.records.lock();
        if segment.offset + (segment.bytes.len() as u64) <= records.list.start() {
            return records.drop_segment();
        }
        let slot = self.driver.slot().copied();
        let Some(segment) = submit(segment, slot, device) else {
            return TransmitOutcome::Queued;
        };
        let asked = slot.and_then(|slot| device.request(slot));
        records.resync_wanted |= asked.is_some();
        match self.end.socket.key() {
            Some(newest) => records.fall_back(&segment, newest),
            None => TransmitOutcome::Dropped,
        }
    }

    /// Who seals the byte at `offset`, and up to where the answer holds.
    #[must_use]
    pub fn path(&self, offset: u64) -> (SealPath, u64) {
        self.end.records.lock().path(offset)
    }

    /// The interface went down: the device's key is gone, the fallback does its work (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if device.netdev() == NetdevState::Down {
            self.release_device(device);
        }
    }

    /// The connection is closed: what is unacknowledged still leaves (V-TX-8).
    pub fn close_offload(&mut self) {
        self.driver.note(TxOffloadEvent::Close);
        self.end.records.lock().seal_by(JobSealer::Caller);
    }

    /// Nothing is unacknowledged any more: the device forgets the connection.
    pub fn release_device(&mut self, device: &mut dyn OffloadDevice) {
        self.driver.delete(&mut self.end.slots(device));
    }

    /// Where the direction stands.
    #[must_use]
    pub const fn phase(&self) -> TxPhase {
        self.driver.phase()
    }

    /// How much was done where.
    #[must_use]
    pub fn tally(&self) -> TxTally {
        self.end.records.lock().tally
    }

    /// The stream offset behind the last record.
    #[must_use]
    pub fn write_offset(&self) -> u64 {
        self.end.records.lock().write
    }
}

/// Gives a segment to the device; returns it if the device does not take it.
fn submit(
    segment: StreamSegment,
    slot: Option<SlotId>,
    device: &mut dyn OffloadDevice,
) -> Option<StreamSegment> {
    let Some(slot) = slot else {
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

impl SendingEnd {
    const fn slots<'a>(
        &'a mut self,
        device: &'a mut dyn OffloadDevice,
    ) -> PlantedStream<TxSlots<'a>> {
        let fault = self.fault;
        PlantedStream::new(TxSlots { end: self, device }, fault)
    }

    const fn stream<'a>(
        &'a mut self,
        device: &'a mut dyn OffloadDevice,
        shared: &'a SocketShared,
        room: usize,
        acked: u64,
    ) -> PlantedStream<DeviceStream<'a>> {
        let fault = self.fault;
        let stream = DeviceStream {
            slots: TxSlots { end: self, device },
            shared,
            room,
            acked,
        };
        PlantedStream::new(stream, fault)
    }
}

/// The key slots of the device, for the newest key of the socket.
struct TxSlots<'a> {
    end: &'a mut SendingEnd,
    device: &'a mut dyn OffloadDevice,
}

impl KeySlots for TxSlots<'_> {
    type Slot = SlotId;

    fn add(&mut self) -> Option<SlotId> {
        let info = self.end.socket.live_info()?;
        let mut records = self.end.records.lock();
        let added = self
            .device
            .dev_add(self.end.connection, Direction::Tx, &info, records.write);
        match added {
            Ok(_) => records.begin_list(info.rec_seq),
            Err(_) => records.end_list(),
        }
        added.ok()
    }

    fn delete(&mut self, slot: SlotId) {
        // A slot that is gone by itself is as good as deleted.
        let _ = self.device.dev_del(slot);
    }
}

/// The sending direction during one call of the driver.
struct DeviceStream<'a> {
    slots: TxSlots<'a>,
    shared: &'a SocketShared,
    /// Bytes that TCP has room for.
    room: usize,
    acked: u64,
}

impl KeySlots for DeviceStream<'_> {
    type Slot = SlotId;

    fn add(&mut self) -> Option<SlotId> {
        self.slots.add()
    }

    fn delete(&mut self, slot: SlotId) {
        self.slots.delete(slot);
    }
}

impl SendingStream for DeviceStream<'_> {
    type Fault = CallFault;

    fn open_len(&self) -> usize {
        self.slots.end.socket.open_len()
    }

    fn check_room(&self) -> Result<(), CallFault> {
        match self.room {
            0 => Err(CallFault::System(ktls_core::Errno::Again.code())),
            _ => Ok(()),
        }
    }

    fn close_open(&mut self) -> Result<(), CallFault> {
        self.slots.end.socket.close_open(self.shared)
    }

    fn install(&mut self, key: TrafficKey) {
        self.slots.end.socket.install(key);
    }

    fn write_offset(&self) -> u64 {
        self.slots.end.records.lock().write
    }

    fn acknowledged(&self) -> u64 {
        self.acked
    }

    fn seal_by(&mut self, sealer: JobSealer) {
        self.slots.end.records.lock().seal_by(sealer);
    }
}
