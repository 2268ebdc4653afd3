//! Faults for the driver of key updates, planted around it by tests.
//!
//! The driver reaches everything through three traits: its table, the key slots of a device, and the
//! sending stream. A wrapper of each does what the driver would do if one of its lines were wrong. Without a
//! fault the wrappers pass everything on, and that is how each run of the proof uses them.

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
    /// The direction whose driver has it.
    pub direction: Direction,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// Takes everything that was written for acknowledged, and so installs too early.
    AssumesAcknowledged,
    /// Never learns what was acknowledged, unless it is told.
    AsksNothing,
    /// Does not close the open record before the key changes hands.
    LeavesRecordOpen,
    /// Never puts the next key in use.
    InstallsNothing,
    /// Does not tell the socket that software seals now.
    KeepsDeviceSealing,
    /// Does not tell the socket that the device seals again.
    KeepsSoftwareSealing,
    /// Does not take the old key out.
    SkipsDelete,
    /// Takes the old key out after the new one is in.
    DeletesLate,
    /// Puts a key in twice.
    AddsTwice,
    /// Never asks the device for what the table wants.
    LosesDeed,
    /// Takes a refusal for a consent.
    IgnoresRefusal,
    /// Takes a consent for a refusal.
    IgnoresConsent,
    /// Does not tell the table what the device said.
    LosesVerdict,
    /// Does not count what became of a key update.
    LosesOutcome,
    /// Counts a success at events that end no key update.
    CountsTooMuch,
    /// Goes on showing what carried the direction when it ends.
    KeepsGauge,
    /// Goes on showing a key update that has its outcome.
    KeepsRekeyGauge,
}

impl FaultKind {
    /// All of them.
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
        Self::LosesDeed,
        Self::IgnoresRefusal,
        Self::IgnoresConsent,
        Self::LosesVerdict,
        Self::LosesOutcome,
        Self::CountsTooMuch,
        Self::KeepsGauge,
        Self::KeepsRekeyGauge,
    ];
}

/// The part of a fault that concerns one direction.
pub(crate) fn of(fault: Option<PlantedFault>, direction: Direction) -> Option<FaultKind> {
    fault
        .filter(|fault| fault.direction == direction)
        .map(|fault| fault.kind)
}

/// A table with a fault.
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
                    deed: None,
                    outcome: None,
                };
            }
            Some(FaultKind::LosesDeed) => step.deed = None,
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

/// The slots of a device, or a stream, with a fault.
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
