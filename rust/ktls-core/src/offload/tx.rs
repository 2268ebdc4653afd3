//! The states and rules of key updates in the sending direction under offload.

use crate::offload::policy::{InstallPolicy, RekeyOutcome};

/// The phase of a sending direction: whether the device or software seals its records, and how far
/// a key update has come.
///
/// `write` is the stream offset behind the last record, and `acked` the offset up to which the peer
/// has acknowledged the stream. "idle" means that `acked == write` and no record is open.
///
/// | state      | `Key`, idle  | `Key`, not idle       | `Acked`               | `Send`     |
/// |------------|--------------|-----------------------|-----------------------|------------|
/// | Software   | Software ✓   | Software ✓            | –                     | –          |
/// | Offloaded  | Installing   | Pending, or Ready     | –                     | –          |
/// | Pending    | Installing ✓ | Pending ✓, or Ready ✓ | Ready at the boundary | –          |
/// | Ready      | Installing ✓ | Pending ✓, or Ready ✓ | –                     | Installing |
/// | Installing | –            | –                     | –                     | –          |
/// | Failed     | Ready        | Ready                 | –                     | –          |
///
/// | state      | `Installed` | `Refused`               | `Close`  |
/// |------------|-------------|-------------------------|----------|
/// | Software   | –           | –                       | Closed   |
/// | Offloaded  | –           | –                       | Closed   |
/// | Pending    | –           | –                       | Closed ⊘ |
/// | Ready      | –           | –                       | Closed ⊘ |
/// | Installing | Offloaded ✓ | Software ✗, or Failed ✗ | Closed ⊘ |
/// | Failed     | –           | –                       | Closed   |
///
/// Nothing leaves Closed.
///
/// ✓, ✗ and ⊘ mark a key update that ends with the [`RekeyOutcome`] `Ok`, `Fallback` or `Aborted`;
/// "–" means no change. A step into Installing asks the device to install the newest key.
///
/// If a key arrives while everything is acknowledged but a record is open, the phase becomes Ready.
/// The next send closes that record and installs the key (R-TX-7).
///
/// The policies differ in these steps:
///
/// - [`InstallPolicy::CoverLetter`] moves the boundary with every key (R-TX-6).
/// - [`InstallPolicy::V17`] keeps the boundary where the device's records end (V-TX-3), and a key
///   in Ready does not leave Ready (V-TX-7). Only this policy has Failed, which the next key leaves
///   (V-TX-6).
/// - [`InstallPolicy::Naive`] goes to Installing at every key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TxPhase {
    /// Software seals records until the connection is closed.
    #[default]
    Software,
    /// The device seals records, under the newest key.
    Offloaded,
    /// Software seals records under the newest key until everything below `boundary` is
    /// acknowledged (R-TX-1, R-TX-3).
    Pending {
        /// The offset behind the last record of a past key.
        boundary: u64,
    },
    /// Everything that past keys sealed is acknowledged: the next send installs the newest key
    /// (R-TX-6, V-TX-4, V-TX-5).
    Ready,
    /// The device is about to accept or refuse the newest key. Keys before it are never offered
    /// (R-TX-5).
    Installing,
    /// The device refused the key: software seals records until the next key is installed.
    Failed,
    /// The connection is closed.
    Closed,
}

/// An event of a sending direction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TxOffloadEvent {
    /// `TLS_TX` was called with the next key.
    Key(StreamPosition),
    /// The peer has acknowledged everything below this offset.
    Acked(u64),
    /// A sendmsg begins.
    Send,
    /// The device accepted the newest key.
    Installed,
    /// The device refused the newest key.
    Refused,
    /// The connection is closed.
    Close,
}

/// How far a sending stream was written and acknowledged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamPosition {
    /// The offset behind the last record.
    pub write: u64,
    /// The offset up to which the peer has acknowledged the stream.
    pub acked: u64,
    /// The plaintext bytes of the open record; 0 if there is none.
    pub open: usize,
}

impl StreamPosition {
    const fn is_idle(self) -> bool {
        self.acked >= self.write && self.open == 0
    }
}

/// The phase after an event, and what the event requires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TxStep {
    /// The phase after the event.
    pub phase: TxPhase,
    /// Whether to close and push the open record and then install the newest key in the device.
    pub install: bool,
    /// The outcome of a key update, if one has ended.
    pub outcome: Option<RekeyOutcome>,
}

impl TxPhase {
    /// Returns the phase after `event`, and what the event requires.
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

    /// Returns `true` if the device seals new records.
    #[must_use]
    pub const fn on_device(self) -> bool {
        matches!(self, Self::Offloaded)
    }

    /// Returns `true` while a key update is in progress (`TlsCurrTxRekey`).
    #[must_use]
    pub const fn is_rekeying(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Ready | Self::Installing)
    }

    /// Returns `true` if the direction is counted in `TlsCurrTxDevice`. It remains counted there
    /// during a key update.
    #[must_use]
    pub const fn counts_as_device(self) -> bool {
        matches!(self, Self::Offloaded) || self.is_rekeying()
    }

    fn rekey(self, policy: InstallPolicy, line: StreamPosition) -> TxStep {
        let boundary = match (policy, self) {
            (InstallPolicy::V17, Self::Pending { boundary }) => boundary,
            // The device's records are acknowledged already: only the key changes (V-TX-7).
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

/// Falls back to software: for good (R-TX-8), or until the next key under V17 (V-TX-6).
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
