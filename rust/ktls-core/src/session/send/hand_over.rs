//! The end of a sender whose session goes on elsewhere.

use super::{SendEnding, SessionSender};
use crate::crypto_info::CryptoInfo;
use crate::rekey::TxRekey;
use crate::session::key_update_schedule::RekeySchedule;
use crate::session::ktls_keys::{KtlsSendKeys, SenderHandOver};

impl SessionSender {
    /// Returns the key in use, with the number of the next record.
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.sealer.live_info()
    }

    /// Returns `true` if nothing waits to be sent: neither sealed bytes nor the answer to a
    /// KeyUpdate.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.wire.is_empty() && !self.owed
    }

    /// Ends the direction for this object, so that no number is used twice, and returns its state.
    pub(in crate::session) fn hand_over(&mut self) -> SenderHandOver {
        let keys = KtlsSendKeys {
            rekey: std::mem::replace(&mut self.rekey, TxRekey::Idle),
            schedule: std::mem::replace(&mut self.schedule, RekeySchedule::never()),
            cipher: self.sealer.live_info().cipher(),
            limits: self.sealer.limits(),
            generation: self.sealer.generation(),
            records: self.sealer.rec_seq(),
            rekey_peer: self.setting.policy.rekey_peer,
            ending: self.ending,
            under_way: None,
            is_owed: self.owed,
        };
        self.owed = false;
        self.ending = SendEnding::Failed;
        SenderHandOver {
            version: self.sealer.version(),
            keys,
        }
    }
}
