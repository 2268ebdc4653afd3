//! Short records of one length, each in a lane of its own: as many at once as a vector has blocks.
//!
//! Vector n holds block n of every record. Whatever depends on the length, such as masks and powers
//! of H, is computed once for all of them, and no block of a vector is unused.

use ktls_core::wire::TAG_LEN;

use super::expanded_key::ExpandedKey;
use super::ghash_frame::GhashFrame;
use super::partial_block::{KEEP_MASKS, PLACE_INDICES, SHIFT_INDICES, load_partial};
use super::record_job::{self, RecordJob};
use super::simd::{Simd, width};

/// Most blocks that a vector has.
const MAX_LANES: usize = 4;

/// The buffers and content types of one record in each lane; beyond [`Simd::BLOCKS`] they are
/// empty.
#[derive(Default)]
pub(super) struct Lanes<'a> {
    input: [&'a [u8]; MAX_LANES],
    output: [&'a mut [u8]; MAX_LANES],
    inner_types: [Option<&'a mut Option<u8>>; MAX_LANES],
}

impl<'a> Lanes<'a> {
    /// Returns the lanes of records that are alike.
    ///
    /// # Panics
    /// Panics if the lengths of a job's buffers contradict each other.
    #[inline(always)]
    fn new<S: Simd, J: RecordJob>(jobs: &'a mut [J]) -> Self {
        jobs[0].check_lengths();
        let (first_input, first_output, _) = jobs[0].parts();
        let (input_len, output_len) = (first_input.len(), first_output.len());
        let mut lanes = Self::default();
        for (i, job) in jobs[..S::BLOCKS].iter_mut().enumerate() {
            let (input, output, inner_type) = job.parts();
            // From here on the compiler knows that they are alike, and checks bounds once for all.
            assert_eq!(input.len(), input_len, "inputs of alike records");
            assert_eq!(output.len(), output_len, "outputs of alike records");
            lanes.input[i] = &input[..input_len];
            lanes.output[i] = &mut output[..output_len];
            lanes.inner_types[i] = Some(inner_type);
        }
        lanes
    }

    /// Returns the block at `at` of each lane.
    #[inline(always)]
    fn load<S: Simd>(&self, s: S, at: usize) -> S::V {
        s.gather(|i| s.load_one(&self.input[i][at..]))
    }

    /// Returns the last `len` bytes of each lane, at most 16, followed by zeros.
    #[inline(always)]
    fn load_last<S: Simd>(&self, s: S, len: usize) -> S::V {
        let all = self.input[0].len();
        if all < 16 {
            return s.gather(|i| s.set_low(load_partial(self.input[i])));
        }
        let blocks = self.load(s, all - 16);
        s.shuffle_bytes(blocks, s.load_broadcast(&SHIFT_INDICES[16 - len..]))
    }

    /// Stores a block to `at` of each lane.
    #[inline(always)]
    fn store<S: Simd>(&mut self, s: S, v: S::V, at: usize) {
        for (i, output) in self.output.iter_mut().take(S::BLOCKS).enumerate() {
            s.store_one(s.extract(v, i), &mut output[at..]);
        }
    }
}

/// Seals or opens one record in each lane; the records are alike. `keystream` is that of all of
/// them, vector by vector; the first vector masks the tags.
///
/// Returns how many records come before the first whose tag is wrong.
///
/// # Panics
/// Panics if the lengths of a job's buffers contradict each other.
#[inline(always)]
pub(super) fn process<S: Simd, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [J],
    frame: &GhashFrame<S::V>,
    keystream: &[u8],
) -> usize {
    let jobs = &mut jobs[..S::BLOCKS];
    let (data_len, ciphertext_len) = (jobs[0].data_len(), jobs[0].ciphertext_len());
    let (tag_masks, keystream) = keystream.split_at(width::<S>());
    let mut sum = frame.aad_and_lengths.broadcast(s);
    let whole = data_len / 16;
    let powers = key.power_blocks(ciphertext_len.div_ceil(16) + 1, whole);
    let mut lanes = Lanes::new::<S, J>(jobs);
    let steps = keystream.chunks_exact(width::<S>()).zip(powers);
    for (at, (keystream, (power, half_sum))) in (0..).step_by(16).zip(steps) {
        let from = lanes.load(s, at);
        let result = s.xor(from, s.load_unaligned(keystream));
        lanes.store(s, result, at);
        let ciphertext = J::ciphertext_of(from, result);
        sum.add_broadcast(s, s.reverse_bytes(ciphertext), power, half_sum);
    }
    if ciphertext_len > 16 * whole {
        let keystream = s.load_unaligned(&keystream[width::<S>() * whole..]);
        let ciphertext = J::last_blocks(s, &mut lanes, 16 * whole, keystream);
        let (power, half_sum) = key.square();
        sum.add_broadcast(s, s.reverse_bytes(ciphertext), power, half_sum);
    }
    let hashes = s.reverse_bytes(sum.reduce_blocks(s));
    let tags = s.xor(hashes, s.load_unaligned(tag_masks));
    // A loop and not an adapter of iterators: the compiler might not inline that, and would compile
    // it without the features of this CPU.
    for (i, job) in jobs.iter_mut().enumerate() {
        if !job.finish(s, s.extract(tags, i)) {
            return i;
        }
    }
    S::BLOCKS
}

/// Seals the last bytes of each lane; see [`RecordJob::last_blocks`].
#[inline(always)]
pub(super) fn seal_last_blocks<S: Simd>(
    s: S,
    lanes: &mut Lanes<'_>,
    at: usize,
    keystream: S::V,
) -> S::V {
    let len = lanes.input[0].len() - at;
    let ciphertext_len = lanes.output[0].len() - TAG_LEN - at;
    let mut block = lanes.load_last(s, len);
    if let Some(Some(inner_type)) = &lanes.inner_types[0] {
        let inner_type = s.splat(u128::from(*inner_type));
        let place = s.load_broadcast(&PLACE_INDICES[16 - len..]);
        block = s.xor(block, s.shuffle_bytes(inner_type, place));
    }
    let kept = s.load_broadcast(&KEEP_MASKS[16 - ciphertext_len..]);
    let ciphertext = s.and(s.xor(block, keystream), kept);
    // Whole blocks are stored: the excess bytes lie in the places of the tags, which are written
    // later.
    lanes.store(s, ciphertext, at);
    ciphertext
}

/// Opens the last bytes of each lane; see [`RecordJob::last_blocks`].
#[inline(always)]
pub(super) fn open_last_blocks<S: Simd>(
    s: S,
    lanes: &mut Lanes<'_>,
    at: usize,
    keystream: S::V,
) -> S::V {
    let ciphertext = lanes.load_last(s, lanes.input[0].len() - at);
    let blocks = s.xor(ciphertext, keystream);
    for i in 0..S::BLOCKS {
        if let Some(inner_type) = &mut lanes.inner_types[i] {
            let out = &mut lanes.output[i][at..];
            record_job::store_last(s, s.extract(blocks, i), out, inner_type);
        }
    }
    ciphertext
}
