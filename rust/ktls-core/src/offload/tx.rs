//! The sending direction's key update under offload: all of its states and rules.

use crate::offload::policy::{InstallPolicy, RekeyOutcome};

/// Where a sending direction stands between device and software.
///
/// `write` is the stream offset behind the last record, `acked` what the peer has acknowledged, "idle"
/// is `acked == write` with no open record.
///
/// | state     | `Key`, idle | `Key`, not idle   | `Acked`      | `Send`     | `Installed` | `Refused` | `Close`  |
/// |-----------|-------------|-------------------|--------------|------------|-------------|-----------|----------|
/// | Software  | Software ✓  | Software ✓        | –            | –          | –           | –         | Closed   |
/// | Offloaded | Installing  | Pending, or Ready | –            | –          | –           | –         | Closed   |
/// | Pending   | Installing ✓ | Pending ✓, or Ready ✓ | Ready at the boundary | – | –      | –         | Closed ⊘ |
/// | Ready     | Installing ✓ | Pending ✓, or Ready ✓ | –        | Installing | –           | –         | Closed ⊘ |
/// | Installing | –          | –                 | –            | –          | Offloaded ✓ | Software ✗, or Failed ✗ | Closed ⊘ |
/// | Failed    | Ready       | Ready             | –            | –          | –           | –         | Closed   |
/// | Closed    | –           | –                 | –            | –          | –           | –         | –        |
///
/// ✓ ✗ ⊘ are the [`RekeyOutcome`] Ok, Fallback, Aborted of one key update; – is no change. Entering Installing
/// asks for the install. Where a key comes and nothing is unacknowledged but a record is open, Ready waits for
/// the next send, which closes that record (R-TX-7). The cover letter moves the boundary with every key
/// (R-TX-6); V17 leaves it where the device's records end (V-TX-3), stays Ready, and is the one that has Failed, out of
/// which a key leads again (V-TX-6). Naive goes to Installing at every key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TxPhase {
    /// Records are sealed in software, for good.
    #[default]
    Software,
    /// The device seals, with the newest key.
    Offloaded,
    /// The newest key seals in software until everything below `boundary` is acknowledged (R-TX-1, R-TX-3).
    Pending {
        /// The offset behind the last record of a past key.
        boundary: u64,
    },
    /// All that past keys sealed is acknowledged: the next send installs (R-TX-6, V-TX-4, V-TX-5).
    Ready,
    /// The device is asked to take the newest key, and none that came before it (R-TX-5).
    Installing,
    /// The device refused: software until a key comes.
    Failed,
    /// Nothing will be sent.
    Closed,
}

/// What happens to a sending direction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TxOffloadEvent {
    /// `TLS_TX` with the next key.
    Key(StreamPosition),
    /// The peer has acknowledged everything below this offset.
    Acked(u64),
    /// A sendmsg begins.
    Send,
    /// The device has the newest key.
    Installed,
    /// The device refused it.
    Refused,
    /// The connection is closed.
    Close,
}

/// Where the stream stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamPosition {
    /// The offset behind the last record.
    pub write: u64,
    /// The offset up to which the peer has acknowledged.
    pub acked: u64,
    /// Plaintext bytes of the open record.
    pub open: usize,
}

impl StreamPosition {
    const fn is_idle(self) -> bool {
        self.acked >= self.write && self.open == 0
    }
}

/// The state after an event and what is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TxStep {
    /// The state after.
    pub phase: TxPhase,
    /// Close and push the open record, then give the newest key to the device.
    pub install: bool,
    /// What became of a key update.
    pub outcome: Option<RekeyOutcome>,
}

impl TxPhase {
    /// The state after `event`.
    #[must_use]
    pub fn on(self, policy: InstallPolicy, event: TxOffloadEvent) -> TxStep {
        match (self, event) {
            (Self::Software, TxOffloadEvent::Key(_)) => to(self).with(RekeyOutcome::Ok),
            (Self::Offloaded, TxOffloadEvent::Key(line)) => self.rekey(policy, line),
            (Self::Pending { .. } | Self::Ready, TxOffloadEvent::Key(line)) => {
                self.rekey(policy, line).with(RekeyOutcome::Ok)
            }
            (Self::Failed, TxOffloadEvent::Key(_)) => to(Self::Ready),
            (Self::Pending { boundary }, TxOffloadEvent::Acked(acked)) if acked >= boundary => {
                to(Self::Ready)
            }
            (Self::Ready, TxOffloadEvent::Send) => install(),
            (Self::Installing, TxOffloadEvent::Installed) => {
                to(Self::Offloaded).with(RekeyOutcome::Ok)
            }
            (Self::Installing, TxOffloadEvent::Refused) => {
                failed(policy).with(RekeyOutcome::Fallback)
            }
            (Self::Pending { .. } | Self::Ready | Self::Installing, TxOffloadEvent::Close) => {
                to(Self::Closed).with(RekeyOutcome::Aborted)
            }
            (
                Self::Software | Self::Offloaded | Self::Failed | Self::Closed,
                TxOffloadEvent::Close,
            ) => to(Self::Closed),
            (Self::Installing | Self::Closed, TxOffloadEvent::Key(_)) => to(self),
            (
                _,
                TxOffloadEvent::Acked(_)
                | TxOffloadEvent::Send
                | TxOffloadEvent::Installed
                | TxOffloadEvent::Refused,
            ) => to(self),
        }
    }

