//! The send side of a key update.

use crate::error::Error;
use crate::rekey::Reply;

/// The state of our own key updates (RFC 8446 §4.6.3, RFC 9846 §4.7.3: at most one outstanding
/// request).
///
/// | state     | `Start`                 | `KeyInstalled`              | `PeerUpdated` |
/// |-----------|-------------------------|-----------------------------|---------------|
/// | Idle      | Sending(reply)          | Idle                        | Idle          |
/// | Requested | Sending(`Requested`)    | Requested                   | Idle          |
/// | Sending   | `KeyExpired`            | Idle, or Requested if asked | Sending(`NotRequested`) |
///
/// After `Start` in Requested, we still wait for the first answer, so the new message must not
/// request another (see [`TxRekey::may_request`]). `KeyInstalled` in Idle or Requested means that
/// user space has installed a key itself (K-23).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TxRekey {
    /// No key update is in progress.
    #[default]
    Idle,
    /// We have requested a KeyUpdate of the peer that has not arrived yet.
    Requested,
    /// The KeyUpdate is being sent under the old key, and the new key is not in use yet.
    /// `Requested`: the peer will have to answer.
    Sending(Reply),
}

/// An event of a send key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TxRekeyEvent {
    /// A KeyUpdate is about to be sealed.
    Start(Reply),
    /// The KeyUpdate was sealed and the next key is in use.
    KeyInstalled,
    /// A KeyUpdate of the peer arrived, which answers our request.
    PeerUpdated,
}

impl TxRekey {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// Returns [`Error::KeyExpired`] for a second `Start` before the key of the first is installed.
    pub fn on(self, event: TxRekeyEvent) -> Result<Self, Error> {
        match (self, event) {
            (Self::Idle, TxRekeyEvent::Start(reply)) => Ok(Self::Sending(reply)),
            (Self::Requested, TxRekeyEvent::Start(_)) => Ok(Self::Sending(Reply::Requested)),
            (Self::Sending(_), TxRekeyEvent::Start(_)) => Err(Error::KeyExpired),
            (Self::Idle | Self::Sending(Reply::NotRequested), TxRekeyEvent::KeyInstalled) => {
                Ok(Self::Idle)
            }
            (Self::Requested | Self::Sending(Reply::Requested), TxRekeyEvent::KeyInstalled) => {
                Ok(Self::Requested)
            }
            (Self::Idle | Self::Requested, TxRekeyEvent::PeerUpdated) => Ok(Self::Idle),
            (Self::Sending(_), TxRekeyEvent::PeerUpdated) => Ok(Self::Sending(Reply::NotRequested)),
        }
    }

    /// Returns `true` if a KeyUpdate may request one of the peer: no earlier request is
    /// outstanding.
    #[must_use]
    pub const fn may_request(self) -> bool {
        matches!(self, Self::Idle | Self::Sending(Reply::NotRequested))
    }
}

#[cfg(test)]
mod tests {
    use super::TxRekey::{Idle, Requested, Sending};
    use super::TxRekeyEvent::{KeyInstalled, PeerUpdated, Start};
    use crate::error::Error;
    use crate::rekey::Reply;

    #[test]
    fn every_state_answers_every_event() {
        let (no, yes) = (Reply::NotRequested, Reply::Requested);
        for (state, event, want) in [
            (Idle, Start(no), Ok(Sending(no))),
            (Idle, Start(yes), Ok(Sending(yes))),
            (Idle, KeyInstalled, Ok(Idle)),
            (Idle, PeerUpdated, Ok(Idle)),
            (Requested, Start(no), Ok(Sending(yes))),
            (Requested, Start(yes), Ok(Sending(yes))),
            (Requested, KeyInstalled, Ok(Requested)),
            (Requested, PeerUpdated, Ok(Idle)),
            (Sending(no), Start(no), Err(Error::KeyExpired)),
            (Sending(no), Start(yes), Err(Error::KeyExpired)),
            (Sending(no), KeyInstalled, Ok(Idle)),
            (Sending(no), PeerUpdated, Ok(Sending(no))),
            (Sending(yes), Start(no), Err(Error::KeyExpired)),
            (Sending(yes), Start(yes), Err(Error::KeyExpired)),
            (Sending(yes), KeyInstalled, Ok(Requested)),
            (Sending(yes), PeerUpdated, Ok(Sending(no))),
        ] {
            assert_eq!(state.on(event), want, "{state:?} on {event:?}");
        }
    }

    #[test]
    fn a_second_request_waits_for_the_answer_to_the_first() {
        assert!(Idle.may_request());
        assert!(!Requested.may_request());
        assert!(!Sending(Reply::Requested).may_request());
    }
}
