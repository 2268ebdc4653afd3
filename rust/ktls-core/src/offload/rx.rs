//! The states and rules of key updates in the receiving direction under offload.

use crate::offload::policy::{InstallPolicy, RekeyOutcome};

/// The phase of a receiving direction: whether the device or software opens its records, and how
/// far a key update has come.
///
/// Under [`InstallPolicy::CoverLetter`] every `TLS_RX` installs the key in the device (R-RX-2,
/// R-RX-3):
///
/// | state      | `KeyUpdateRead` | `Key`      | `Installed` | `Refused`  | `Close`  |
/// |------------|-----------------|------------|-------------|------------|----------|
/// | Software   | –               | Installing | –           | –          | Closed   |
/// | Offloaded  | –               | Installing | –           | –          | Closed   |
/// | Installing | –               | –          | Offloaded ✓ | Software ✗ | Closed ⊘ |
///
/// Under [`InstallPolicy::V17`] the key is deleted from the device at the KeyUpdate. The next one
/// is installed once everything that the device can have touched is read (V-RX-1 to V-RX-6).
/// "empty" means a receive queue without unread bytes:
///
/// | state      | `KeyUpdateRead` | `Key`, empty | `Key`      |
/// |------------|-----------------|--------------|------------|
/// | Software   | –               | Software ✓   | Software ✓ |
/// | Offloaded  | Deleted, delete | Installing   | Draining   |
/// | Deleted    | –               | Installing   | Draining   |
/// | Draining   | –               | Installing ✓ | Draining ✓ |
/// | Installing | –               | –            | –          |
/// | Failed     | –               | Installing   | Draining   |
///
/// | state      | `Touched` | `Untouched` | `Installed` | `Refused` | `Close`  |
/// |------------|-----------|-------------|-------------|-----------|----------|
/// | Software   | –         | –           | –           | –         | Closed   |
/// | Offloaded  | –         | –           | –           | –         | Closed   |
/// | Deleted    | –         | –           | –           | –         | Closed   |
/// | Draining   | Draining  | Installing  | –           | –         | Closed ⊘ |
/// | Installing | –         | –           | Offloaded ✓ | Failed ✗  | Closed ⊘ |
/// | Failed     | –         | –           | –           | –         | Closed   |
///
/// ✓, ✗ and ⊘ mark a key update that ends with the [`RekeyOutcome`] `Ok`, `Fallback` or `Aborted`;
/// "–" means no change. `Touched` moves the boundary of Draining forward; `Untouched` installs the
/// key if the record starts at the boundary or behind it. Nothing leaves Closed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum RxPhase {
    /// Records are opened in software.
    #[default]
    Software,
    /// The device opens records, under the newest key.
    Offloaded,
    /// A KeyUpdate was read: the device has no key, and the next one is not known yet.
    Deleted,
    /// The next key is known. The device gets it at the first untouched record that starts at
    /// `boundary` or behind it (V-RX-5).
    Draining {
        /// The offset below which the device may have touched bytes under a past key.
        boundary: u64,
    },
    /// The device is about to accept or refuse the newest key.
    Installing,
    /// The device refused the key: software opens records until the next key is installed.
    Failed,
    /// The connection is closed.
    Closed,
}

/// An event of a receiving direction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RxOffloadEvent {
    /// A KeyUpdate was opened.
    KeyUpdateRead,
    /// `TLS_RX` was called with the next key.
    Key(UnreadStream),
    /// The next record was touched by the device.
    Touched {
        /// The offset behind the record.
        end: u64,
    },
    /// The next record was not touched by the device.
    Untouched {
        /// The offset of its first byte.
        start: u64,
    },
    /// The device accepted the newest key.
    Installed,
    /// The device refused the newest key.
    Refused,
    /// The connection is closed.
    Close,
}

/// The part of the stream that was received and not read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UnreadStream {
    /// The offset of the next record to open (`copied_seq`, V-RX-7).
    pub head: u64,
    /// The offset behind the last byte that was received, in order or out of order (V-RX-2).
    pub received: u64,
}

/// The phase after an event, and what the event requires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RxStep {
    /// The phase after the event.
    pub phase: RxPhase,
    /// The request to the device, if there is one.
    pub action: Option<KeyAction>,
    /// The outcome of a key update, if one has ended.
    pub outcome: Option<RekeyOutcome>,
}

/// A request to a device about its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAction {
    /// Delete the key.
    Delete,
    /// Delete the key if there is one, and install the newest.
    Install,
}

