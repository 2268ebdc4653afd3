//! A receiving socket over a device that works inline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ktls_core::crypto_info::CryptoInfo;
use ktls_core::error::Error;
use ktls_core::key::{InnerPlaintext, TrafficKey};
use ktls_core::offload::{
    InstallPolicy, KeyAction, OffloadDriver, RxMachine, RxOffloadEvent, RxPhase, UnreadStream,
};
use ktls_core::slot::SlotId;
use ktls_core::socket::{RecordOpener, SocketRx};
use ktls_core::stats::{Counter, Stats};

use crate::device::{DeviceConnection, NetdevState, OffloadDevice, SegmentMark};
use crate::device_socket::marks::{DeviceTouch, StreamMarks};
use crate::device_socket::resync::{RecordPosition, ResyncHead, ResyncState};
use crate::device_socket::rx_slots::DevicePlace;
use crate::nic::framed::read_opened;
use crate::planted_faults::{FaultKind, PlantedMachine};

/// A receiving socket and the state that concerns its device.
#[derive(Debug)]
pub struct DeviceSocketRx {
    socket: SocketRx,
    offload: SharedRxOffload,
}

/// The state that concerns the device, shared between the socket that opens records and the calls
/// that have access to the device.
#[derive(Clone, Debug)]
struct SharedRxOffload(Arc<Mutex<RxOffload>>);

#[derive(Debug)]
struct RxOffload {
    driver: OffloadDriver<PlantedMachine<RxMachine>, SlotId>,
    place: DevicePlace,
    /// The position where the newest key is to begin, while an install is requested.
    install_at: RecordPosition,
    marks: StreamMarks,
    past: Vec<PastKey>,
    arrived: ArrivedStream,
    /// Whether a KeyUpdate was read after the record at which the newest key is to be installed.
    key_update_waits: bool,
    tally: RxTally,
    stats: Arc<Stats>,
}

/// A key that the device had, kept while there are unread bytes that it may have been used on.
#[derive(Debug)]
struct PastKey {
    slot: SlotId,
    key: TrafficKey,
    /// The number that the record at the head has under this key.
    seq: u64,
    /// The offset from which no byte was touched with this key.
    until: u64,
}

/// How much of the stream has arrived.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ArrivedStream {
    /// The offset of the first missing byte (`rcv_nxt`).
    pub in_order: u64,
    /// The offset after the last byte that has arrived, in order or not.
    pub farthest: u64,
}

/// The numbers of records of a receiving direction, by what opened them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RxTally {
    /// Number of records that the device opened.
    pub device_records: u64,
    /// Number of records that software opened.
    pub software_records: u64,
    /// Number of records that the device had decrypted in part or with the wrong key.
    pub regained_records: u64,
    /// Number of bytes that were encrypted again to restore the ciphertext.
    pub regained_bytes: u64,
}

/// What opens the record at the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeadOpener {
    /// The device has opened it.
    Opened,
    /// Software opens it; the record is ciphertext.
    Sealed,
}

impl DeviceSocketRx {
    /// Offers the key of `socket` to a device. If the device refuses it, the direction stays in
    /// software (D-2, D-3).
    pub fn start(
        socket: SocketRx,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Arc<Stats>,
    ) -> Self {
        Self::start_with(socket, policy, connection, device, stats, None)
    }

    /// Starts with a fault planted in the driver. See [`DeviceSocketRx::start`].
    pub(crate) fn start_with(
        mut socket: SocketRx,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Arc<Stats>,
        fault: Option<FaultKind>,
    ) -> Self {
        let mut place = DevicePlace {
            connection,
            key_slot: None,
            resync: ResyncState::new(device.capabilities().resync),
            position_due: None,
            fault,
        };
        let inner = RxMachine(policy);
        let machine = PlantedMachine { inner, fault };
        let info = socket.live_info();
        let driver = OffloadDriver::offer(machine, &mut place.slots(device, info, 0), stats)
            .unwrap_or_else(|machine| OffloadDriver::in_software(machine, stats));
        let offload = SharedRxOffload(Arc::new(Mutex::new(RxOffload {
            driver,
            place,
            install_at: (0, 0),
            marks: StreamMarks::default(),
            past: Vec::new(),
            arrived: ArrivedStream::default(),
            key_update_waits: false,
            tally: RxTally::default(),
            stats: Arc::clone(stats),
        })));
        socket.open_by(Box::new(offload.clone()));
        Self { socket, offload }
    }

