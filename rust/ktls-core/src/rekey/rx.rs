//! The receive side of a key update.

use crate::error::Error;

/// Where the receive key stands (RFC 8446 §4.6.3, and the kernel's pause rule K-9).
///
/// | state  | `KeyInstalled` | `KeyUpdateRead` |
/// |--------|----------------|-----------------|
/// | NoKey  | Ready          | `NoKey`         |
/// | Ready  | Ready          | Paused          |
/// | Paused | Ready          | `KeyExpired`    |
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RxRekey {
    /// Nothing can be opened yet.
    #[default]
    NoKey,
    /// Records open under the current key.
    Ready,
    /// The peer moved on; nothing opens until the next key is installed.
    Paused,
}

/// What happens to a receive key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RxRekeyEvent {
    /// A key was given (`TLS_RX`).
    KeyInstalled,
    /// A KeyUpdate was opened.
    KeyUpdateRead,
}

impl RxRekey {
    /// The state after `event`.
    ///
    /// # Errors
    /// Why `event` cannot happen here: [`Error::NoKey`], [`Error::KeyExpired`].
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
