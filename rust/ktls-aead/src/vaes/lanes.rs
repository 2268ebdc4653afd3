//! Short records of one length, each in a lane of its own: as many at once as a vector has blocks, so
//! that whatever depends on the length is done once for all of them.

use ktls_core::aead::{InnerJob, SealJob};
use ktls_core::wire::TAG_LEN;

use super::expanded_key::ExpandedKey;
use super::ghash::UnreducedSum;
use super::ghash_frame::GhashFrame;
use super::partial_block::{KEEP_MASKS, PLACE_INDICES, SHIFT_INDICES, load_partial, store_partial};
use super::simd::{Simd, width};

/// Most blocks that a vector has.
const MAX_LANES: usize = 4;

/// A place in each lane; those that a vector has no block for stay empty.
type PerLane<'a> = [&'a [u8]; MAX_LANES];
/// The same, to be written.
type PerLaneMut<'a> = [&'a mut [u8]; MAX_LANES];

/// Seals one record in each lane: they are alike. `keystream` is their keystream, that of the tags first.
#[inline(always)]
pub(super) fn seal<S: Simd>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) {
    let (len, inner_type) = (jobs[0].plaintext.len(), jobs[0].inner_type);
    let inner_len = len + usize::from(inner_type.is_some());
    let (mut from, mut out): (PerLane<'_>, PerLaneMut<'_>) = Default::default();
    let mut jobs = jobs.iter_mut();
    for i in 0..S::BLOCKS {
        let job = jobs.next().expect("a job for each lane");
        assert_eq!(
            job.out.len(),
            inner_len + TAG_LEN,
            "out is as long as ciphertext and tag"
        );
        (from[i], out[i]) = (&job.plaintext[..len], &mut *job.out);
    }
    let (tag_mask, keystream) = keystream.split_at(width::<S>());
    let mut sum = frame.aad_and_lengths.broadcast(s);
    let whole = len / 16;
    let powers = key.power_blocks(inner_len.div_ceil(16) + 1, whole);
    let places = keystream.chunks_exact(width::<S>()).zip(powers);
    for (at, (keystream, (power, half_sum))) in (0..).step_by(16).zip(places) {
        let sealed = s.xor(load(s, &from, at), s.load_unaligned(keystream));
        store(s, sealed, &mut out, at);
        sum.add_broadcast(s, s.reverse_bytes(sealed), power, half_sum);
    }
    let at = 16 * whole;
    if inner_len > at {
        let mut block = load_last(s, &from, len - at);
        if let Some(inner_type) = inner_type {
            let inner_type = s.splat(u128::from(inner_type));
            let place = s.load_broadcast(&PLACE_INDICES[16 - (len - at)..]);
            block = s.xor(block, s.shuffle_bytes(inner_type, place));
        }
        let kept = s.load_broadcast(&KEEP_MASKS[16 - (inner_len - at)..]);
        let sealed = s.and(
            s.xor(block, s.load_unaligned(&keystream[width::<S>() * whole..])),
            kept,
        );
        // It goes over the end of the ciphertext, where the tag comes next.
        store(s, sealed, &mut out, at);
        let (power, half_sum) = key.square();
        sum.add_broadcast(s, s.reverse_bytes(sealed), power, half_sum);
    }
    store(s, tags(s, &sum, tag_mask), &mut out, inner_len);
}

/// Opens one record in each lane, as [`seal`]; gives how many are good before the first that is not.
#[inline(always)]
pub(super) fn open<S: Simd>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) -> usize {
    let (len, out_len) = (jobs[0].job.ciphertext.len(), jobs[0].job.out.len());
    let (mut from, mut given, mut out): (PerLane<'_>, PerLane<'_>, PerLaneMut<'_>) =
        Default::default();
    let mut types = [const { None }; MAX_LANES];
    let mut jobs = jobs.iter_mut();
    for i in 0..S::BLOCKS {
        let InnerJob { job, inner_type } = jobs.next().expect("a job for each lane");
        let with_type = job.out.len() + usize::from(inner_type.is_some());
        assert_eq!(with_type, len, "out is as long as the ciphertext");
        (from[i], out[i]) = (&job.ciphertext[..len], &mut *job.out);
        (types[i], given[i]) = (inner_type.as_mut(), job.tag);
    }
    let (tag_mask, keystream) = keystream.split_at(width::<S>());
    let mut sum = frame.aad_and_lengths.broadcast(s);
    let whole = out_len / 16;
    let powers = key.power_blocks(len.div_ceil(16) + 1, whole);
    let places = keystream.chunks_exact(width::<S>()).zip(powers);
    for (at, (keystream, (power, half_sum))) in (0..).step_by(16).zip(places) {
        let sealed = load(s, &from, at);
        sum.add_broadcast(s, s.reverse_bytes(sealed), power, half_sum);
        store(s, s.xor(sealed, s.load_unaligned(keystream)), &mut out, at);
    }
    let at = 16 * whole;
    if len > at {
        let sealed = load_last(s, &from, len - at);
        let (power, half_sum) = key.square();
        sum.add_broadcast(s, s.reverse_bytes(sealed), power, half_sum);
        let block = s.xor(sealed, s.load_unaligned(&keystream[width::<S>() * whole..]));
        for i in 0..S::BLOCKS {
            let mut bytes = [0; 16];
            s.store_one(s.extract(block, i), &mut bytes);
            store_partial(&bytes[..out_len - at], &mut out[i][at..]);
            if let Some(inner_type) = &mut types[i] {
                **inner_type = bytes[out_len - at];
            }
        }
    }
    // Whole numbers are compared: how many bytes differ, and which, takes no time of its own.
    let wrong = s.xor(tags(s, &sum, tag_mask), load(s, &given, 0));
    let wrong = (0..S::BLOCKS).map(|i| s.to_u128(s.extract(wrong, i)));
    wrong.take_while(|&wrong| wrong == 0).count()
}

/// The tags, from all products and what hides them.
#[inline(always)]
fn tags<S: Simd>(s: S, sum: &UnreducedSum<S::V>, tag_mask: &[u8]) -> S::V {
    s.xor(
        s.reverse_bytes(sum.reduce_blocks(s)),
        s.load_unaligned(tag_mask),
    )
}

/// The block at `at` of each lane.
#[inline(always)]
fn load<S: Simd>(s: S, from: &PerLane<'_>, at: usize) -> S::V {
    s.gather(|i| s.load_one(&from[i][at..]))
}

/// The last `len` bytes of each lane, with zeros behind.
#[inline(always)]
fn load_last<S: Simd>(s: S, from: &PerLane<'_>, len: usize) -> S::V {
    let all = from[0].len();
    if all < 16 {
        return s.gather(|i| s.set_low(load_partial(from[i])));
    }
    s.shuffle_bytes(
        load(s, from, all - 16),
        s.load_broadcast(&SHIFT_INDICES[16 - len..]),
    )
}

/// Writes a block to each lane.
#[inline(always)]
fn store<S: Simd>(s: S, v: S::V, out: &mut PerLaneMut<'_>, at: usize) {
    for (i, out) in out.iter_mut().take(S::BLOCKS).enumerate() {
        s.store_one(s.extract(v, i), &mut out[at..]);
    }
}
