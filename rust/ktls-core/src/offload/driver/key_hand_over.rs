//! Handing keys to a device, and taking them out of it. No other code calls a device.

use std::sync::Arc;

use crate::offload::driver::{OffloadDriver, OffloadMachine};
use crate::offload::rx::KeyAction;
use crate::stats::Stats;

/// The places for keys in a device.
pub trait KeySlots {
    /// The handle of a key in the device.
    type Slot;

    /// Puts the newest key of the direction into the device. Returns `None` if the device refuses
    /// it; nothing has changed then.
    fn add(&mut self) -> Option<Self::Slot>;

    /// Takes a key out of the device. A key that is already gone is no error.
    fn delete(&mut self, slot: Self::Slot);
}

impl<M: OffloadMachine, S> OffloadDriver<M, S> {
    /// Offers the first key to a device and counts the direction as the device's.
    ///
    /// # Errors
    /// Returns the machine if the device refuses the key. Nothing is counted then.
    pub fn offer(
        machine: M,
        slots: &mut impl KeySlots<Slot = S>,
        stats: &Arc<Stats>,
    ) -> Result<Self, M> {
        match slots.add() {
            Some(slot) => Ok(Self::start(machine, Some(slot), stats)),
            None => Err(machine),
        }
    }

    /// Makes the request to the device that was noted, if there is one.
    pub fn carry_out(&mut self, slots: &mut impl KeySlots<Slot = S>) {
        let Some(action) = self.action.take() else {
            return;
        };
        self.delete(slots);
        if action == KeyAction::Install {
            self.slot = slots.add();
            self.note(match self.slot {
                Some(_) => M::INSTALLED,
                None => M::REFUSED,
            });
        }
    }

    /// Deletes the key in the device, if there is one.
    pub fn delete(&mut self, slots: &mut impl KeySlots<Slot = S>) {
        if let Some(slot) = self.slot.take() {
            slots.delete(slot);
        }
    }

    /// Ends the direction of a closed connection, and deletes its key in the device.
    pub fn close(&mut self, slots: &mut impl KeySlots<Slot = S>) {
        self.note(M::CLOSE);
        self.delete(slots);
    }
}