    /// Returns the socket.
    #[must_use]
    pub const fn socket(&self) -> &SocketRx {
        &self.socket
    }

    /// Returns the socket, to feed it and to receive.
    pub const fn socket_mut(&mut self) -> &mut SocketRx {
        &mut self.socket
    }

    /// Records the mark of the next `len` bytes. Call it before [`SocketRx::fed`] for these bytes.
    pub fn push_mark(&mut self, len: usize, mark: SegmentMark) {
        self.offload.lock().marks.push(len, mark);
    }

    /// Records how much of the stream has arrived.
    pub fn arrived(&mut self, arrived: ArrivedStream) {
        self.offload.lock().arrived = arrived;
    }

    /// Does `setsockopt(TLS_RX)` with the next key of a direction that may be offloaded.
    ///
    /// # Errors
    /// Returns the errors of [`SocketRx::install`].
    pub fn rekey(&mut self, key: TrafficKey, device: &mut dyn OffloadDevice) -> Result<(), Error> {
        self.serve_device(device);
        self.socket.install(key)?;
        self.offload.lock().rekeyed(self.socket.seq());
        self.serve_device(device);
        Ok(())
    }

    /// Carries out the requests to the device that the last call left, and takes the device's
    /// requests. Call it after each receive call.
    pub fn serve_device(&mut self, device: &mut dyn OffloadDevice) {
        let info = self.socket.key().info();
        self.offload.lock().serve(info, device);
    }

    /// Handles a change of the interface. If it is down, the device's key is deleted and software
    /// opens the records (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if device.netdev() == NetdevState::Down {
            let info = self.socket.live_info();
            let offload = &mut *self.offload.lock();
            let slots = &mut offload.place.slots(device, info, 0);
            offload.driver.delete(slots);
        }
    }

    /// Closes the direction and deletes the device's key (V-RX-6).
    pub fn close_offload(&mut self, device: &mut dyn OffloadDevice) {
        let info = self.socket.live_info();
        let offload = &mut *self.offload.lock();
        offload
            .driver
            .close(&mut offload.place.slots(device, info, 0));
    }

    /// Returns the phase of the direction.
    #[must_use]
    pub fn phase(&self) -> RxPhase {
        self.offload.lock().driver.phase()
    }

    /// Returns the numbers of records opened so far.
    #[must_use]
    pub fn tally(&self) -> RxTally {
        self.offload.lock().tally
    }
}

impl SharedRxOffload {
    fn lock(&self) -> MutexGuard<'_, RxOffload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordOpener for SharedRxOffload {
    fn open(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        record: &mut [u8],
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        match self.lock().choose_opener(record, key, seq) {
            HeadOpener::Opened => read_opened(key, record, out),
            HeadOpener::Sealed => key.open(seq, record, out),
        }
    }

    fn spent(&mut self, len: usize) {
        self.lock().spent(len);
    }

    fn key_update_read(&mut self) {
        self.lock().key_update_read();
    }

    fn replaced(&mut self, past: TrafficKey, seq: u64) {
        self.lock().replaced(past, seq);
    }
}

impl RxOffload {
    /// Decides what opens the record at the head, and restores its ciphertext if the device
    /// decrypted it in part or with the wrong key (D-12).
    fn choose_opener(&mut self, record: &mut [u8], key: &TrafficKey, seq: u64) -> HeadOpener {
        let touch = self.marks.touch(record.len());
        self.note_head(touch, record.len() as u64, seq);
        match touch {
            DeviceTouch::All(slot) if self.place.key_slot == Some(slot) => {
                self.tally.device_records += 1;
                return HeadOpener::Opened;
            }
            DeviceTouch::All(_) | DeviceTouch::Some => self.restore_ciphertext(record, key, seq),
            DeviceTouch::None => {}
        }
        self.tally.software_records += 1;
        HeadOpener::Sealed
    }

