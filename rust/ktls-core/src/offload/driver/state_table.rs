//! The tables of the two directions behind one trait, which the driver uses.

use crate::crypto_info::Direction;
use crate::offload::gauges::Carrier;
use crate::offload::policy::{InstallPolicy, RekeyOutcome};
use crate::offload::rx::{KeyAction, RxOffloadEvent, RxPhase};
use crate::offload::tx::{TxOffloadEvent, TxPhase};

/// The table that a driver follows for one direction.
///
/// [`TxMachine`] and [`RxMachine`] are the two that ship; the tests of `ktls-sim` wrap them to
/// plant faults.
pub trait OffloadMachine {
    /// The state of the direction.
    type Phase: Copy;
    /// An event of the direction.
    type Event: Copy + PartialEq;

    /// The direction.
    const DIRECTION: Direction;
    /// The phase after the device took the first key.
    const OFFLOADED: Self::Phase;
    /// The phase after the device refused the first key.
    const SOFTWARE: Self::Phase;
    /// The event that the device took a key.
    const INSTALLED: Self::Event;
    /// The event that the device refused a key.
    const REFUSED: Self::Event;
    /// The event that the connection is closed.
    const CLOSE: Self::Event;

    /// Returns the policy, which decides when keys are installed.
    fn policy(&self) -> InstallPolicy;

    /// Returns the phase after `event`, and what is to be done.
    fn step(&mut self, phase: Self::Phase, event: Self::Event) -> MachineStep<Self::Phase>;

    /// Returns what the gauges show in `phase`. `before` is what carried the direction until now.
    fn gauges(&self, phase: Self::Phase, before: Carrier) -> GaugeReading;
}

/// The phase after an event, and what is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MachineStep<P> {
    /// The phase after.
    pub phase: P,
    /// The request to the device, if there is one.
    pub action: Option<KeyAction>,
    /// The outcome of a key update, if one has ended.
    pub outcome: Option<RekeyOutcome>,
}

/// What the gauges of one direction show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GaugeReading {
    /// What carries the direction.
    pub carrier: Carrier,
    /// Whether a key update is under way.
    pub rekeying: bool,
}

/// [`TxPhase`] under a policy.
#[derive(Clone, Copy, Debug)]
pub struct TxMachine(pub InstallPolicy);

/// [`RxPhase`] under a policy.
#[derive(Clone, Copy, Debug)]
pub struct RxMachine(pub InstallPolicy);

impl OffloadMachine for TxMachine {
    type Phase = TxPhase;
    type Event = TxOffloadEvent;

    const DIRECTION: Direction = Direction::Tx;
    const OFFLOADED: TxPhase = TxPhase::Offloaded;
    const SOFTWARE: TxPhase = TxPhase::Software;
    const INSTALLED: TxOffloadEvent = TxOffloadEvent::Installed;
    const REFUSED: TxOffloadEvent = TxOffloadEvent::Refused;
    const CLOSE: TxOffloadEvent = TxOffloadEvent::Close;

    fn policy(&self) -> InstallPolicy {
        self.0
    }

    fn step(&mut self, phase: TxPhase, event: TxOffloadEvent) -> MachineStep<TxPhase> {
        let step = phase.on(self.0, event);
        MachineStep {
            phase: step.phase,
            action: step.install.then_some(KeyAction::Install),
            outcome: step.outcome,
        }
    }

    fn gauges(&self, phase: TxPhase, _before: Carrier) -> GaugeReading {
        let carrier = match phase {
            TxPhase::Closed => Carrier::Nothing,
            phase if phase.counts_as_device() => Carrier::Device,
            _ => Carrier::Software,
        };
        GaugeReading {
            carrier,
            rekeying: phase.is_rekeying(),
        }
    }
}

impl OffloadMachine for RxMachine {
    type Phase = RxPhase;
    type Event = RxOffloadEvent;

    const DIRECTION: Direction = Direction::Rx;
    const OFFLOADED: RxPhase = RxPhase::Offloaded;
    const SOFTWARE: RxPhase = RxPhase::Software;
    const INSTALLED: RxOffloadEvent = RxOffloadEvent::Installed;
    const REFUSED: RxOffloadEvent = RxOffloadEvent::Refused;
    const CLOSE: RxOffloadEvent = RxOffloadEvent::Close;

    fn policy(&self) -> InstallPolicy {
        self.0
    }

    fn step(&mut self, phase: RxPhase, event: RxOffloadEvent) -> MachineStep<RxPhase> {
        let step = phase.on(self.0, event);
        MachineStep {
            phase: step.phase,
            action: step.action,
            outcome: step.outcome,
        }
    }

    fn gauges(&self, phase: RxPhase, before: Carrier) -> GaugeReading {
        let carrier = match phase {
            RxPhase::Closed => Carrier::Nothing,
            phase if phase.counts_as_device(before == Carrier::Device) => Carrier::Device,
            _ => Carrier::Software,
        };
        GaugeReading {
            carrier,
            rekeying: phase.is_rekeying(),
        }
    }
}
