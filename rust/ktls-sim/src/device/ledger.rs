//! A device that keeps a ledger of its keys, to be compared with the sockets' record.

use std::cell::RefCell;
use std::rc::Rc;

use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::slot::SlotId;

use super::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncRequest, SegmentCompletion, SegmentDescriptor, SegmentMark,
};

/// A ledger of the keys that one connection has in a device.
#[derive(Debug, Default)]
pub struct KeyLedger {
    tx: DirectionLedger,
    rx: DirectionLedger,
    /// Whether the interface has been down, so that keys were lost without a request of their
    /// owner.
    pub was_down: bool,
}

/// The ledger of one direction.
#[derive(Debug, Default)]
pub struct DirectionLedger {
    keys: Vec<SlotId>,
    /// Number of requests to add a key.
    pub add_requests: u64,
    /// Number of refused requests, the first request not counted.
    pub refused_again: u64,
    /// Number of accepted requests.
    pub accepted: u64,
    /// Whether a key was added while the device had one, or deleted while it had none.
    pub confused: bool,
}

/// A ledger that is shared between the device and its readers.
pub type SharedLedger = Rc<RefCell<KeyLedger>>;

/// A device that records its keys in a ledger.
#[derive(Debug)]
pub struct LedgerDevice<D> {
    inner: D,
    ledger: SharedLedger,
}

impl KeyLedger {
    /// Returns the ledger of a direction.
    #[must_use]
    pub const fn of(&self, direction: Direction) -> &DirectionLedger {
        match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        }
    }

    const fn of_mut(&mut self, direction: Direction) -> &mut DirectionLedger {
        match direction {
            Direction::Tx => &mut self.tx,
            Direction::Rx => &mut self.rx,
        }
    }

    fn delete(&mut self, slot: SlotId) {
        let had = self.tx.forget(slot) || self.rx.forget(slot);
        self.tx.confused |= !had;
    }
}

impl DirectionLedger {
    /// Returns `true` while the device has a key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    fn note_add(&mut self, added: Result<SlotId, DeviceError>) {
        self.confused |= self.has_key();
        match added {
            Ok(slot) => {
                self.keys.push(slot);
                self.accepted += 1;
            }
            Err(_) if self.add_requests > 0 => self.refused_again += 1,
            Err(_) => {}
        }
        self.add_requests += 1;
    }

    fn forget(&mut self, slot: SlotId) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| *key != slot);
        self.keys.len() < before
    }
}

impl<D> LedgerDevice<D> {
    /// Wraps `inner`, and records the keys that are added and deleted in `ledger`.
    pub const fn new(inner: D, ledger: SharedLedger) -> Self {
        Self { inner, ledger }
    }
}

impl<D: OffloadDevice> OffloadDevice for LedgerDevice<D> {
    fn capabilities(&self) -> DeviceCapabilities {
        self.inner.capabilities()
    }

    fn netdev(&self) -> NetdevState {
        self.inner.netdev()
    }

    fn set_netdev(&mut self, netdev: NetdevState) {
        self.ledger.borrow_mut().was_down |= netdev == NetdevState::Down;
        self.inner.set_netdev(netdev);
    }

    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError> {
        let added = self.inner.dev_add(connection, direction, info, start);
        self.ledger.borrow_mut().of_mut(direction).note_add(added);
        added
    }

    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError> {
        self.ledger.borrow_mut().delete(slot);
        self.inner.dev_del(slot)
    }

    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError> {
        self.inner.resync(slot, offset, rec_seq)
    }

    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest> {
        self.inner.request(slot)
    }

    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor> {
        self.inner.submit(descriptor)
    }

    fn tick(&mut self, budget: usize) {
        self.inner.tick(budget);
    }

    fn complete(&mut self) -> Option<SegmentCompletion> {
        self.inner.complete()
    }

    fn receive(
        &mut self,
        connection: DeviceConnection,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark {
        self.inner.receive(connection, offset, bytes)
    }
}
