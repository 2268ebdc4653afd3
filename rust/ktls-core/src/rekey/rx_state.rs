//! The receive side of a key update.

use crate::error::Error;

/// The state of a receive key (RFC 8446 §4.6.3, and the kernel's pause rule K-9).
///
/// | state  | `KeyInstalled` | `KeyUpdateRead` |
/// |--------|----------------|-----------------|
/// | NoKey  | Ready          | `NoKey`         |
/// | Ready  | Ready          | Paused          |
/// | Paused | Ready          | `KeyExpired`    |
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RxRekey {
    /// No key is installed, so no record can be opened.
    #[default]
    NoKey,
    /// Records are opened under the current key.
    Ready,
    /// The peer uses a new key. No record is opened until that key is installed.
    Paused,
}

/// An event of a receive key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RxRekeyEvent {
    /// A key was installed (`TLS_RX`).
    KeyInstalled,
    /// A KeyUpdate was opened.
    KeyUpdateRead,
}

impl RxRekey {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// - [`Error::NoKey`] for a KeyUpdate if no key is installed.
    /// - [`Error::KeyExpired`] for a KeyUpdate while paused.
    pub fn on(self, event: RxRekeyEvent) -> Result<Self, Error> {
        match (self, event) {
            (Self::NoKey | Self::Ready | Self::Paused, RxRekeyEvent::KeyInstalled) => {
                Ok(Self::Ready)
            }
            (Self::Ready, RxRekeyEvent::KeyUpdateRead) => Ok(Self::Paused),
            (Self::NoKey, RxRekeyEvent::KeyUpdateRead) => Err(Error::NoKey),
            (Self::Paused, RxRekeyEvent::KeyUpdateRead) => Err(Error::KeyExpired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RxRekey::{NoKey, Paused, Ready};
    use super::RxRekeyEvent::{KeyInstalled, KeyUpdateRead};
    use crate::error::Error;

    #[test]
    fn every_state_answers_every_event() {
        for (state, event, want) in [
            (NoKey, KeyInstalled, Ok(Ready)),
            (NoKey, KeyUpdateRead, Err(Error::NoKey)),
            (Ready, KeyInstalled, Ok(Ready)),
            (Ready, KeyUpdateRead, Ok(Paused)),
            (Paused, KeyInstalled, Ok(Ready)),
            (Paused, KeyUpdateRead, Err(Error::KeyExpired)),
        ] {
            assert_eq!(state.on(event), want, "{state:?} on {event:?}");
        }
    }
}