    /// True while new records are framed for the device.
    #[must_use]
    pub const fn on_device(self) -> bool {
        matches!(self, Self::Offloaded)
    }

    /// True while a key update has no outcome yet (`TlsCurrTxRekey`).
    #[must_use]
    pub const fn is_rekeying(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Ready | Self::Installing)
    }

    /// True while the direction counts as the device's (`TlsCurrTxDevice`).
    #[must_use]
    pub const fn counts_as_device(self) -> bool {
        matches!(self, Self::Offloaded) || self.is_rekeying()
    }

    fn rekey(self, policy: InstallPolicy, line: StreamPosition) -> TxStep {
        let boundary = match (policy, self) {
            (InstallPolicy::V17, Self::Pending { boundary }) => boundary,
            // The device's records are acknowledged: the key is all that changes (V-TX-7).
            (InstallPolicy::V17, Self::Ready) => return to(self),
            _ => line.write,
        };
        if policy == InstallPolicy::Naive || line.is_idle() {
            return install();
        }
        if line.acked >= boundary {
            return to(Self::Ready);
        }
        to(Self::Pending { boundary })
    }
}

impl TxStep {
    const fn with(mut self, outcome: RekeyOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }
}

const fn to(phase: TxPhase) -> TxStep {
    TxStep {
        phase,
        install: false,
        outcome: None,
    }
}

const fn install() -> TxStep {
    TxStep {
        phase: TxPhase::Installing,
        install: true,
        outcome: None,
    }
}

/// R-TX-8, V-TX-6.
const fn failed(policy: InstallPolicy) -> TxStep {
    match policy {
        InstallPolicy::V17 => to(TxPhase::Failed),
        InstallPolicy::CoverLetter | InstallPolicy::Naive => to(TxPhase::Software),
    }
}

#[cfg(test)]
mod tests {
    use super::TxOffloadEvent::{Acked, Close, Installed, Key, Refused, Send};
    use super::TxPhase::{Closed, Failed, Installing, Offloaded, Pending, Ready, Software};
    use super::*;

    const IDLE: TxOffloadEvent = Key(StreamPosition {
        write: 100,
        acked: 100,
        open: 0,
    });
    const OPEN: TxOffloadEvent = Key(StreamPosition {
        write: 100,
        acked: 100,
        open: 5,
    });
    const BUSY: TxOffloadEvent = Key(StreamPosition {
        write: 100,
        acked: 60,
        open: 0,
    });
    const AT: fn(u64) -> TxPhase = |boundary| Pending { boundary };

    fn check(
        policy: InstallPolicy,
        rows: &[(TxPhase, TxOffloadEvent, TxPhase, Option<RekeyOutcome>)],
    ) {
        for &(state, event, phase, outcome) in rows {
            let want = TxStep {
                phase,
                install: phase == Installing && state != Installing,
                outcome,
            };
            // Naive installs over an install, too.
            assert_eq!(
                state.on(policy, event),
                want,
                "{policy}: {state:?} on {event:?}"
            );
        }
    }

    /// R-TX-3, R-TX-4, R-TX-6, R-TX-8.
    #[test]
    fn every_state_answers_every_event_by_the_cover_letter() {
        let (ok, fallback, aborted) = (
            Some(RekeyOutcome::Ok),
            Some(RekeyOutcome::Fallback),
            Some(RekeyOutcome::Aborted),
        );
        let p = AT(80);
        check(
            InstallPolicy::CoverLetter,
            &[
                (Software, IDLE, Software, ok),
                (Software, BUSY, Software, ok),
                (Offloaded, IDLE, Installing, None),
                (Offloaded, OPEN, Ready, None),
                (Offloaded, BUSY, AT(100), None),
                (p, IDLE, Installing, ok),
                (p, OPEN, Ready, ok),
                (p, BUSY, AT(100), ok),
                (Ready, IDLE, Installing, ok),
                (Ready, OPEN, Ready, ok),
                (Ready, BUSY, AT(100), ok),
                (Closed, BUSY, Closed, None),
                (p, Acked(79), p, None),
                (p, Acked(80), Ready, None),
                (Ready, Send, Installing, None),
                (p, Send, p, None),
                (Offloaded, Send, Offloaded, None),
                (Installing, Installed, Offloaded, ok),
                (Installing, Refused, Software, fallback),
                (Installing, Close, Closed, aborted),
                (p, Close, Closed, aborted),
                (Ready, Close, Closed, aborted),
                (Offloaded, Close, Closed, None),
                (Software, Close, Closed, None),
                (Closed, Close, Closed, None),
            ],
        );
    }

    /// V-TX-1, V-TX-3, V-TX-6, V-TX-7.
    #[test]
    fn v17_keeps_the_boundary_and_tries_again_after_a_refusal() {
        let (ok, fallback) = (Some(RekeyOutcome::Ok), Some(RekeyOutcome::Fallback));
        check(
            InstallPolicy::V17,
            &[
                (Offloaded, IDLE, Installing, None),
                (Offloaded, BUSY, AT(100), None),
                (AT(80), BUSY, AT(80), ok),
                (AT(50), BUSY, Ready, ok),
                (Ready, BUSY, Ready, ok),
                (Installing, Refused, Failed, fallback),
                (Failed, BUSY, Ready, None),
                (Failed, Close, Closed, None),
            ],
        );
    }

    #[test]
    fn naive_never_waits() {
        check(InstallPolicy::Naive, &[(Offloaded, BUSY, Installing, None)]);
    }
}
