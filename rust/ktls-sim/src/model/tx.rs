//! Model of the sending direction: a record is one byte of the stream, and a key is its generation.

use ktls_core::offload::{InstallPolicy, RekeyOutcome, StreamPosition, TxOffloadEvent, TxPhase};

use super::search::StateModel;
use crate::device_socket::SealPath;

/// A sender with its device, TCP, and a link that loses and reorders packets.
#[derive(Clone, Copy, Debug)]
pub struct TxModel {
    /// The policy to check.
    pub policy: InstallPolicy,
    /// Number of records that the program sends.
    pub records: u8,
    /// Number of key updates that it does.
    pub rekeys: u8,
}

/// The state of the sender.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TxModelState {
    phase: TxPhase,
    /// For each record, the newest generation when it was written, and what is to seal it.
    written: Vec<(u8, SealPath)>,
    /// The generation that each record was first sent under.
    seen: Vec<Option<u8>>,
    acked: u8,
    /// Number of open records, 0 or 1.
    open: u8,
    generation: u8,
    /// The generation in the device's slot.
    device: Option<u8>,
    /// Number of keys that the device has had.
    added: u8,
    /// The generation of the device's records, if it is not the newest.
    past: Option<u8>,
    list_start: u8,
    /// A segment between TCP and the device.
    taken: Option<u8>,
    /// A segment in the device, with the number of the key that it names.
    queued: Option<(u8, u8)>,
    /// The records in flight, as a bit set.
    travelling: u8,
    /// The records that have arrived, as a bit set.
    arrived: u8,
    ack: Option<u8>,
    rekeys: u8,
    outcomes: u8,
    left: u8,
}

/// A step of the sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TxModelStep {
    Send(DeviceVerdict),
    KeepOpen,
    Rekey(DeviceVerdict),
    Take(u8),
    GiveToDevice,
    FallBack,
    DeviceSeals,
    Arrives(u8),
    Lost(u8),
    Acknowledge,
    AckArrives,
    AckLost,
    NetdevDown,
    Close,
}

/// The device's answer to a key, if it is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceVerdict {
    Installed,
    Refused,
}

impl StateModel for TxModel {
    type State = TxModelState;
    type Step = TxModelStep;

    fn start(&self) -> TxModelState {
        TxModelState {
            phase: TxPhase::Offloaded,
            written: Vec::new(),
            seen: Vec::new(),
            acked: 0,
            open: 0,
            generation: 0,
            device: Some(0),
            added: 1,
            past: None,
            list_start: 0,
            taken: None,
            queued: None,
            travelling: 0,
            arrived: 0,
            ack: None,
            rekeys: 0,
            outcomes: 0,
            left: self.records,
        }
    }

    fn steps(&self, state: &TxModelState) -> Vec<TxModelStep> {
        let mut steps = vec![
            TxModelStep::GiveToDevice,
            TxModelStep::FallBack,
            TxModelStep::DeviceSeals,
        ];
        for verdict in [DeviceVerdict::Installed, DeviceVerdict::Refused] {
            steps.extend([TxModelStep::Send(verdict), TxModelStep::Rekey(verdict)]);
        }
        for record in 0..state.written.len() as u8 {
            steps.extend([
                TxModelStep::Take(record),
                TxModelStep::Arrives(record),
                TxModelStep::Lost(record),
            ]);
        }
        steps.extend([
            TxModelStep::KeepOpen,
            TxModelStep::Acknowledge,
            TxModelStep::AckArrives,
        ]);
        steps.extend([
            TxModelStep::AckLost,
            TxModelStep::NetdevDown,
            TxModelStep::Close,
        ]);
        steps
    }

    fn after(
        &self,
        mut s: TxModelState,
        step: &TxModelStep,
    ) -> Option<Result<TxModelState, String>> {
        let open = s.phase != TxPhase::Closed;
        let done = match *step {
            TxModelStep::Send(verdict) if open && s.left > 0 => {
                s.left -= 1;
                s.send(self.policy, verdict)
            }
            TxModelStep::KeepOpen if open && s.left > 0 && s.open == 0 => {
                (s.left, s.open) = (s.left - 1, 1);
                Ok(())
            }
            TxModelStep::Rekey(verdict) if open && s.rekeys < self.rekeys => {
                s.rekey(self.policy, verdict)
            }
            TxModelStep::Take(i) if s.taken.is_none() && i >= s.acked => {
                s.taken = Some(i);
                Ok(())
            }
            TxModelStep::GiveToDevice if s.may_queue() => {
                s.queued = s.taken.take().map(|i| (i, s.added));
                Ok(())
            }
            TxModelStep::FallBack => s.taken.take().map_or(Ok(()), |i| s.fall_back(i)),
            TxModelStep::DeviceSeals => {
                let queued = s.queued.take()?;
                s.device_seals(queued)
            }
            TxModelStep::Arrives(i) if s.travelling & 1 << i > 0 => {
                s.arrived |= 1 << i;
                s.travelling &= !(1 << i);
                Ok(())
            }
            TxModelStep::Lost(i) if s.travelling & 1 << i > 0 => {
                s.travelling &= !(1 << i);
                Ok(())
            }
            TxModelStep::Acknowledge if s.ack.is_none() => {
                s.ack = Some(s.arrived.trailing_ones() as u8);
                Ok(())
            }
            TxModelStep::AckArrives => {
                s.acked = s.acked.max(s.ack.take()?);
                let acked = s.acked.into();
                s.on(self.policy, TxOffloadEvent::Acked(acked));
                Ok(())
            }
            TxModelStep::AckLost => s.ack.take().map(|_| Ok(()))?,
            TxModelStep::NetdevDown => s.device.take().map(|_| Ok(()))?,
            TxModelStep::Close if open => {
                s.on(self.policy, TxOffloadEvent::Close);
                s.check_outcomes()
            }
            _ => return None,
        };
        Some(done.map(|()| s))
    }
}