impl RxPhase {
    /// Returns the phase after `event`, and what the event requires.
    #[must_use]
    pub fn on(self, policy: InstallPolicy, event: RxOffloadEvent) -> RxStep {
        match (self, event) {
            (Self::Offloaded, RxOffloadEvent::KeyUpdateRead) if policy == InstallPolicy::V17 => {
                to(Self::Deleted).with_action(KeyAction::Delete)
            }
            (Self::Closed | Self::Installing, RxOffloadEvent::Key(_)) => to(self),
            (_, RxOffloadEvent::Key(_)) if policy != InstallPolicy::V17 => install(),
            (Self::Software, RxOffloadEvent::Key(_)) => to(self).with(RekeyOutcome::Ok),
            (Self::Offloaded, RxOffloadEvent::Key(queue)) => {
                drain(0, queue).with_action_unless_set(KeyAction::Delete)
            }
            (Self::Deleted | Self::Failed, RxOffloadEvent::Key(queue)) => drain(0, queue),
            (Self::Draining { boundary }, RxOffloadEvent::Key(queue)) => {
                drain(boundary, queue).with(RekeyOutcome::Ok)
            }
            (Self::Draining { boundary }, RxOffloadEvent::Touched { end }) => to(Self::Draining {
                boundary: boundary.max(end),
            }),
            (Self::Draining { boundary }, RxOffloadEvent::Untouched { start })
                if start >= boundary =>
            {
                install()
            }
            (Self::Installing, RxOffloadEvent::Installed) => {
                to(Self::Offloaded).with(RekeyOutcome::Ok)
            }
            (Self::Installing, RxOffloadEvent::Refused) => {
                failed(policy).with(RekeyOutcome::Fallback)
            }
            (Self::Draining { .. } | Self::Installing, RxOffloadEvent::Close) => {
                to(Self::Closed).with(RekeyOutcome::Aborted)
            }
            (
                Self::Software | Self::Offloaded | Self::Deleted | Self::Failed | Self::Closed,
                RxOffloadEvent::Close,
            ) => to(Self::Closed),
            (
                _,
                RxOffloadEvent::KeyUpdateRead
                | RxOffloadEvent::Touched { .. }
                | RxOffloadEvent::Untouched { .. }
                | RxOffloadEvent::Installed
                | RxOffloadEvent::Refused,
            ) => to(self),
        }
    }

    /// Returns `true` while a key update is in progress (`TlsCurrRxRekey`).
    #[must_use]
    pub const fn is_rekeying(self) -> bool {
        matches!(self, Self::Draining { .. } | Self::Installing)
    }

    /// Returns `true` if the direction is counted in `TlsCurrRxDevice`. `before` is whether it was
    /// counted there until now.
    #[must_use]
    pub const fn counts_as_device(self, before: bool) -> bool {
        match self {
            Self::Offloaded => true,
            Self::Software | Self::Failed => false,
            // The gauge changes only when the key update is complete.
            Self::Deleted | Self::Draining { .. } | Self::Installing | Self::Closed => before,
        }
    }
}

impl RxStep {
    const fn with(mut self, outcome: RekeyOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    const fn with_action(mut self, action: KeyAction) -> Self {
        self.action = Some(action);
        self
    }

    /// Adds `action` unless there is one already: an install includes the deletion.
    const fn with_action_unless_set(self, action: KeyAction) -> Self {
        match self.action {
            Some(_) => self,
            None => self.with_action(action),
        }
    }
}

const fn to(phase: RxPhase) -> RxStep {
    RxStep {
        phase,
        action: None,
        outcome: None,
    }
}

const fn install() -> RxStep {
    to(RxPhase::Installing).with_action(KeyAction::Install)
}

/// Installs the key if the receive queue is empty (V-RX-3). Otherwise waits for its end, or for
/// `past` if that is farther (V-RX-4).
const fn drain(past: u64, queue: UnreadStream) -> RxStep {
    if queue.received <= queue.head {
        return install();
    }
    let boundary = if past > queue.received {
        past
    } else {
        queue.received
    };
    to(RxPhase::Draining { boundary })
}

/// Falls back to software, where the next key starts again from Failed under V17.
const fn failed(policy: InstallPolicy) -> RxStep {
    match policy {
        InstallPolicy::V17 => to(RxPhase::Failed),
        InstallPolicy::CoverLetter | InstallPolicy::Naive => to(RxPhase::Software),
    }
}

#[cfg(test)]
mod tests {
    use super::RxOffloadEvent::{
        Close, Installed, Key, KeyUpdateRead, Refused, Touched, Untouched,
    };
    use super::RxPhase::{Closed, Deleted, Draining, Failed, Installing, Offloaded, Software};
    use super::*;

