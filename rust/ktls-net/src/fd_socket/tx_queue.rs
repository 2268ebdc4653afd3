//! The sending direction over a queue.
//!
//! Whether the newest key may be handed over, and which records are made before it is, is decided under one
//! lock, that of [`TxState`]: a send looks for room, lets the driver act, makes records and puts them into
//! the ring without letting go of it.

use std::sync::{Arc, MutexGuard};

use ktls_core::key::TrafficKey;
use ktls_core::offload::{Carrier, KeySlots, OffloadDriver, SendingStream, TxMachine};
use ktls_core::slot::SlotId;
use ktls_core::socket::{CallFault, JobSealer, SocketTx};
use rustix::io::Errno;

use super::tx_side::{FdSocketTx, TxState};
use crate::queue::{ConnRing, QueueSlots};

impl FdSocketTx {
    /// The ring of a direction that leaves, or has left, by a queue.
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

    /// `TLS_TX` with the next key.
    ///
    /// # Errors
    /// What sealing the open record says, and EAGAIN when the ring has no room for it (V-TX-2).
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

    /// Before a send: if past keys are acknowledged, the open record is closed and the newest key goes to the
    /// device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// Why the open record could not be sealed; the next send tries again.
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

    /// Puts the records that were made into the ring.
    pub(super) fn submit(self: &Arc<Self>, socket: &mut SocketTx) {
        if let Some(ring) = self.ring() {
            retire_in_child(ring, socket);
            if let Some(sealed) = ring.submit(self, socket.take_queued()) {
                socket.unqueue_behind(sealed.bytes());
            }
        }
    }

    /// Returns whether the ring has room, or `None` where TCP's room counts.
    pub(super) fn room(&self) -> Option<bool> {
        let ring = self.ring()?;
        let mut state = self.state();
        let ready = self.is_dead() || is_ready(ring, &mut state.socket);
        state.socket.is_queued().then_some(ready)
    }

    /// Locks the direction if records may be made for the ring, or if none will be any more.
    pub(super) fn lock_if_ready(&self, ring: &ConnRing) -> Option<MutexGuard<'_, TxState>> {
        let mut state = self.state();
        let ready = self.is_dead() || is_ready(ring, &mut state.socket);
        ready.then_some(state)
    }

    /// What carries the direction, or `None` without a device.
    pub(super) fn carrier(&self) -> Option<Carrier> {
        self.state().driver.as_ref().map(OffloadDriver::carrier)
    }

    /// Ends the direction at its device. Returns false without a device, whose gauges know.
    pub(super) fn close_device(&self) -> bool {
        let state = &mut *self.state();
        let (Some(driver), Some(ring)) = (&mut state.driver, self.ring()) else {
            return false;
        };
        driver.close(&mut QueueSlots::new(ring.shared()));
        true
    }
}

/// Returns true when records may be made for the ring, or when none will be any more: the device is gone and
/// all that it had is with TCP.
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

/// A child of a fork has no workers; its copy has nothing in flight, or it could not be used.
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
