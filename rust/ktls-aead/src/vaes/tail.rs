//! The tail of a record: what follows its whole chunks, or all of it if it is short.

use super::expanded_key::ExpandedKey;
use super::ghash::UnreducedSum;
use super::ghash_frame::GhashFrame;
use super::record_job::RecordJob;
use super::simd::{Simd, width};

/// Where the tail of a record is, and its keystream.
#[derive(Clone, Copy)]
pub(super) struct RecordTail<V> {
    /// GHASH of the additional data and the chunks; unused if there are no chunks.
    pub(super) hash: V,
    /// Where the tail starts in the record, in bytes.
    pub(super) start: usize,
    /// Blocks of ciphertext in the tail.
    pub(super) blocks: usize,
    /// Where the keystream of the tail starts in the [`KeystreamBuffer`], in bytes; the block that
    /// masks the tag follows it.
    ///
    /// [`KeystreamBuffer`]: super::keystream::KeystreamBuffer
    pub(super) keystream_at: usize,
}

impl<V: Copy> RecordTail<V> {
    /// Returns an empty tail, to be filled in.
    #[inline(always)]
    pub(super) fn empty<S: Simd<V = V>>(s: S) -> Self {
        Self {
            hash: s.splat(0),
            start: 0,
            blocks: 0,
            keystream_at: 0,
        }
    }

    /// Returns the products of everything but the ciphertext of the tail: the additional data or
    /// the chunks, and the lengths.
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

/// Seals or opens the tail of a record; returns `false` if the tag is wrong.
#[inline(always)]
pub(super) fn process<S: Simd, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    job: &mut J,
    tail: &RecordTail<S::V>,
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) -> bool {
    let mut sum = tail.products(s, key, frame);
    let data_len = job.data_len() - tail.start;
    let ciphertext_len = job.ciphertext_len() - tail.start;
    let (input, output, _) = job.parts();
    let input = &input[tail.start..][..data_len];
    let output = &mut output[tail.start..][..data_len];
    for (((from, to), keystream), powers) in input
        .chunks_exact(width::<S>())
        .zip(output.chunks_exact_mut(width::<S>()))
        .zip(keystream.chunks_exact(width::<S>()))
        .zip(key.power_vectors::<S>(tail.blocks + 1))
    {
        let from = s.load_unaligned(from);
        let result = s.xor(from, s.load_unaligned(keystream));
        s.store_unaligned(result, to);
        let ciphertext = J::ciphertext_of(from, result);
        sum.add_vector(s, s.reverse_bytes(ciphertext), powers);
    }
    let mut at = data_len - data_len % width::<S>();
    while data_len - at >= 16 {
        let from = s.load_one(&input[at..]);
        let result = s.xor(from, s.load_one(&keystream[at..]));
        s.store_one(result, &mut output[at..]);
        let ciphertext = J::ciphertext_of(from, result);
        sum.add_block(
            s,
            key,
            s.reverse_bytes(ciphertext),
            tail.blocks + 1 - at / 16,
        );
        at += 16;
    }
    if ciphertext_len > at {
        let ciphertext = job.last_block(s, tail.start + at, s.load_one(&keystream[at..]));
        sum.add_block(s, key, s.reverse_bytes(ciphertext), 2);
    }
    let tag_mask = s.load_one(&keystream[16 * tail.blocks..]);
    job.finish(s, s.xor(s.reverse_bytes(sum.reduce(s)), tag_mask))
}
