//! The queue as a device: its key slots, and the key updates of both directions.

use std::sync::{Arc, MutexGuard};

use ktls_core::crypto_info::Direction;
use ktls_core::offload::{
    Carrier, DeviceError, OffloadGauges, RxDeed, RxOffloadEvent, RxPhase, TxOffloadEvent, TxPhase,
};
use ktls_core::slot::{SlotId, SlotTable};
use ktls_core::stats::Stats;

use super::hub::QueueShared;
use crate::mutex::lock;

/// A place for a key; it is free again when dropped.
#[derive(Debug)]
struct TakenSlot {
    hub: Arc<QueueShared>,
    id: SlotId,
}

impl TakenSlot {
    /// `dev_add`: the key itself goes along with each record.
    fn add(hub: &Arc<QueueShared>) -> Result<Self, DeviceError> {
        if hub.is_down() {
            return Err(DeviceError::Down);
        }
        let capacity = hub.shape.slots;
        let id = slots(hub)
            .add(())
            .map_err(|_| DeviceError::NoSlot { capacity })?;
        let hub = Arc::clone(hub);
        Ok(Self { hub, id })
    }
}

impl Drop for TakenSlot {
    fn drop(&mut self) {
        // In a child of a fork the table may be locked for ever, and nobody needs it.
        if self.hub.is_here() {
            let _ = slots(&self.hub).delete(self.id);
        }
    }
}

fn slots(hub: &QueueShared) -> MutexGuard<'_, SlotTable<()>> {
    lock(&hub.slots)
}

/// The key update of a sending direction.
#[derive(Debug)]
pub(crate) struct TxDevice {
    hub: Arc<QueueShared>,
    slot: Option<TakenSlot>,
    phase: TxPhase,
    gauges: OffloadGauges,
}

impl TxDevice {
    /// With the first key; none when the device does not take it.
    pub(crate) fn start(hub: &Arc<QueueShared>, stats: &Stats) -> Option<Self> {
        let slot = TakenSlot::add(hub).ok()?;
        let mut gauges = OffloadGauges::new(Direction::Tx);
        gauges.start(Carrier::Device, stats);
        Some(Self {
            hub: Arc::clone(hub),
            slot: Some(slot),
            phase: TxPhase::Offloaded,
            gauges,
        })
    }

    pub(crate) const fn phase(&self) -> TxPhase {
        self.phase
    }

    pub(crate) const fn carrier(&self) -> Carrier {
        self.gauges.carrier()
    }

    /// What happened; an install that it leads to is done here.
    pub(crate) fn on(&mut self, event: TxOffloadEvent, stats: &Stats) {
        let step = self.phase.on(self.hub.shape.policy, event);
        self.phase = step.phase;
        self.gauges
            .show(tx_carrier(step.phase), step.phase.is_rekeying(), stats);
        self.gauges.count(step.outcome, stats);
        if step.install {
            self.slot = None;
            self.slot = TakenSlot::add(&self.hub).ok();
            let verdict = match self.slot {
                Some(_) => TxOffloadEvent::Installed,
                None => TxOffloadEvent::Refused,
            };
            self.on(verdict, stats);
        }
    }

    /// The connection is closed.
    pub(crate) fn close(&mut self, stats: &Stats) {
        self.on(TxOffloadEvent::Close, stats);
        self.slot = None;
    }
}

const fn tx_carrier(phase: TxPhase) -> Carrier {
    match phase {
        TxPhase::Closed => Carrier::Nothing,
        phase if phase.counts_as_device() => Carrier::Device,
        _ => Carrier::Software,
    }
}

/// The key update of a receiving direction.
#[derive(Debug)]
pub(crate) struct RxDevice {
    hub: Arc<QueueShared>,
    slot: Option<TakenSlot>,
    phase: RxPhase,
    gauges: OffloadGauges,
}

impl RxDevice {
    /// With the first key; none when the device does not take it.
    pub(crate) fn start(hub: &Arc<QueueShared>, stats: &Stats) -> Option<Self> {
        let slot = TakenSlot::add(hub).ok()?;
        let mut gauges = OffloadGauges::new(Direction::Rx);
        gauges.start(Carrier::Device, stats);
        Some(Self {
            hub: Arc::clone(hub),
            slot: Some(slot),
            phase: RxPhase::Offloaded,
            gauges,
        })
    }

    pub(crate) const fn carrier(&self) -> Carrier {
        self.gauges.carrier()
    }

    /// True while records are opened ahead.
    pub(crate) fn opens(&self) -> bool {
        self.phase == RxPhase::Offloaded && !self.hub.is_down()
    }

    /// What happened.
    pub(crate) fn on(&mut self, event: RxOffloadEvent, stats: &Stats) {
        let step = self.phase.on(self.hub.shape.policy, event);
        self.phase = step.phase;
        let carrier = rx_carrier(step.phase, self.gauges.carrier());
        self.gauges.show(carrier, step.phase.is_rekeying(), stats);
        self.gauges.count(step.outcome, stats);
        match step.deed {
            None => {}
            Some(RxDeed::Delete) => self.slot = None,
            Some(RxDeed::Install) => {
                self.slot = None;
                self.slot = TakenSlot::add(&self.hub).ok();
                let verdict = match self.slot {
                    Some(_) => RxOffloadEvent::Installed,
                    None => RxOffloadEvent::Refused,
                };
                self.on(verdict, stats);
            }
        }
    }

    /// The connection is closed.
    pub(crate) fn close(&mut self, stats: &Stats) {
        self.on(RxOffloadEvent::Close, stats);
        self.slot = None;
    }
}

const fn rx_carrier(phase: RxPhase, before: Carrier) -> Carrier {
    match phase {
        RxPhase::Closed => Carrier::Nothing,
        phase if phase.counts_as_device(matches!(before, Carrier::Device)) => Carrier::Device,
        _ => Carrier::Software,
    }
}
