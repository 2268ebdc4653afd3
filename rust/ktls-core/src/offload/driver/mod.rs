//! The driver of key updates in one direction, which is the same for every device.
//!
//! A device keeps one key for each direction of a connection. A key update replaces that key, and
//! the moment matters: TCP may have to retransmit bytes that the old key sealed. Two state tables
//! decide the moment, [`TxPhase`] and [`RxPhase`]. They are pure functions and never call a device.
//! Only this module acts on them.
//!
//! [`TxPhase`]: crate::offload::TxPhase
//! [`RxPhase`]: crate::offload::RxPhase
//!
//! Every event of a direction goes through [`OffloadDriver::note`]:
//!
//! ```text
//! event ─► step of the table ─► new phase ─► gauges and outcome counters
//!                                  └─► action: delete the key, or delete it and add the newest
//! ```
//!
//! [`OffloadDriver::carry_out`] performs the action. It deletes the old key first, so that a
//! direction never has two keys in a device. Then it adds the newest key, and notes whether the
//! device accepted it as the next event, which ends the key update. Noting an event and carrying
//! out its action are separate methods, because some events occur where no device may be called,
//! such as the arrival of an acknowledgement (R-TX-6).
//!
//! Sending has one more rule: a record has one key, so the open record ends before another
//! component seals with the key. A send key can reach a device only in [`OffloadDriver::rekey`] and
//! [`OffloadDriver::begin_send`], which fix the order of the calls. `rekey` flushes the open
//! record, installs the key, and passes the event to the table. `begin_send` queries the
//! acknowledgements, closes the open record, and hands the key over. The caller keeps the stream
//! locked during each call, so that no record is made in between.
//!
//! The driver uses a device through [`KeySlots`] and a socket through [`SendingStream`].
//! `OffloadQueue` implements them over threads and TCP, and `ktls-sim` over a simulated network
//! card. The random runs of `ktls-sim` execute the code of this module, and its tests plant faults in each
//! line.

mod key_hand_over;
mod sending;
mod state_table;

use std::sync::Arc;

use crate::offload::gauges::{Carrier, OffloadGauges};
use crate::offload::policy::InstallPolicy;
use crate::offload::rx::KeyAction;
use crate::stats::Stats;

pub use key_hand_over::KeySlots;
pub use sending::SendingStream;
pub use state_table::{GaugeReading, MachineStep, OffloadMachine, RxMachine, TxMachine};

/// Leads one direction of a connection through its key updates.
#[derive(Debug)]
pub struct OffloadDriver<M: OffloadMachine, S> {
    machine: M,
    phase: M::Phase,
    gauges: OffloadGauges,
    /// The key in the device.
    slot: Option<S>,
    /// The request to the device that was noted and not made yet.
    action: Option<KeyAction>,
}

impl<M: OffloadMachine, S> OffloadDriver<M, S> {
    /// Starts without a device, and counts the direction as software's.
    pub fn in_software(machine: M, stats: &Arc<Stats>) -> Self {
        Self::start(machine, None, stats)
    }

    fn start(machine: M, slot: Option<S>, stats: &Arc<Stats>) -> Self {
        let phase = match slot {
            Some(_) => M::OFFLOADED,
            None => M::SOFTWARE,
        };
        let mut gauges = OffloadGauges::new(M::DIRECTION, Arc::clone(stats));
        gauges.start(machine.gauges(phase, Carrier::Nothing).carrier);
        Self {
            machine,
            phase,
            gauges,
            slot,
            action: None,
        }
    }

    /// Returns the phase of the direction.
    pub const fn phase(&self) -> M::Phase {
        self.phase
    }

    /// Returns what carries the direction: a device, software, or nothing.
    pub const fn carrier(&self) -> Carrier {
        self.gauges.carrier()
    }

    /// Returns the policy, which decides when keys are installed.
    pub fn policy(&self) -> InstallPolicy {
        self.machine.policy()
    }

    /// Returns the handle of the key in the device, if there is one.
    pub const fn slot(&self) -> Option<&S> {
        self.slot.as_ref()
    }

    /// Returns the request to the device that [`OffloadDriver::carry_out`] will make, if there is
    /// one.
    pub const fn action(&self) -> Option<KeyAction> {
        self.action
    }

    /// Acts on an event: notes it, and carries out what it asks of the device.
    pub fn on(&mut self, event: M::Event, slots: &mut impl KeySlots<Slot = S>) {
        self.note(event);
        self.carry_out(slots);
    }

    /// Notes an event without calling the device. [`OffloadDriver::carry_out`] makes the request
    /// that it leads to.
    pub fn note(&mut self, event: M::Event) {
        let step = self.machine.step(self.phase, event);
        self.phase = step.phase;
        self.action = step.action.or(self.action);
        let GaugeReading { carrier, rekeying } =
            self.machine.gauges(step.phase, self.gauges.carrier());
        self.gauges.show(carrier, rekeying);
        self.gauges.count(step.outcome);
    }
}
