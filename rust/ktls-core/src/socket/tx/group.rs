//! Several records sealed in one call of the AEAD, straight from the caller's buffer.

use crate::aead::SealJob;
use crate::record::MAX_GROUP;
use crate::socket::tx::{PartialRecord, SocketTx};
use crate::socket::{SendBuffers, SocketShared};

impl SocketTx {
    /// Seals the next records if there are several, as one by one would: true if it did.
    ///
    /// The last number ends a send, so its record is left to the one that follows.
    pub(super) fn seal_group(
        &mut self,
        source: &mut SendBuffers<'_>,
        record_type: u8,
        more: PartialRecord,
        limit: usize,
        shared: &SocketShared,
    ) -> bool {
        let in_software = self.jobs.is_none() && self.offload.is_none();
        if !in_software || !self.open.is_empty() || source.left <= self.max_payload {
            return false;
        }
        self.release();
        let Some(keyed) = &mut self.keyed else {
            return false;
        };
        let Some(many) = keyed.key.interleaved() else {
            return false;
        };
        let rest = whole_records(source, more, self.max_payload);
        let overhead = keyed.key.overhead();
        let room = limit.saturating_sub(self.wire.len());
        let most = room.div_ceil(self.max_payload + overhead);
        let most = most
            .min(MAX_GROUP)
            .min(keyed.numbers_before(self.record_limit));
        let rest = &rest[..rest.len().min(most * self.max_payload)];
        let count = rest.len().div_ceil(self.max_payload);
        if count < 2 {
            return false;
        }
        keyed.count_past_limit(count as u64, shared);
        let need = rest.len() + count * overhead;
        let mut out = self.wire.space(need);
        let mut jobs = [const { SealJob::none() }; MAX_GROUP];
        for (job, plaintext) in jobs.iter_mut().zip(rest.chunks(self.max_payload)) {
            let (record, behind) = out.split_at_mut(plaintext.len() + overhead);
            keyed
                .key
                .set_job(job, keyed.seq, record_type, plaintext, record);
            keyed.seq += 1;
            out = behind;
        }
        many.seal_many(&mut jobs[..count]);
        self.wire.commit(need);
        source.take(rest.len(), |_| {});
        true
    }
}

/// The front of what is left that is in one piece and makes whole records.
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
