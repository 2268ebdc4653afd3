//! Sealing several records in one call of the AEAD, without a copy of their plaintext.

use crate::record::group::seal_group;
use crate::record::{MAX_GROUP, RecordPlaintext};
use crate::socket::tx::egress::Egress;
use crate::socket::tx::{PartialRecord, SocketTx};
use crate::socket::{SendBuffers, SocketShared};

/// The outcome of sealing the next records together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GroupSealing {
    /// At least two records were sealed.
    Sealed,
    /// Nothing was sealed: the next record is to be sealed alone.
    NotSealed,
}

impl SocketTx {
    /// Seals the next records together if there are several, with the same result as one by one.
    ///
    /// The last number ends a send, so its record is left to the caller.
    pub(super) fn seal_group(
        &mut self,
        source: &mut SendBuffers<'_>,
        record_type: u8,
        more: PartialRecord,
        limit: usize,
        shared: &SocketShared,
    ) -> GroupSealing {
        if !matches!(self.egress, Egress::Wire)
            || !self.open.is_empty()
            || source.left <= self.max_payload
        {
            return GroupSealing::NotSealed;
        }
        self.release();
        let Some(keyed) = &mut self.keyed else {
            return GroupSealing::NotSealed;
        };
        if keyed.key.interleaved().is_none() {
            return GroupSealing::NotSealed;
        }
        let rest = whole_records(source, more, self.max_payload);
        let overhead = keyed.key.overhead();
        let room = limit.saturating_sub(self.wire.len());
        let most = room
            .div_ceil(self.max_payload + overhead)
            .min(MAX_GROUP)
            .min(keyed.numbers_before(self.record_limit));
        let rest = &rest[..rest.len().min(most * self.max_payload)];
        let pieces = rest
            .chunks(self.max_payload)
            .map(|plaintext| RecordPlaintext {
                record_type,
                plaintext,
            });
        let count = pieces.len() as u64;
        if count < 2 {
            return GroupSealing::NotSealed;
        }
        keyed.count_past_limit(count, shared);
        let numbers = keyed.seq..keyed.seq + count;
        keyed.seq = numbers.end;
        let out = self.wire.space(rest.len() + pieces.len() * overhead);
        let written = seal_group(&keyed.key, numbers, pieces, out, |_| {});
        self.wire.commit(written);
        source.take(rest.len(), |_| {});
        GroupSealing::Sealed
    }
}

/// Returns the longest prefix of the remaining bytes that is contiguous and makes whole records.
fn whole_records<'a>(
    source: &mut SendBuffers<'a>,
    more: PartialRecord,
    max_payload: usize,
) -> &'a [u8] {
    let rest = source.rest();
    let ends_the_call = rest.len() == source.left && more == PartialRecord::Seal;
    let cut = if ends_the_call {
        0
    } else {
        rest.len() % max_payload
    };
    &rest[..rest.len() - cut]
}
