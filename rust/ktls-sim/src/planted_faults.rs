//! Faults that tests plant around the driver of key updates.
//!
//! The driver reaches everything through three traits: its state table, the key slots of a device,
//! and the sending stream. A wrapper of each behaves as if one line of the driver were wrong.
//! Without a fault the wrappers forward every call; the runs of the proof use them in this way.

use ktls_core::Direction;
use ktls_core::key::TrafficKey;
use ktls_core::offload::{
    Carrier, GaugeReading, InstallPolicy, KeySlots, MachineStep, OffloadMachine, RekeyOutcome,
    SendingStream,
};
use ktls_core::socket::JobSealer;

/// One fault of the driver, in one direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlantedFault {
    /// The direction whose driver has the fault.
    pub direction: Direction,
    /// The fault.
    pub kind: FaultKind,
}

/// The faults that can be planted in the driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// Treats everything that was written as acknowledged, and so installs keys too early.
    AssumesAcknowledged,
    /// Never polls the acknowledged offset, and so learns of it from events only.
    AsksNothing,
    /// Does not close the open record before the key is handed to the device.
    LeavesRecordOpen,
    /// Never puts the next key into use.
    InstallsNothing,
    /// Does not make the socket seal in software.
    KeepsDeviceSealing,
    /// Does not make the socket frame records for the device again.
    KeepsSoftwareSealing,
    /// Does not delete the old key.
    SkipsDelete,
    /// Deletes the old key after the new one is added.
    DeletesLate,
    /// Adds a key twice.
    AddsTwice,
    /// Drops the requests to the device that the table returns.
    LosesAction,
    /// Treats a refusal by the device as acceptance.
    IgnoresRefusal,
    /// Treats acceptance by the device as a refusal.
    IgnoresConsent,
    /// Does not report the device's verdict to the table.
    LosesVerdict,
    /// Does not count the outcome of a key update.
    LosesOutcome,
    /// Counts a success at events that do not end a key update.
    CountsTooMuch,
    /// Leaves the gauge of the carrier set when the direction ends.
    KeepsGauge,
    /// Leaves the gauge of key updates set after the key update has its outcome.
    KeepsRekeyGauge,
}

impl FaultKind {
    /// Every fault.
    pub const ALL: [Self; 17] = [
        Self::AssumesAcknowledged,
        Self::AsksNothing,
        Self::LeavesRecordOpen,
        Self::InstallsNothing,
        Self::KeepsDeviceSealing,
        Self::KeepsSoftwareSealing,
        Self::SkipsDelete,
        Self::DeletesLate,
        Self::AddsTwice,
        Self::LosesAction,
        Self::IgnoresRefusal,
        Self::IgnoresConsent,
        Self::LosesVerdict,
        Self::LosesOutcome,
        Self::CountsTooMuch,
        Self::KeepsGauge,
        Self::KeepsRekeyGauge,
    ];
}

/// Returns the kind of `fault` if it is planted in `direction`.
pub(crate) fn of(fault: Option<PlantedFault>, direction: Direction) -> Option<FaultKind> {
    fault
        .filter(|fault| fault.direction == direction)
        .map(|fault| fault.kind)
}

/// A state table with a fault.
#[derive(Clone, Debug)]
pub(crate) struct PlantedMachine<M> {
    pub(crate) inner: M,
    pub(crate) fault: Option<FaultKind>,
}

impl<M: OffloadMachine> OffloadMachine for PlantedMachine<M> {
    type Phase = M::Phase;
    type Event = M::Event;

    const DIRECTION: Direction = M::DIRECTION;
    const OFFLOADED: M::Phase = M::OFFLOADED;
    const SOFTWARE: M::Phase = M::SOFTWARE;
    const INSTALLED: M::Event = M::INSTALLED;
    const REFUSED: M::Event = M::REFUSED;
    const CLOSE: M::Event = M::CLOSE;

    fn policy(&self) -> InstallPolicy {
        self.inner.policy()
    }

