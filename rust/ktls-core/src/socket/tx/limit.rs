//! How many records a key seals.
//!
//! An AEAD protects only so many records under one key (RFC 8446 §5.5). The kernel seals on without a
//! word; so do we, and count those records. A limit of the owner's choice refuses them.

use crate::error::Error;
use crate::rekey::Reply;
use crate::socket::tx::{InstalledKey, SocketTx};
use crate::socket::{SendBuffers, SocketShared};
use crate::stats::Counter;
use crate::wire::{ContentType, TLS13};

impl SocketTx {
    /// Lets no key seal more than `records`. Those under the numbers before its `rec_seq` count, too:
    /// whoever had the key has sealed them.
    pub const fn set_record_limit(&mut self, records: u64) {
        self.record_limit = records;
    }

    /// Refuses the next record at the limit, before anything of it is taken from the caller.
    pub(super) fn check_limit(&self) -> Result<(), Error> {
        let limit = self.record_limit;
        match &self.keyed {
            Some(keyed) if keyed.seq >= limit && limit < u64::MAX => {
                Err(Error::KeyExhausted { limit })
            }
            _ => Ok(()),
        }
    }

    /// The same for a record of `source`, but that one KeyUpdate passes: the peer is told of the next key
    /// under this one (RFC 8446 §4.6.3), and one record more is nothing to an AEAD.
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
    /// True for a whole KeyUpdate and nothing else, the first past the limit.
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

    /// Counts those of the next records that the key should not seal.
    pub(super) fn count_past_limit(&self, records: u64, shared: &SocketShared) {
        let end = self.seq.saturating_add(records);
        let hard = self.key.info().cipher().limits.hard;
        if end > hard {
            let past = end - hard.max(self.seq);
            shared.stats.add_many(Counter::TlsTxPastKeyLimit, past);
        }
    }

    /// Records that may be sealed before the number `limit`.
    pub(super) fn numbers_before(&self, limit: u64) -> usize {
        usize::try_from(limit.saturating_sub(self.seq)).unwrap_or(usize::MAX)
    }
}
