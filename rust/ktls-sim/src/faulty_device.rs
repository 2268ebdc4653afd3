//! A device that fails on purpose, in a reproducible way.

use fastrand::Rng;
use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::slot::SlotId;

use crate::device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncRequest, SegmentCompletion, SegmentDescriptor, SegmentMark,
};
use crate::scenario::DeviceSettings;

/// Injects the faults of a scenario into a device.
#[derive(Debug)]
pub(crate) struct FaultyDevice<D> {
    inner: D,
    rng: Rng,
    faults: DeviceSettings,
    adds: u32,
}

impl<D> FaultyDevice<D> {
    /// Wraps `inner`. The same `seed` injects the same faults.
    pub(crate) fn new(inner: D, faults: DeviceSettings, seed: u64) -> Self {
        Self {
            inner,
            rng: Rng::with_seed(seed),
            faults,
            adds: 0,
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }
}

impl<D: OffloadDevice> OffloadDevice for FaultyDevice<D> {
    fn capabilities(&self) -> DeviceCapabilities {
        self.inner.capabilities()
    }

    fn netdev(&self) -> NetdevState {
        self.inner.netdev()
    }

    fn set_netdev(&mut self, netdev: NetdevState) {
        self.inner.set_netdev(netdev);
    }

    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError> {
        self.adds += 1;
        if self.faults.fail_nth_add == Some(self.adds) || self.happens(self.faults.fail_add) {
            return Err(DeviceError::Timeout);
        }
        self.inner.dev_add(connection, direction, info, start)
    }

    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError> {
        self.inner.dev_del(slot)
    }

    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError> {
        self.inner.resync(slot, offset, rec_seq)
    }

    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest> {
        self.inner.request(slot)
    }

    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor> {
        if self.happens(self.faults.full) {
            let error = DeviceError::RingFull {
                depth: self.faults.depth,
            };
            return Err(RefusedDescriptor { descriptor, error });
        }
        self.inner.submit(descriptor)
    }

    fn tick(&mut self, budget: usize) {
        self.inner.tick(budget);
    }

    fn complete(&mut self) -> Option<SegmentCompletion> {
        let completion = self.inner.complete()?;
        if self.happens(self.faults.lose) {
            return self.complete();
        }
        Some(completion)
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
