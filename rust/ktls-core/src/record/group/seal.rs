//! Sealing records in as few calls of the AEAD as the key allows.

use std::mem;
use std::ops::Range;

use super::MAX_GROUP;
use crate::aead::{Interleaved, SealJob};
use crate::key::TrafficKey;
use crate::record::RecordPlaintext;

/// Seals `pieces` under `numbers` into `out`, back to back. Calls `done` with the range of each
/// record in `out`, and returns the number of bytes written.
///
/// # Panics
/// If `out` is shorter than the records, or a piece is longer than 2^14 bytes.
pub(crate) fn seal_group<'a>(
    key: &TrafficKey,
    numbers: Range<u64>,
    pieces: impl Iterator<Item = RecordPlaintext<'a>>,
    out: &mut [u8],
    mut done: impl FnMut(Range<usize>),
) -> usize {
    let is_group = numbers.end - numbers.start > 1;
    let pieces = numbers.zip(pieces);
    if let (Some(many), true) = (key.interleaved(), is_group) {
        return seal_together(key, many, pieces, out, done);
    }
    let mut at = 0;
    for (seq, piece) in pieces {
        let end = at + piece.plaintext.len() + key.overhead();
        key.seal(seq, piece.record_type, piece.plaintext, &mut out[at..end]);
        done(at..end);
        at = end;
    }
    at
}

/// Seals up to [`MAX_GROUP`] records in each call of the AEAD; see [`seal_group`].
fn seal_together<'a>(
    key: &TrafficKey,
    many: &dyn Interleaved,
    mut pieces: impl Iterator<Item = (u64, RecordPlaintext<'a>)>,
    mut out: &mut [u8],
    mut done: impl FnMut(Range<usize>),
) -> usize {
    let mut jobs = [const { SealJob::empty() }; MAX_GROUP];
    let mut at = 0;
    loop {
        let mut free = jobs.iter_mut();
        while free.len() > 0
            && let Some((seq, piece)) = pieces.next()
            && let Some(job) = free.next()
        {
            let len = piece.plaintext.len() + key.overhead();
            let (record, rest) = mem::take(&mut out).split_at_mut(len);
            key.fill_seal_job(job, seq, piece.record_type, piece.plaintext, record);
            done(at..at + len);
            (out, at) = (rest, at + len);
        }
        let count = MAX_GROUP - free.len();
        if count == 0 {
            return at;
        }
        many.seal_many(&mut jobs[..count]);
    }
}
