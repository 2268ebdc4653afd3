//! The key slots of the queue.

use ktls_core::offload::KeySlots;
use ktls_core::slot::SlotId;

use super::shared::QueueShared;
use crate::mutex::lock;

/// The key slots of a queue, for the drivers of its sockets. A slot holds no key: each record
/// carries its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueSlots<'a>(&'a QueueShared);

impl<'a> QueueSlots<'a> {
    /// Returns the slots of a queue.
    pub(crate) const fn new(shared: &'a QueueShared) -> Self {
        Self(shared)
    }
}

impl KeySlots for QueueSlots<'_> {
    type Slot = SlotId;

    fn add(&mut self) -> Option<SlotId> {
        if self.0.is_down() {
            return None;
        }
        lock(&self.0.slots).add(()).ok()
    }

    fn delete(&mut self, slot: SlotId) {
        // In a child of a fork the table may stay locked forever, and is not needed.
        if self.0.is_here() {
            // A slot is deleted once, by the driver that added it.
            let _ = lock(&self.0.slots).delete(slot);
        }
    }
}
