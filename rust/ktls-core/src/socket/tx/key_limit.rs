//! Limits on the number of records that one key seals.
//!
//! An AEAD protects a limited number of records under one key (RFC 8446 §5.5). The kernel seals
//! more without an error. So does this socket, but it counts them. [`SocketTx::set_record_limit`]
//! refuses them.

use crate::error::Error;
use crate::rekey::Reply;
use crate::socket::tx::{InstalledKey, SocketTx};
use crate::socket::{SendBuffers, SocketShared};
use crate::stats::Counter;
use crate::wire::{ContentType, TLS13};

impl SocketTx {
    /// Sets the most records that one key may seal; `u64::MAX` means no limit. Records before the
    /// first `rec_seq` of a key count, since the previous owner of the key has sealed them.
    pub const fn set_record_limit(&mut self, records: u64) {
        self.record_limit = records;
    }

    /// Refuses the next record at the limit. Called before any byte of it is taken from the caller.
    ///
    /// # Errors
    /// [`Error::KeyExhausted`] at the limit.
    pub(super) fn check_limit(&self) -> Result<(), Error> {
        let limit = self.record_limit;
        match &self.keyed {
            Some(keyed) if keyed.seq >= limit && limit < u64::MAX => {
                Err(Error::KeyExhausted { limit })
            }
            _ => Ok(()),
        }
    }

    /// Refuses the next record of `source` at the limit, except for one KeyUpdate: it has to be
    /// sealed with this key (RFC 8446 §4.6.3), and one record more does not weaken an AEAD.
    ///
    /// # Errors
    /// [`Error::KeyExhausted`] at the limit.
    pub(super) fn check_limit_of(
        &mut self,
        source: &SendBuffers<'_>,
        record_type: u8,
    ) -> Result<(), Error> {
        let checked = self.check_limit();
        let is_last = checked.is_err() && self.open.is_empty();
        match &mut self.keyed {
            Some(keyed) if is_last && keyed.may_send_key_update(source, record_type) => {
                keyed.key_update_sent = true;
                Ok(())
            }
            _ => checked,
        }
    }
}

impl InstalledKey {
    /// Returns `true` if `source` is exactly one whole KeyUpdate, and the first beyond the limit.
    fn may_send_key_update(&self, source: &SendBuffers<'_>, record_type: u8) -> bool {
        let version = self.key.info().version();
        let kind = ContentType(record_type);
        let replies = [Reply::NotRequested, Reply::Requested];
        !self.key_update_sent
            && (version, kind) == (TLS13, ContentType::HANDSHAKE)
            && source.taken() == 0
            && replies
                .iter()
                .any(|reply| source.remaining_equals(&reply.message()))
    }

    /// Counts those of the next `records` that are beyond the limit of the AEAD.
    pub(super) fn count_past_limit(&self, records: u64, shared: &SocketShared) {
        let end = self.seq.saturating_add(records);
        let hard = self.key.info().cipher().limits.hard;
        if end > hard {
            let past = end - hard.max(self.seq);
            shared.stats.add_many(Counter::TlsTxPastKeyLimit, past);
        }
    }

    /// Returns how many records may be sealed before the sequence number `limit`.
    pub(super) fn numbers_before(&self, limit: u64) -> usize {
        usize::try_from(limit.saturating_sub(self.seq)).unwrap_or(usize::MAX)
    }
}
