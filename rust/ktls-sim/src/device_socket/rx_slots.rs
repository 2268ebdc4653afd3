//! The key slots of a receiving direction's device.

use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::offload::KeySlots;
use ktls_core::slot::SlotId;

use crate::device::{DeviceConnection, OffloadDevice};
use crate::device_socket::resync::{RecordPosition, ResyncState};
use crate::planted_faults::{FaultKind, PlantedStream};

/// The state of the direction that concerns its device.
#[derive(Debug)]
pub(super) struct DevicePlace {
    pub(super) connection: DeviceConnection,
    /// The slot that holds or held the newest key. The key may be deleted.
    pub(super) key_slot: Option<SlotId>,
    pub(super) resync: ResyncState,
    /// A position that the device is to be told.
    pub(super) position_due: Option<RecordPosition>,
    pub(super) fault: Option<FaultKind>,
}

impl DevicePlace {
    /// Returns the slots of the device for the key of `info`, which begins with the record at
    /// `start`.
    pub(super) const fn slots<'a>(
        &'a mut self,
        device: &'a mut dyn OffloadDevice,
        info: CryptoInfo,
        start: u64,
    ) -> PlantedStream<RxSlots<'a>> {
        let fault = self.fault;
        let slots = RxSlots {
            place: self,
            device,
            info,
            start,
        };
        PlantedStream::new(slots, fault)
    }
}

/// The key slots of the device, for one key.
pub(super) struct RxSlots<'a> {
    place: &'a mut DevicePlace,
    device: &'a mut dyn OffloadDevice,
    info: CryptoInfo,
    start: u64,
}

impl KeySlots for RxSlots<'_> {
    type Slot = SlotId;

    fn add(&mut self) -> Option<SlotId> {
        let Self {
            place,
            device,
            info,
            start,
        } = self;
        let added = device.dev_add(place.connection, Direction::Rx, info, *start);
        let slot = added.ok()?;
        place.key_slot = Some(slot);
        place.position_due = None;
        place.resync = ResyncState::new(device.capabilities().resync);
        Some(slot)
    }

    fn delete(&mut self, slot: SlotId) {
        // An error means that the slot is deleted already.
        let _ = self.device.dev_del(slot);
        self.place.position_due = None;
    }
}
