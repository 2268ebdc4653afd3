//! The receiving direction's key update under offload: all of its states and rules.

use crate::offload::policy::{InstallPolicy, RekeyOutcome};

/// Where a receiving direction stands between device and software.
///
/// By the cover letter, where the device is asked at every `TLS_RX` (R-RX-2, R-RX-3):
///
/// | state      | `KeyUpdateRead` | `Key`      | `Installed` | `Refused`  | `Close`  |
/// |------------|-----------------|------------|-------------|------------|----------|
/// | Software   | –               | Installing | –           | –          | Closed   |
/// | Offloaded  | –               | Installing | –           | –          | Closed   |
/// | Installing | –               | –          | Offloaded ✓ | Software ✗ | Closed ⊘ |
///
/// By V17, where the device loses its key at the KeyUpdate and gets the next one behind everything that
/// it can have touched (V-RX-1 to V-RX-6). "empty" is a receive queue without unread bytes:
///
/// | state      | `KeyUpdateRead` | `Key`, empty | `Key`      | `Touched` | `Untouched`                | `Installed` | `Refused` | `Close`  |
/// |------------|-----------------|--------------|------------|-----------|----------------------------|-------------|-----------|----------|
/// | Software   | –               | Software ✓   | Software ✓ | –         | –                          | –           | –         | Closed   |
/// | Offloaded  | Deleted, delete | Installing   | Draining   | –         | –                          | –           | –         | Closed   |
/// | Deleted    | –               | Installing   | Draining   | –         | –                          | –           | –         | Closed   |
/// | Draining   | –               | Installing ✓ | Draining ✓ | Draining, farther | Installing behind the boundary | –  | –         | Closed ⊘ |
/// | Installing | –               | –            | –          | –         | –                          | Offloaded ✓ | Failed ✗  | Closed ⊘ |
/// | Failed     | –               | Installing   | Draining   | –         | –                          | –           | –         | Closed   |
///
/// ✓ ✗ ⊘ are the [`RekeyOutcome`] Ok, Fallback, Aborted of one key update; – is no change.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum RxPhase {
    /// Records are opened in software.
    #[default]
    Software,
    /// The device opens, with the newest key.
    Offloaded,
    /// A KeyUpdate was read: the device has no key until the next one is known.
    Deleted,
    /// The next key is known; the device gets it behind `boundary` (V-RX-5).
    Draining {
        /// What lies below may have been touched under a past key.
        boundary: u64,
    },
    /// The device is asked to take the newest key.
    Installing,
    /// The device refused: software until a key comes.
    Failed,
    /// Nothing will be received.
    Closed,
}

/// What happens to a receiving direction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RxOffloadEvent {
    /// A KeyUpdate was opened.
    KeyUpdateRead,
    /// `TLS_RX` with the next key.
    Key(UnreadStream),
    /// A record ends at this offset that the device has touched.
    Touched {
        /// The offset behind the record.
        end: u64,
    },
    /// A record starts at this offset that the device has not touched.
    Untouched {
        /// The offset of its first byte.
        start: u64,
    },
    /// The device has the newest key.
    Installed,
    /// The device refused it.
    Refused,
    /// The connection is closed.
    Close,
}

/// What of the stream is here and not read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UnreadStream {
    /// The offset of the next record to open (`copied_seq`, V-RX-7).
    pub head: u64,
    /// The offset behind the last byte that has come, out of order or not (V-RX-2).
    pub received: u64,
}

/// The state after an event and what is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RxStep {
    /// The state after.
    pub phase: RxPhase,
    /// What the device is asked.
    pub deed: Option<KeyDeed>,
    /// What became of a key update.
    pub outcome: Option<RekeyOutcome>,
}

/// What a device is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyDeed {
    /// Delete the key.
    Delete,
    /// Delete the key if there is one, and take the newest.
    Install,
}

impl RxPhase {
    /// The state after `event`.
    #[must_use]
    pub fn on(self, policy: InstallPolicy, event: RxOffloadEvent) -> RxStep {
        match (self, event) {
            (Self::Offloaded, RxOffloadEvent::KeyUpdateRead) if policy == InstallPolicy::V17 => {
                to(Self::Deleted).asking(KeyDeed::Delete)
            }
            (Self::Closed | Self::Installing, RxOffloadEvent::Key(_)) => to(self),
            (_, RxOffloadEvent::Key(_)) if policy != InstallPolicy::V17 => install(),
            (Self::Software, RxOffloadEvent::Key(_)) => to(self).with(RekeyOutcome::Ok),
            (Self::Offloaded, RxOffloadEvent::Key(queue)) => {
                drain(0, queue).asking_also(KeyDeed::Delete)
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

    /// True while a key update has no outcome yet (`TlsCurrRxRekey`).
    #[must_use]
    pub const fn is_rekeying(self) -> bool {
        matches!(self, Self::Draining { .. } | Self::Installing)
    }

    /// True while the direction counts as the device's (`TlsCurrRxDevice`), given whether it did before.
    #[must_use]
    pub const fn counts_as_device(self, before: bool) -> bool {
        match self {
            Self::Offloaded => true,
            Self::Software | Self::Failed => false,
            // A change shows when it is done.
            Self::Deleted | Self::Draining { .. } | Self::Installing | Self::Closed => before,
        }
    }
}

impl RxStep {
    const fn with(mut self, outcome: RekeyOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    const fn asking(mut self, deed: KeyDeed) -> Self {
        self.deed = Some(deed);
        self
    }

    /// An install deletes anyway.
    const fn asking_also(self, deed: KeyDeed) -> Self {
        match self.deed {
            Some(_) => self,
            None => self.asking(deed),
        }
    }
}

const fn to(phase: RxPhase) -> RxStep {
    RxStep {
        phase,
        deed: None,
        outcome: None,
    }
}

const fn install() -> RxStep {
    to(RxPhase::Installing).asking(KeyDeed::Install)
}

/// V-RX-3, V-RX-4.
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

    fn want(phase: RxPhase, deed: Option<KeyDeed>, outcome: Option<RekeyOutcome>) -> RxStep {
        RxStep {
            phase,
            deed,
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
        let install = Some(KeyDeed::Install);
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
        let (install, delete) = (Some(KeyDeed::Install), Some(KeyDeed::Delete));
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
