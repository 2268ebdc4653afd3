//! Model of the receiving direction: each generation has a record of data and a KeyUpdate.

use ktls_core::offload::{
    InstallPolicy, KeyAction, RekeyOutcome, RxOffloadEvent, RxPhase, UnreadStream,
};

use super::search::StateModel;
use super::tx::DeviceVerdict;

/// A receiver with a device that may or may not decrypt what arrives, and a link that reorders
/// packets.
///
/// This covers more than any kind of resync can lead to.
#[derive(Clone, Copy, Debug)]
pub struct RxModel {
    /// The policy to check.
    pub policy: InstallPolicy,
    /// Number of key updates in the stream.
    pub rekeys: u8,
}

/// The state of the receiver.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RxModelState {
    phase: RxPhase,
    /// For each record, `None` until it arrives, and then the generation of the device's key that
    /// was used on it, if any.
    came: Vec<Option<Option<u8>>>,
    head: u8,
    generation: u8,
    paused: bool,
    /// The generation in the device's slot.
    device: Option<u8>,
    /// Whether the newest key has been in a slot.
    known: bool,
    /// Generations that the device had, each with the end of the records that it may have been used
    /// on.
    past: Vec<(u8, u8)>,
    rekeys: u8,
    outcomes: u8,
}

/// A step of the receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RxModelStep {
    Arrives(u8),
    ArrivesTouched(u8),
    Read(DeviceVerdict),
    InstallKey(DeviceVerdict),
    NetdevDown,
    Close,
}

impl StateModel for RxModel {
    type State = RxModelState;
    type Step = RxModelStep;

    fn start(&self) -> RxModelState {
        RxModelState {
            phase: RxPhase::Offloaded,
            came: vec![None; usize::from(self.rekeys) * 2 + 1],
            head: 0,
            generation: 0,
            paused: false,
            device: Some(0),
            known: true,
            past: Vec::new(),
            rekeys: 0,
            outcomes: 0,
        }
    }

    fn steps(&self, state: &RxModelState) -> Vec<RxModelStep> {
        let mut steps = vec![RxModelStep::NetdevDown, RxModelStep::Close];
        for verdict in [DeviceVerdict::Installed, DeviceVerdict::Refused] {
            steps.extend([RxModelStep::Read(verdict), RxModelStep::InstallKey(verdict)]);
        }
        for record in 0..state.came.len() as u8 {
            steps.extend([
                RxModelStep::Arrives(record),
                RxModelStep::ArrivesTouched(record),
            ]);
        }
        steps
    }

    fn after(
        &self,
        mut s: RxModelState,
        step: &RxModelStep,
    ) -> Option<Result<RxModelState, String>> {
        if s.phase == RxPhase::Closed {
            return None;
        }
        let done = match *step {
            RxModelStep::Arrives(i) if s.came[usize::from(i)].is_none() => {
                s.came[usize::from(i)] = Some(None);
                Ok(())
            }
            RxModelStep::ArrivesTouched(i) if s.came[usize::from(i)].is_none() => {
                s.came[usize::from(i)] = Some(Some(s.device?));
                Ok(())
            }
            RxModelStep::Read(verdict) if !s.paused => {
                let touched = (*s.came.get(usize::from(s.head))?)?;
                s.read(self.policy, touched, verdict)
            }
            RxModelStep::InstallKey(verdict) if s.paused => {
                s.install_key(self.policy, verdict);
                Ok(())
            }
            RxModelStep::NetdevDown => s.device.take().map(|_| Ok(()))?,
            RxModelStep::Close => {
                s.on(self.policy, RxOffloadEvent::Close);
                s.check_outcomes()
            }
            _ => return None,
        };
        Some(done.map(|()| s))
    }
}

impl RxModelState {
    /// Opens the record at the head.
    fn read(
        &mut self,
        policy: InstallPolicy,
        touched: Option<u8>,
        verdict: DeviceVerdict,
    ) -> Result<(), String> {
        let (start, end) = (self.head.into(), u64::from(self.head) + 1);
        let event = match touched {
            None => RxOffloadEvent::Untouched { start },
            Some(_) => RxOffloadEvent::Touched { end },
        };
        let action = self.on(policy, event);
        self.check_open(touched)?;
        self.act(policy, action, verdict);
        self.head += 1;
        self.past.retain(|(_, until)| *until > self.head);
        self.paused = self.head.is_multiple_of(2);
        if self.paused {
            let action = self.on(policy, RxOffloadEvent::KeyUpdateRead);
            self.act(policy, action, verdict);
        }
        self.check_device(policy)
    }

    /// Checks that with V17 the device has no key once the key's KeyUpdate is read (V-RX-1).
    fn check_device(&self, policy: InstallPolicy) -> Result<(), String> {
        match self.device {
            Some(key) if self.paused && policy == InstallPolicy::V17 => {
                Err(format!("the device has key {key} after its KeyUpdate"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Does `setsockopt(TLS_RX)` with the next key.
    fn install_key(&mut self, policy: InstallPolicy, verdict: DeviceVerdict) {
        let came = |index: &usize| self.came[*index].is_some();
        let farthest = (0..self.came.len()).filter(came).max();
        let received = farthest.map_or(0, |index| index as u8 + 1).max(self.head);
        if std::mem::take(&mut self.known) {
            self.past.push((self.generation, received));
        }
        self.generation += 1;
        self.rekeys += 1;
        self.paused = false;
        let queue = UnreadStream {
            head: self.head.into(),
            received: received.into(),
        };
        let action = self.on(policy, RxOffloadEvent::Key(queue));
        self.act(policy, action, verdict);
    }

    fn act(&mut self, policy: InstallPolicy, action: Option<KeyAction>, verdict: DeviceVerdict) {
        if action.is_some() {
            self.device = None;
        }
        if action != Some(KeyAction::Install) {
            return;
        }
        let event = match verdict {
            DeviceVerdict::Installed => {
                (self.device, self.known) = (Some(self.generation), true);
                RxOffloadEvent::Installed
            }
            DeviceVerdict::Refused => RxOffloadEvent::Refused,
        };
        self.on(policy, event);
    }

    fn on(&mut self, policy: InstallPolicy, event: RxOffloadEvent) -> Option<KeyAction> {
        let step = self.phase.on(policy, event);
        self.phase = step.phase;
        let counted = [
            RekeyOutcome::Ok,
            RekeyOutcome::Fallback,
            RekeyOutcome::Aborted,
        ]
        .map(Some);
        self.outcomes += u8::from(counted.contains(&step.outcome));
        step.action
    }

    /// Checks that the record is under the newest key, and that the decryption by the device can be
    /// undone.
    fn check_open(&self, touched: Option<u8>) -> Result<(), String> {
        let (head, want, have) = (self.head, self.head / 2, self.generation);
        if want != have {
            return Err(format!(
                "record {head} is under key {want}, read with key {have}"
            ));
        }
        let Some(used) = touched else {
            return Ok(());
        };
        let newest = self.known && used == have;
        if newest || self.past.iter().any(|(key, _)| *key == used) {
            return Ok(());
        }
        Err(format!(
            "record {head} was touched with key {used}, which is gone"
        ))
    }

    fn check_outcomes(&self) -> Result<(), String> {
        if self.outcomes == self.rekeys {
            return Ok(());
        }
        let (counted, rekeys) = (self.outcomes, self.rekeys);
        Err(format!("{counted} outcomes of {rekeys} key updates"))
    }
}
