//! The send side of a key update.

use crate::error::Error;
use crate::rekey::Reply;

/// Where our own key updates stand (RFC 8446 §4.6.3, RFC 9846 §4.7.3: one outstanding request).
///
/// | state     | `Start`                 | `KeyInstalled`              | `PeerUpdated` |
/// |-----------|-------------------------|-----------------------------|---------------|
/// | Idle      | Sending(reply)          | Idle                        | Idle          |
/// | Requested | Sending(`Requested`)    | Requested                   | Idle          |
/// | Sending   | `Busy`: still Sending   | Idle, or Requested if asked | Sending(`NotRequested`) |
///
/// `Start` in Requested keeps waiting for the first answer; the message itself then asks for none
/// (see [`TxRekey::may_request`]). `KeyInstalled` out of Sending is a key that user space set by itself (K-23).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TxRekey {
    /// Nothing is under way.
    #[default]
    Idle,
    /// We asked the peer to update and it has not yet.
    Requested,
    /// The KeyUpdate is on its way under the old key; the new one waits. `Requested`: an answer will be owed to us.
    Sending(Reply),
}

/// What happens to a send key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TxRekeyEvent {
    /// A KeyUpdate is about to be sealed.
    Start(Reply),
    /// It was, and the next key is in use.
    KeyInstalled,
    /// A KeyUpdate of the peer came in: it answers what we asked.
    PeerUpdated,
}

impl TxRekey {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`Error::KeyExpired`] for a second `Start` before the key of the first is installed.
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

    /// False while a request of ours is outstanding: no second one may be sent.
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
