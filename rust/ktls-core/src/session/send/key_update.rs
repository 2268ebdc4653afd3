//! KeyUpdates of our direction: those that the caller, a limit or the peer wants.

use std::time::Duration;

use super::{CALM, SPARE, SendEnding, SessionSender};
use crate::crypto_info::Direction;
use crate::error::Error;
use crate::rekey::{Reply, TxRekeyEvent};
use crate::stats::Counter;
use crate::wire::{ContentType, TLS13};

/// The most key updates of one connection (RFC 9846 §4.7.3).
const MAX_KEY_UPDATES: u64 = (1 << 48) - 1;

impl SessionSender {
    /// Seals a KeyUpdate and puts our next key in use (RFC 8446 §4.6.3).
    ///
    /// While a request of ours is not answered, the KeyUpdate requests no answer, regardless of
    /// `reply` (RFC 9846 §4.7.3). `now` is a time on the clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// Nothing is changed by an error.
    /// - [`Error::NoRekeyIn12`] in TLS 1.2.
    /// - [`Error::KeyUpdatesExhausted`] after 2^48 - 1 key updates.
    /// - [`Error::SendClosed`] after close_notify, [`Error::Dead`] after a fatal alert.
    /// - [`Error::NoRoom`] if too many sealed bytes are waiting to be sent.
    /// - [`Error::SeqExhausted`] if no record number is left for the KeyUpdate.
    pub fn key_update(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.set_time(now);
        self.update_key(reply)
    }

    pub(super) fn update_key(&mut self, reply: Reply) -> Result<(), Error> {
        self.check_open()?;
        if self.sealer.version() != TLS13 {
            return Err(Error::NoRekeyIn12);
        }
        if !self.may_update() {
            return Err(Error::KeyUpdatesExhausted);
        }
        self.check_room(reply.message().len(), self.setting.unsent.calm)?;
        self.seal_key_update(reply)
    }

    /// Returns `true` if RFC 9846 §4.7.3 allows another key update. Only senders have this limit.
    pub(super) fn may_update(&self) -> bool {
        let updates = self.past_updates.saturating_add(self.sealer.generation());
        updates < MAX_KEY_UPDATES
    }

    /// Seals a KeyUpdate if a record number and room are left, and installs the next key.
    fn seal_key_update(&mut self, reply: Reply) -> Result<(), Error> {
        let reply = if self.rekey.may_request() {
            reply
        } else {
            Reply::NotRequested
        };
        let installed = self
            .rekey
            .on(TxRekeyEvent::Start(reply))?
            .on(TxRekeyEvent::KeyInstalled)?;
        self.check_room(reply.message().len(), self.setting.unsent.most)?;
        let next = self.keys.next(Direction::Tx)?;
        let next = self.sealer.prepare(next, self.setting.provider)?;
        self.seal(ContentType::HANDSHAKE, &reply.message())?;

        // Nothing below may fail: the peer will change to the next key.
        self.sealer.install(next);
        self.setting.stats.add(Counter::TlsTxRekeyOk);
        if reply == Reply::Requested {
            self.setting.stats.add(Counter::TlsTxRekeyRequest);
        }
        self.rekey = installed;
        self.schedule.note_key_update();
        self.owed = false;
        Ok(())
    }

    /// Returns `true` if a request of ours is not answered: the peer's next KeyUpdate is the
    /// answer.
    #[must_use]
    pub const fn awaits_update(&self) -> bool {
        !self.rekey.may_request()
    }

    /// Notes a KeyUpdate of the peer, which answers our request if there is one, and answers it if
    /// it requests that. `now` is a time on the clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::key_update`].
    pub fn take_peer_update(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.set_time(now);
        self.rekey = self.rekey.on(TxRekeyEvent::PeerUpdated)?;
        self.owed |= reply == Reply::Requested && self.ending == SendEnding::Open;
        self.answer_peer_update()
    }

    /// Seals a KeyUpdate if the peer has requested one and there is room; otherwise does nothing.
    /// One KeyUpdate answers all requests before it.
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::key_update`].
    pub fn answer_peer_update(&mut self) -> Result<(), Error> {
        self.answer_within(CALM)
    }

    /// Answers the peer's request if at most `calm` wire bytes are waiting to be sent.
    pub(super) fn answer_within(&mut self, calm: usize) -> Result<(), Error> {
        if !self.owed || self.ending != SendEnding::Open || self.free(calm) < SPARE {
            return Ok(());
        }
        if !self.may_update() {
            // RFC 9846 §4.7.3: the request is ignored, and the limit of the key ends the connection.
            self.owed = false;
            self.setting.stats.add(Counter::TlsTxRekeyLimit);
            return Ok(());
        }
        self.update_key(Reply::NotRequested)?;
        self.setting.stats.add(Counter::TlsTxRekeyAnswer);
        Ok(())
    }

    pub(super) fn update_key_if_due(&mut self) -> Result<(), Error> {
        let Some(reason) = self.reason_to_update() else {
            return Ok(());
        };
        if self.free(self.setting.unsent.most) < SPARE {
            return Ok(());
        }
        self.seal_key_update(Reply::requested_if(self.setting.policy.rekey_peer))?;
        self.setting.stats.add(reason);
        Ok(())
    }

    /// Returns the counter for the reason why the key has to change now, if it has to and may.
    fn reason_to_update(&mut self) -> Option<Counter> {
        if self.sealer.version() != TLS13 {
            return None;
        }
        if self.schedule.is_newly_postponed() {
            self.setting.stats.add(Counter::TlsTxRekeyPostponed);
        }
        let by_records = self
            .sealer
            .needs_rekey()
            .then_some(Counter::TlsTxRekeyRecords);
        let reason = by_records.or_else(|| self.schedule.due())?;
        self.may_update().then_some(reason)
    }
}