    fn step(&mut self, phase: M::Phase, event: M::Event) -> MachineStep<M::Phase> {
        let verdict = event == M::INSTALLED || event == M::REFUSED;
        let event = match self.fault {
            Some(FaultKind::IgnoresRefusal) if event == M::REFUSED => M::INSTALLED,
            Some(FaultKind::IgnoresConsent) if event == M::INSTALLED => M::REFUSED,
            _ => event,
        };
        let mut step = self.inner.step(phase, event);
        match self.fault {
            Some(FaultKind::LosesVerdict) if verdict => {
                return MachineStep {
                    phase,
                    action: None,
                    outcome: None,
                };
            }
            Some(FaultKind::LosesAction) => step.action = None,
            Some(FaultKind::LosesOutcome) => step.outcome = None,
            Some(FaultKind::CountsTooMuch) => {
                step.outcome = step.outcome.or(Some(RekeyOutcome::Ok));
            }
            _ => {}
        }
        step
    }

    fn gauges(&self, phase: M::Phase, before: Carrier) -> GaugeReading {
        let mut reading = self.inner.gauges(phase, before);
        match self.fault {
            Some(FaultKind::KeepsGauge) if reading.carrier == Carrier::Nothing => {
                reading.carrier = before;
            }
            Some(FaultKind::KeepsRekeyGauge) => reading.rekeying = true,
            _ => {}
        }
        reading
    }
}

/// The key slots of a device, or a sending stream, with a fault.
pub(crate) struct PlantedStream<T: KeySlots> {
    inner: T,
    fault: Option<FaultKind>,
    late: Option<T::Slot>,
}

impl<T: KeySlots> PlantedStream<T> {
    pub(crate) const fn new(inner: T, fault: Option<FaultKind>) -> Self {
        Self {
            inner,
            fault,
            late: None,
        }
    }
}

impl<T: KeySlots> KeySlots for PlantedStream<T> {
    type Slot = T::Slot;

    fn add(&mut self) -> Option<T::Slot> {
        if self.fault == Some(FaultKind::AddsTwice) {
            let _lost = self.inner.add();
        }
        let added = self.inner.add();
        if let Some(slot) = self.late.take() {
            self.inner.delete(slot);
        }
        added
    }

    fn delete(&mut self, slot: T::Slot) {
        match self.fault {
            Some(FaultKind::SkipsDelete) => {}
            Some(FaultKind::DeletesLate) => self.late = Some(slot),
            _ => self.inner.delete(slot),
        }
    }
}

impl<T: KeySlots> Drop for PlantedStream<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.late.take() {
            self.inner.delete(slot);
        }
    }
}

impl<T: SendingStream> SendingStream for PlantedStream<T> {
    type Fault = T::Fault;

    fn open_len(&self) -> usize {
        self.inner.open_len()
    }

    fn check_room(&self) -> Result<(), T::Fault> {
        self.inner.check_room()
    }

    fn close_open(&mut self) -> Result<(), T::Fault> {
        match self.fault {
            Some(FaultKind::LeavesRecordOpen) => Ok(()),
            _ => self.inner.close_open(),
        }
    }

    fn install(&mut self, key: TrafficKey) {
        if self.fault != Some(FaultKind::InstallsNothing) {
            self.inner.install(key);
        }
    }

    fn write_offset(&self) -> u64 {
        self.inner.write_offset()
    }

    fn acknowledged(&self) -> u64 {
        match self.fault {
            Some(FaultKind::AssumesAcknowledged) => self.inner.write_offset(),
            Some(FaultKind::AsksNothing) => 0,
            _ => self.inner.acknowledged(),
        }
    }

    fn seal_by(&mut self, sealer: JobSealer) {
        let kept = match sealer {
            JobSealer::Caller => FaultKind::KeepsDeviceSealing,
            JobSealer::Worker => FaultKind::KeepsSoftwareSealing,
        };
        if self.fault != Some(kept) {
            self.inner.seal_by(sealer);
        }
    }
}
