//! A sending socket over a device that works inline.
//!
//! One send call serves both paths (R-API-2): the driver decides whether the socket frames records
//! for the device or seals them. The operations of the socket never change (R-TX-2).

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
use crate::planted_faults::{FaultKind, PlantedMachine, PlantedStream};

/// A sending socket and the state that concerns its device.
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
    /// Offers the first key, which `socket` has, to a device. If the device refuses it, the
    /// direction stays in software (D-2, D-6).
    pub fn start(
        socket: SocketTx,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Arc<Stats>,
    ) -> Self {
        Self::start_with(socket, policy, connection, device, stats, None)
    }

    /// Starts with a fault planted in the driver. See [`DeviceSocketTx::start`].
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

    /// Returns the socket.
    #[must_use]
    pub const fn socket(&self) -> &SocketTx {
        &self.end.socket
    }

    /// Returns the socket, to send and to take its bytes.
    pub const fn socket_mut(&mut self) -> &mut SocketTx {
        &mut self.end.socket
    }

    /// Does `setsockopt(TLS_TX)` with the next key of a direction that may be offloaded (R-API-1).
    ///
    /// # Errors
    /// EAGAIN under the policy V17 if a record is open and TCP has no `room` to flush it (V-TX-2);
    /// nothing has changed then. Returns the errors of sealing that record.
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

    /// Prepares a sendmsg. If the records of past keys are acknowledged, closes the open record and
    /// installs the newest key in the device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// Returns the errors of closing the record; the next sendmsg tries again.
    pub fn begin_send(
        &mut self,
        device: &mut dyn OffloadDevice,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        let acked = self.acked;
        let stream = &mut self.end.stream(device, shared, usize::MAX, acked);
        self.driver.begin_send(stream)
    }

    /// Completes a sendmsg: tells the device the position that it asked for (D-11).
    pub fn end_send(&mut self, device: &mut dyn OffloadDevice) {
        let mut records = self.end.records.lock();
        if let (Some(&slot), Some((offset, seq))) = (self.driver.slot(), records.resync_at.take())
            && device.resync(slot, offset, seq).is_err()
        {
            // The flag is cleared on success only, so that the next record tries again.
            records.resync_wanted = true;
        }
    }

    /// Handles an acknowledgement of everything below `acked`, and notifies the driver (D-7,
    /// R-TX-6).
    pub fn acked(&mut self, acked: u64) {
        self.set_acked(acked);
        self.driver.note(TxOffloadEvent::Acked(acked));
    }

    /// Handles an acknowledgement of everything below `acked` without notifying the driver, which
    /// polls at the next send.
    pub fn set_acked(&mut self, acked: u64) {
        self.acked = acked;
        self.end.records.lock().list.trim(acked);
    }

    /// Sends a segment by the device, by the fallback, or unchanged (D-10).
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
            // Its records belong to an earlier list, which was acknowledged before the key changed.
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

    /// Returns the path of the byte at `offset`, and the offset up to which this path holds.
    #[must_use]
    pub fn path(&self, offset: u64) -> (SealPath, u64) {
        self.end.records.lock().path(offset)
    }

    /// Handles a change of the interface. If it is down, the device's key is deleted and the
    /// fallback seals the rest (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if device.netdev() == NetdevState::Down {
            self.release_device(device);
        }
    }

    /// Closes the direction. Unacknowledged bytes can still be sent (V-TX-8).
    pub fn close_offload(&mut self) {
        self.driver.note(TxOffloadEvent::Close);
        self.end.records.lock().seal_by(JobSealer::Caller);
    }

    /// Deletes the device's key. Call it when nothing is unacknowledged any more.
    pub fn release_device(&mut self, device: &mut dyn OffloadDevice) {
        self.driver.delete(&mut self.end.slots(device));
    }

    /// Returns the phase of the direction.
    #[must_use]
    pub const fn phase(&self) -> TxPhase {
        self.driver.phase()
    }

    /// Returns the numbers of records and segments sealed so far.
    #[must_use]
    pub fn tally(&self) -> TxTally {
        self.end.records.lock().tally
    }

    /// Returns the stream offset after the last record.
    #[must_use]
    pub fn write_offset(&self) -> u64 {
        self.end.records.lock().write
    }
}

/// Submits a segment to the device. Returns the segment if the device does not take it.
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
        // An error means that the slot is deleted already.
        let _ = self.device.dev_del(slot);
    }
}

/// The sending direction during one call of the driver.
struct DeviceStream<'a> {
    slots: TxSlots<'a>,
    shared: &'a SocketShared,
    /// Number of bytes that TCP has room for.
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