impl TxModelState {
    fn send(&mut self, policy: InstallPolicy, verdict: DeviceVerdict) -> Result<(), String> {
        if self.phase == TxPhase::Ready {
            self.close_record();
        }
        self.step(policy, TxOffloadEvent::Send, verdict);
        self.open = 1;
        self.close_record();
        Ok(())
    }

    fn rekey(&mut self, policy: InstallPolicy, verdict: DeviceVerdict) -> Result<(), String> {
        if policy.flushes_open_record() {
            self.close_record();
        }
        if self.phase.on_device() && policy != InstallPolicy::Naive {
            self.past = Some(self.generation);
        }
        self.rekeys += 1;
        self.generation += 1;
        let line = StreamPosition {
            write: self.written.len() as u64,
            acked: self.acked.into(),
            open: self.open.into(),
        };
        self.step(policy, TxOffloadEvent::Key(line), verdict);
        Ok(())
    }

    /// Handles an event, and the install that the state machine may request.
    fn step(&mut self, policy: InstallPolicy, event: TxOffloadEvent, verdict: DeviceVerdict) {
        if !self.on(policy, event) {
            return;
        }
        (self.device, self.past) = (None, None);
        if verdict == DeviceVerdict::Installed {
            self.device = Some(self.generation);
            self.added += 1;
            if policy != InstallPolicy::Naive {
                self.list_start = self.written.len() as u8;
            }
        }
        let event = match verdict {
            DeviceVerdict::Installed => TxOffloadEvent::Installed,
            DeviceVerdict::Refused => TxOffloadEvent::Refused,
        };
        self.on(policy, event);
    }

    fn on(&mut self, policy: InstallPolicy, event: TxOffloadEvent) -> bool {
        let step = self.phase.on(policy, event);
        self.phase = step.phase;
        let counted = [
            RekeyOutcome::Ok,
            RekeyOutcome::Fallback,
            RekeyOutcome::Aborted,
        ]
        .map(Some);
        self.outcomes += u8::from(counted.contains(&step.outcome));
        step.install
    }

    fn close_record(&mut self) {
        if std::mem::take(&mut self.open) > 0 {
            let path = if self.phase.on_device() {
                SealPath::Device
            } else {
                SealPath::Sealed
            };
            self.written.push((self.generation, path));
            self.seen.push(None);
        }
    }

    fn may_queue(&self) -> bool {
        let for_device = |i: u8| self.written[usize::from(i)].1 == SealPath::Device;
        let taken = self
            .taken
            .is_some_and(|i| for_device(i) && i >= self.list_start);
        taken && self.device.is_some() && self.queued.is_none()
    }

    /// Sends a segment without the device: a sealed one as it is, and a framed one by the fallback
    /// while its record is kept.
    fn fall_back(&mut self, i: u8) -> Result<(), String> {
        let (generation, path) = self.written[usize::from(i)];
        if path == SealPath::Sealed {
            return self.put_on_wire(i, generation);
        }
        if i < self.list_start || i < self.acked {
            return Ok(());
        }
        self.put_on_wire(i, self.past.unwrap_or(self.generation))
    }

    /// Sends a queued segment, unless its descriptor names a deleted key.
    fn device_seals(&mut self, (i, key): (u8, u8)) -> Result<(), String> {
        match self.device {
            Some(generation) if key == self.added => self.put_on_wire(i, generation),
            _ => Ok(()),
        }
    }

    fn put_on_wire(&mut self, i: u8, generation: u8) -> Result<(), String> {
        let want = self.written[usize::from(i)].0;
        let first = *self.seen[usize::from(i)].get_or_insert(generation);
        if generation != want || generation != first {
            return Err(format!(
                "record {i} was written under key {want}, first sent under key {first}, now under key {generation}"
            ));
        }
        self.travelling |= 1 << i;
        Ok(())
    }

    fn check_outcomes(&self) -> Result<(), String> {
        if self.outcomes == self.rekeys {
            return Ok(());
        }
        let (counted, rekeys) = (self.outcomes, self.rekeys);
        Err(format!("{counted} outcomes of {rekeys} key updates"))
    }
}
