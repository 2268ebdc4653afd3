//! The end of a record: what whole chunks leave over, all of it if the record is short.

use ktls_core::aead::{InnerJob, SealJob};
use ktls_core::wire::TAG_LEN;

use super::expanded_key::ExpandedKey;
use super::ghash::UnreducedSum;
use super::ghash_frame::GhashFrame;
use super::partial_block::{PLACE_INDICES, keep_first, load_last, store_partial};
use super::simd::{Simd, width};

/// Where the end of a record is, and its keystream.
#[derive(Clone, Copy)]
pub(super) struct RecordTail<V> {
    /// GHASH of what comes before it, unless that is only the additional data.
    pub(super) hash: V,
    /// Where it starts.
    pub(super) start: usize,
    /// Its blocks.
    pub(super) blocks: usize,
    /// Where its keystream starts in the room; behind it the block that hides the tag.
    pub(super) keystream_at: usize,
}

impl<V: Copy> RecordTail<V> {
    /// Where one will be.
    #[inline(always)]
    pub(super) fn empty<S: Simd<V = V>>(s: S) -> Self {
        Self {
            hash: s.splat(0),
            start: 0,
            blocks: 0,
            keystream_at: 0,
        }
    }

    /// The products of what is not the end's own: additional data or chunks before it, lengths.
    #[inline(always)]
    fn products<S: Simd<V = V>>(
        &self,
        s: S,
        key: &ExpandedKey,
        frame: &GhashFrame<V>,
    ) -> UnreducedSum<V> {
        if self.start == 0 {
            return frame.aad_and_lengths;
        }
        let mut sum = frame.length_product;
        sum.add(s, key, self.hash, self.blocks + 1);
        sum
    }
}

/// Seals the end of a record and writes the tag.
#[inline(always)]
pub(super) fn seal_tail<S: Simd>(
    s: S,
    key: &ExpandedKey,
    job: &mut SealJob<'_>,
    tail: &RecordTail<S::V>,
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) {
    let mut sum = tail.products(s, key, frame);
    let from = &job.plaintext[tail.start..];
    let out = &mut job.out[tail.start..];
    let wholes = from.len() - from.len() % width::<S>();
    for (((from, out), keystream), powers) in from
        .chunks_exact(width::<S>())
        .zip(out.chunks_exact_mut(width::<S>()))
        .zip(keystream.chunks_exact(width::<S>()))
        .zip(key.power_vectors::<S>(tail.blocks + 1))
    {
        let sealed = s.xor(s.load_unaligned(from), s.load_unaligned(keystream));
        s.store_unaligned(sealed, out);
        sum.add_vector(s, s.reverse_bytes(sealed), powers);
    }
    let mut at = wholes;
    while from.len() - at >= 16 {
        let sealed = s.xor(s.load_one(&from[at..]), s.load_one(&keystream[at..]));
        s.store_one(sealed, &mut out[at..]);
        sum.add_block(s, key, s.reverse_bytes(sealed), tail.blocks + 1 - at / 16);
        at += 16;
    }
    let len = from.len() - at;
    let mut block = load_last(s, job.plaintext, len);
    if let Some(inner_type) = job.inner_type {
        let inner_type = s.set_low(u128::from(inner_type));
        block = s.xor(
            block,
            s.shuffle_bytes(inner_type, s.load_one(&PLACE_INDICES[16 - len..])),
        );
    }
    let len = out.len() - TAG_LEN - at;
    if len > 0 {
        let sealed = keep_first(s, s.xor(block, s.load_one(&keystream[at..])), len);
        // It goes over the end of the ciphertext, where the tag comes next.
        s.store_one(sealed, &mut out[at..]);
        sum.add_block(s, key, s.reverse_bytes(sealed), 2);
    }
    let (_, tag_out) = out.split_at_mut(at + len);
    s.store_one(tag(s, sum, tail, keystream), tag_out);
}

/// Opens the end of a record; false if the tag is wrong.
#[inline(always)]
pub(super) fn open_tail<S: Simd>(
    s: S,
    key: &ExpandedKey,
    InnerJob { job, inner_type }: &mut InnerJob<'_>,
    tail: &RecordTail<S::V>,
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) -> bool {
    let mut sum = tail.products(s, key, frame);
    let from = &job.ciphertext[tail.start..];
    let out = &mut job.out[tail.start..];
    for (((from, out), keystream), powers) in from
        .chunks_exact(width::<S>())
        .zip(out.chunks_exact_mut(width::<S>()))
        .zip(keystream.chunks_exact(width::<S>()))
        .zip(key.power_vectors::<S>(tail.blocks + 1))
    {
        let sealed = s.load_unaligned(from);
        sum.add_vector(s, s.reverse_bytes(sealed), powers);
        s.store_unaligned(s.xor(sealed, s.load_unaligned(keystream)), out);
    }
    let mut at = out.len() - out.len() % width::<S>();
    while out.len() - at >= 16 {
        let sealed = s.load_one(&from[at..]);
        sum.add_block(s, key, s.reverse_bytes(sealed), tail.blocks + 1 - at / 16);
        s.store_one(s.xor(sealed, s.load_one(&keystream[at..])), &mut out[at..]);
        at += 16;
    }
    if from.len() > at {
        let sealed = load_last(s, job.ciphertext, from.len() - at);
        sum.add_block(s, key, s.reverse_bytes(sealed), 2);
        let block = s.xor(sealed, s.load_one(&keystream[at..]));
        let mut bytes = [0; 16];
        s.store_one(block, &mut bytes);
        let len = out.len() - at;
        store_partial(&bytes[..len], &mut out[at..]);
        *inner_type = inner_type.map(|_| bytes[len]);
    }
    // Whole numbers are compared: how many bytes differ, and which, takes no time of its own.
    s.to_u128(s.xor(tag(s, sum, tail, keystream), s.load_one(job.tag))) == 0
}

/// The tag, from all products and the keystream of this record.
#[inline(always)]
fn tag<S: Simd>(s: S, sum: UnreducedSum<S::V>, tail: &RecordTail<S::V>, keystream: &[u8]) -> S::V {
    let tag_mask = s.load_one(&keystream[16 * tail.blocks..]);
    s.xor(s.reverse_bytes(sum.reduce(s)), tag_mask)
}
