//! How many records a key seals.
//!
//! An AEAD protects only so many records under one key (RFC 8446 §5.5). The kernel seals on without a
//! word; so do we, and count those records. A limit of the owner's choice refuses them.

use crate::error::Error;
use crate::socket::Shared;
use crate::socket::tx::{Keyed, Tx};
use crate::stats::Counter;

impl Tx {
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
}

impl Keyed {
    /// Counts those of the next records that the key should not seal.
    pub(super) fn count_past_limit(&self, records: u64, shared: &Shared) {
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