    const EMPTY: RxOffloadEvent = Key(UnreadStream {
        head: 50,
        received: 50,
    });
    const FULL: RxOffloadEvent = Key(UnreadStream {
        head: 50,
        received: 90,
    });
    const OK: Option<RekeyOutcome> = Some(RekeyOutcome::Ok);
    const FALLBACK: Option<RekeyOutcome> = Some(RekeyOutcome::Fallback);
    const ABORTED: Option<RekeyOutcome> = Some(RekeyOutcome::Aborted);

    fn want(phase: RxPhase, action: Option<KeyAction>, outcome: Option<RekeyOutcome>) -> RxStep {
        RxStep {
            phase,
            action,
            outcome,
        }
    }

    fn check(policy: InstallPolicy, rows: &[(RxPhase, RxOffloadEvent, RxStep)]) {
        for &(state, event, want) in rows {
            assert_eq!(
                state.on(policy, event),
                want,
                "{policy}: {state:?} on {event:?}"
            );
        }
    }

    /// R-RX-2, R-RX-3.
    #[test]
    fn every_state_answers_every_event_by_the_cover_letter() {
        let install = Some(KeyAction::Install);
        check(
            InstallPolicy::CoverLetter,
            &[
                (Software, KeyUpdateRead, want(Software, None, None)),
                (Offloaded, KeyUpdateRead, want(Offloaded, None, None)),
                (Software, FULL, want(Installing, install, None)),
                (Offloaded, FULL, want(Installing, install, None)),
                (Offloaded, EMPTY, want(Installing, install, None)),
                (Installing, Installed, want(Offloaded, None, OK)),
                (Installing, Refused, want(Software, None, FALLBACK)),
                (Installing, Close, want(Closed, None, ABORTED)),
                (Offloaded, Close, want(Closed, None, None)),
                (Software, Close, want(Closed, None, None)),
                (Closed, FULL, want(Closed, None, None)),
            ],
        );
    }

    /// V-RX-1, V-RX-3 to V-RX-6.
    #[test]
    fn every_state_answers_every_event_by_v17() {
        let (install, delete) = (Some(KeyAction::Install), Some(KeyAction::Delete));
        let drain = |boundary| Draining { boundary };
        check(
            InstallPolicy::V17,
            &[
                (Software, KeyUpdateRead, want(Software, None, None)),
                (Software, FULL, want(Software, None, OK)),
                (Offloaded, KeyUpdateRead, want(Deleted, delete, None)),
                (Offloaded, EMPTY, want(Installing, install, None)),
                (Offloaded, FULL, want(drain(90), delete, None)),
                (Deleted, KeyUpdateRead, want(Deleted, None, None)),
                (Deleted, EMPTY, want(Installing, install, None)),
                (Deleted, FULL, want(drain(90), None, None)),
                (Deleted, Close, want(Closed, None, None)),
                (drain(70), KeyUpdateRead, want(drain(70), None, None)),
                (drain(70), EMPTY, want(Installing, install, OK)),
                (drain(70), FULL, want(drain(90), None, OK)),
                (drain(99), FULL, want(drain(99), None, OK)),
                (drain(70), Touched { end: 80 }, want(drain(80), None, None)),
                (drain(70), Touched { end: 60 }, want(drain(70), None, None)),
                (
                    drain(70),
                    Untouched { start: 69 },
                    want(drain(70), None, None),
                ),
                (
                    drain(70),
                    Untouched { start: 70 },
                    want(Installing, install, None),
                ),
                (drain(70), Close, want(Closed, None, ABORTED)),
                (
                    Offloaded,
                    Untouched { start: 70 },
                    want(Offloaded, None, None),
                ),
                (Installing, Installed, want(Offloaded, None, OK)),
                (Installing, Refused, want(Failed, None, FALLBACK)),
                (Failed, KeyUpdateRead, want(Failed, None, None)),
                (Failed, EMPTY, want(Installing, install, None)),
                (Failed, FULL, want(drain(90), None, None)),
                (Failed, Close, want(Closed, None, None)),
                (Closed, Close, want(Closed, None, None)),
            ],
        );
    }
}