    /// Moves past the record at the head, which was opened.
    fn spent(&mut self, len: usize) {
        self.marks.consume(len);
        let head = self.marks.head();
        self.past.retain(|past| past.until > head);
        for past in &mut self.past {
            past.seq = past.seq.wrapping_add(1);
        }
    }

    /// Handles a KeyUpdate that was read (V-RX-1). An install that the same call has requested
    /// comes first.
    fn key_update_read(&mut self) {
        if self.driver.phase() == RxPhase::Installing {
            self.key_update_waits = true;
            return;
        }
        self.driver.note(RxOffloadEvent::KeyUpdateRead);
    }

    /// Keeps the key that was in use until now, and the number that its next record would have had
    /// (V-RX-4).
    fn replaced(&mut self, key: TrafficKey, seq: u64) {
        if let Some(slot) = self.place.key_slot.take() {
            // The device may have used this key on everything that has arrived, in order or not.
            let until = self.arrived.farthest;
            self.past.push(PastKey {
                slot,
                key,
                seq,
                until,
            });
        }
    }

    /// Handles the next key, which begins with the record at the head; that record has the number
    /// `seq`.
    fn rekeyed(&mut self, seq: u64) {
        let queue = UnreadStream {
            head: self.marks.head(),
            received: self.arrived.farthest.max(self.arrived.in_order),
        };
        self.note_at(RxOffloadEvent::Key(queue), (queue.head, seq));
    }

    fn restore_ciphertext(&mut self, record: &mut [u8], key: &TrafficKey, seq: u64) {
        let (key_slot, past) = (self.place.key_slot, &self.past);
        let bytes = self.marks.restore_ciphertext(record, |slot| {
            if key_slot == Some(slot) {
                return Some((key, seq));
            }
            let past = past.iter().find(|past| past.slot == slot)?;
            Some((&past.key, past.seq))
        });
        self.tally.regained_records += 1;
        self.tally.regained_bytes += bytes as u64;
    }

    /// Notifies the driver and the resync of the record at the head.
    fn note_head(&mut self, touch: DeviceTouch, len: u64, seq: u64) {
        let start = self.marks.head();
        let head = ResyncHead {
            start,
            end: start + len,
            seq,
            untouched: touch == DeviceTouch::None,
            last: self.arrived.in_order <= start + len,
        };
        if let Some(place) = self.place.resync.record_at_head(head) {
            self.place.position_due = Some(place);
        }
        let event = match touch {
            DeviceTouch::None => RxOffloadEvent::Untouched { start },
            DeviceTouch::All(_) | DeviceTouch::Some => RxOffloadEvent::Touched { end: start + len },
        };
        self.note_at(event, (start, seq));
    }

    /// Passes an event to the driver. If the event requests an install, the key is to begin at
    /// `place`.
    fn note_at(&mut self, event: RxOffloadEvent, place: RecordPosition) {
        let before = self.driver.action();
        self.driver.note(event);
        if before != self.driver.action() && self.driver.action() == Some(KeyAction::Install) {
            self.install_at = place;
        }
    }

    fn serve(&mut self, info: &CryptoInfo, device: &mut dyn OffloadDevice) {
        while self.driver.action().is_some() {
            let (start, seq) = self.install_at;
            let mut info = info.clone();
            info.rec_seq = seq;
            self.driver
                .carry_out(&mut self.place.slots(device, info, start));
            // The KeyUpdate follows the record at which the key was installed.
            if std::mem::take(&mut self.key_update_waits) {
                self.key_update_read();
            }
        }
        self.resynchronise(device);
    }

    /// Tells the device the position that is due, and takes its requests (D-13).
    fn resynchronise(&mut self, device: &mut dyn OffloadDevice) {
        let Some(&slot) = self.driver.slot() else {
            return;
        };
        if let Some((offset, seq)) = self.place.position_due.take() {
            self.stats.add(Counter::TlsRxDeviceResync);
            // An error needs no handling: a device that did not get the position asks again.
            let _ = device.resync(slot, offset, seq);
        }
        while let Some(request) = device.request(slot) {
            self.place.resync.note_request(request);
        }
    }
}
