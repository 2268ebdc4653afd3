//! The sending direction over a queue.
//!
//! One lock, that of [`TxState`], protects the decision whether the newest key may be handed over,
//! and which records are made before. A send holds it while it checks for room, lets the driver
//! act, makes records and puts them into the ring. The lock of the ring is taken inside of it,
//! never the other way round.

use std::sync::{Arc, MutexGuard};

use ktls_core::key::TrafficKey;
use ktls_core::offload::{Carrier, KeySlots, OffloadDriver, SendingStream, TxMachine};
use ktls_core::slot::SlotId;
use ktls_core::socket::{CallFault, JobSealer, SocketTx};
use rustix::io::Errno;

use super::tx_side::{FdSocketTx, TxState};
use crate::queue::{ConnRing, QueueSlots};

/// Whether a direction had a device when its socket was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DeviceClose {
    /// The direction had a device, which has updated the gauges.
    Closed,
    /// The direction had no device: the caller updates the gauges.
    NoDevice,
}

/// Whether a send finds room in the ring of its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RingRoom {
    /// There is room, or none is needed.
    Free,
    /// The ring is full: the send has to wait.
    Full,
}

impl FdSocketTx {
    /// Returns the ring, if the direction uses a queue or has used one.
    pub(super) fn ring(&self) -> Option<&Arc<ConnRing>> {
        self.ring.get()
    }

    /// Installs the first key; if the device refuses it, the direction stays in software (D-2).
    pub(super) fn install_first(&self, key: TrafficKey, ring: Option<&Arc<ConnRing>>) {
        let mut state = self.state();
        if let Some(ring) = ring {
            self.offer_first(&mut state, ring);
        }
        state.socket.install(key);
        drop(state);
        self.set_keyed();
    }

    fn offer_first(&self, state: &mut TxState, ring: &Arc<ConnRing>) {
        let machine = TxMachine(ring.shared().policy());
        let slots = &mut QueueSlots::new(ring.shared());
        let offered = OffloadDriver::offer(machine, slots, &self.shared().stats);
        if let Ok(driver) = offered
            && self.ring.set(Arc::clone(ring)).is_ok()
        {
            state.driver = Some(driver);
            state.socket.queue();
        }
    }

    /// Installs the next key: `TLS_TX` of a direction that has one.
    ///
    /// # Errors
    /// EAGAIN if the ring has no room for the open record (V-TX-2), or the fault of sealing it.
    pub(super) fn rekey(self: &Arc<Self>, key: TrafficKey) -> Result<(), CallFault> {
        let TxState { socket, driver } = &mut *self.state();
        match (driver, self.ring()) {
            (Some(driver), Some(ring)) => {
                driver.rekey(key, &mut QueuedStream::new(self, ring, socket))
            }
            _ => {
                socket.install(key);
                Ok(())
            }
        }
    }

    /// Prepares a send. If everything under past keys is acknowledged, the open record is closed
    /// and the device gets the newest key (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// The fault of sealing the open record. The next send tries again.
    pub(super) fn begin_send(
        self: &Arc<Self>,
        state: &mut TxState,
        ring: &Arc<ConnRing>,
    ) -> Result<(), CallFault> {
        let TxState { socket, driver } = state;
        self.submit(socket);
        match driver {
            Some(driver) => driver.begin_send(&mut QueuedStream::new(self, ring, socket)),
            None => Ok(()),
        }
    }

    /// Puts the new records into the ring.
    pub(super) fn submit(self: &Arc<Self>, socket: &mut SocketTx) {
        if let Some(ring) = self.ring() {
            retire_in_child(ring, socket);
            if let Some(sealed) = ring.submit(self, socket.take_queued()) {
                socket.unqueue_behind(sealed.bytes());
            }
        }
    }

    /// Returns whether a send has to wait for the ring, or `None` if records go to TCP directly.
    pub(super) fn ring_room(&self) -> Option<RingRoom> {
        let ring = self.ring()?;
        let mut state = self.state();
        let ready = self.is_dead() || is_ready(ring, &mut state.socket);
        let room = if ready {
            RingRoom::Free
        } else {
            RingRoom::Full
        };
        state.socket.is_queued().then_some(room)
    }

    /// Locks the direction if records may be made for the ring, or if the ring is no longer used.
    pub(super) fn lock_if_ready(&self, ring: &ConnRing) -> Option<MutexGuard<'_, TxState>> {
        let mut state = self.state();
        let ready = self.is_dead() || is_ready(ring, &mut state.socket);
        ready.then_some(state)
    }

    /// Returns what carries the direction, or `None` without a device.
    pub(super) fn carrier(&self) -> Option<Carrier> {
        self.state().driver.as_ref().map(OffloadDriver::carrier)
    }

    /// Ends the direction at its device, which then updates the gauges.
    pub(super) fn close_device(&self) -> DeviceClose {
        let state = &mut *self.state();
        let (Some(driver), Some(ring)) = (&mut state.driver, self.ring()) else {
            return DeviceClose::NoDevice;
        };
        driver.close(&mut QueueSlots::new(ring.shared()));
        DeviceClose::Closed
    }
}

/// Returns `true` if records may be made for the ring, or if the ring is no longer used, because
/// the queue is down and TCP has all of its records.
fn is_ready(ring: &ConnRing, socket: &mut SocketTx) -> bool {
    if !socket.is_queued() {
        return true;
    }
    if !ring.shared().is_down() {
        return ring.room() > 0;
    }
    let idle = !ring.is_busy();
    if idle {
        socket.unqueue();
    }
    idle
}

/// Stops using the queue in a child of a fork, which has no workers. Nothing is in flight in its
/// copy: otherwise the child could not use the socket.
fn retire_in_child(ring: &ConnRing, socket: &mut SocketTx) {
    if !ring.shared().is_here() {
        socket.unqueue();
    }
}

/// The sending direction during one call of the driver.
struct QueuedStream<'a> {
    side: &'a Arc<FdSocketTx>,
    ring: &'a Arc<ConnRing>,
    socket: &'a mut SocketTx,
    slots: QueueSlots<'a>,
}

impl<'a> QueuedStream<'a> {
    fn new(side: &'a Arc<FdSocketTx>, ring: &'a Arc<ConnRing>, socket: &'a mut SocketTx) -> Self {
        Self {
            side,
            ring,
            socket,
            slots: QueueSlots::new(ring.shared()),
        }
    }
}

impl KeySlots for QueuedStream<'_> {
    type Slot = SlotId;

    fn add(&mut self) -> Option<SlotId> {
        self.slots.add()
    }

    fn delete(&mut self, slot: SlotId) {
        self.slots.delete(slot);
    }
}

impl SendingStream for QueuedStream<'_> {
    type Fault = CallFault;

    fn open_len(&self) -> usize {
        self.socket.open_len()
    }

    fn check_room(&self) -> Result<(), CallFault> {
        if !self.ring.shared().is_down() && self.ring.room() == 0 {
            return Err(CallFault::System(Errno::AGAIN.raw_os_error()));
        }
        Ok(())
    }

    fn close_open(&mut self) -> Result<(), CallFault> {
        self.socket.close_open(self.side.shared())?;
        self.side.submit(self.socket);
        Ok(())
    }

    fn install(&mut self, key: TrafficKey) {
        self.socket.install(key);
    }

    fn write_offset(&self) -> u64 {
        self.ring.write_offset()
    }

    fn acknowledged(&self) -> u64 {
        self.ring.acknowledged()
    }

    fn seal_by(&mut self, sealer: JobSealer) {
        self.socket.set_sealer(sealer);
    }
}

#[cfg(test)]
mod tests;
