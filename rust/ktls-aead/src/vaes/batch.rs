//! Batches of records, sealed or opened a few at a time: their whole chunks one record after the
//! other, their tails together, so that the AES of one record overlaps with the GHASH of another.

use ktls_core::aead::{InnerJob, NonceBytes, SealJob};

use super::expanded_key::ExpandedKey;
use super::ghash_frame::GhashFrame;
use super::keystream::{KeystreamBuffer, MAX_TOGETHER};
use super::record_job::RecordJob;
use super::simd::Simd;
use super::tail::{self, RecordTail};
use super::{lanes, stitched};

/// Bytes of data from which on a record has chunks. A shorter one is all tail, for which the powers
/// of H suffice.
const MIN_CHUNKED: usize = 512;

/// Seals every job.
///
/// # Panics
/// Panics if the lengths of a job's buffers contradict each other.
#[inline(always)]
pub(super) fn seal<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
) {
    let _all = process::<S, ROUNDS, _>(s, key, jobs);
}

/// Opens jobs until one fails; returns how many were opened. No plaintext of the others is left.
///
/// # Panics
/// Panics if the lengths of a job's buffers contradict each other.
#[inline(always)]
pub(super) fn open<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
) -> usize {
    let opened = process::<S, ROUNDS, _>(s, key, jobs);
    for InnerJob { job, inner_type } in &mut jobs[opened..] {
        // Records are decrypted while they are authenticated: nothing of a forgery may be seen.
        job.out.fill(0);
        *inner_type = inner_type.map(|_| 0);
    }
    opened
}

/// Seals or opens jobs until a tag is wrong; returns how many come before that.
#[inline(always)]
fn process<S: Simd, const ROUNDS: usize, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [J],
) -> usize {
    let Some(first) = jobs.first() else { return 0 };
    let mut frame = GhashFrame::new(s, key, *first.aad(), first.ciphertext_len());
    let mut keystream = KeystreamBuffer::new();
    let mut done = 0;
    while done < jobs.len() {
        keystream.clear();
        let rest = &mut jobs[done..];
        let group = match count_alike::<S, _>(rest) {
            0 => process_tails::<S, ROUNDS, _>(s, key, rest, &mut frame, &mut keystream),
            count => {
                let alike = &mut rest[..count];
                process_lanes::<S, ROUNDS, _>(s, key, alike, &mut frame, &mut keystream)
            }
        };
        match group {
            Ok(count) => done += count,
            Err(good) => return done + good,
        }
    }
    done
}

/// Returns how many records at the front go through the lanes together. They are all like the
/// first, at most [`MAX_TOGETHER`], and a multiple of the lanes.
#[inline(always)]
fn count_alike<S: Simd, J: RecordJob>(jobs: &[J]) -> usize {
    let is_short = |first: &J| first.data_len() < MIN_CHUNKED;
    let Some((first, others)) = jobs.split_first().filter(|(first, _)| is_short(first)) else {
        return 0;
    };
    let others = others.iter().take(MAX_TOGETHER - 1);
    let alike = others.take_while(|job| job.data_len() == first.data_len() && job.is_like(first));
    let count = 1 + alike.count();
    count - count % S::BLOCKS
}

/// Seals or opens records that are alike, as many as the keystream has room for; returns how many.
///
/// # Errors
/// Returns the number of records before the first whose tag is wrong.
#[inline(always)]
fn process_lanes<S: Simd, const ROUNDS: usize, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [J],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> Result<usize, usize> {
    let len = jobs[0].ciphertext_len();
    frame.update_for(s, key, jobs[0].aad(), len);
    let blocks = len.div_ceil(16);
    let mut offsets = [0; MAX_TOGETHER];
    let mut count = 0;
    for (jobs, offset) in jobs.chunks_exact(S::BLOCKS).zip(&mut offsets) {
        if !keystream.fits_lanes::<S>(blocks) {
            break;
        }
        let nonces = s.gather(|i| s.set_low(counter_block(jobs[i].nonce())));
        *offset = keystream.push_lane_counters(s, nonces, blocks);
        count += S::BLOCKS;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    let groups = jobs[..count].chunks_exact_mut(S::BLOCKS);
    for (n, (jobs, offset)) in groups.zip(offsets).enumerate() {
        let good = lanes::process(s, key, jobs, frame, keystream.starting_at(offset));
        if good < S::BLOCKS {
            return Err(n * S::BLOCKS + good);
        }
    }
    Ok(count)
}

/// Seals or opens the first few records, as many as the keystream has room for; returns how many.
///
/// # Errors
/// Returns the number of records before the first whose tag is wrong.
#[inline(always)]
fn process_tails<S: Simd, const ROUNDS: usize, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [J],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> Result<usize, usize> {
    let mut tails = [RecordTail::empty(s); MAX_TOGETHER];
    let mut count = 0;
    for (job, tail) in jobs.iter_mut().zip(&mut tails) {
        job.check_lengths();
        let len = job.ciphertext_len();
        let chunked = chunked_len::<S>(job.data_len());
        let blocks = (len - chunked).div_ceil(16);
        if !keystream.fits::<S>(blocks) {
            break;
        }
        let nonce = counter_block(job.nonce());
        if chunked > 0 {
            frame.update_for(s, key, job.aad(), len);
            let (input, output, _) = job.parts();
            let (input, output) = (&input[..chunked], &mut output[..chunked]);
            tail.hash =
                stitched::process::<S, ROUNDS, J>(s, key, nonce, frame.aad_hash, input, output);
        }
        (tail.start, tail.blocks) = (chunked, blocks);
        tail.keystream_at = keystream.push_counters(s, nonce, counter_at(chunked), blocks);
        count += 1;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    for (n, (job, tail)) in jobs[..count].iter_mut().zip(&tails).enumerate() {
        frame.update_for(s, key, job.aad(), job.ciphertext_len());
        let keystream = keystream.starting_at(tail.keystream_at);
        if !tail::process(s, key, job, tail, frame, keystream) {
            return Err(n);
        }
    }
    Ok(count)
}

/// Returns how many of `len` bytes of data are in whole chunks.
#[inline(always)]
fn chunked_len<S: Simd>(len: usize) -> usize {
    if len < MIN_CHUNKED {
        return 0;
    }
    len - len % stitched::chunk_len::<S>()
}

/// Returns the counter block of a nonce, as a number, with a counter of 0.
#[inline(always)]
fn counter_block(nonce: NonceBytes) -> u128 {
    // Loaded in the pieces in which the record layer stores it: store forwarding fails for a load
    // that spans two stores.
    let [head @ .., _, _, _, _, _, _, _, _] = nonce;
    let [_, _, _, _, tail @ ..] = nonce;
    let (head, tail) = (u32::from_be_bytes(head), u64::from_be_bytes(tail));
    u128::from(head) << 96 | u128::from(tail) << 32
}

/// Returns the counter of the block that starts at byte `at` of a record.
#[inline(always)]
fn counter_at(at: usize) -> u32 {
    // Counter 1 masks the tag.
    (at / 16 + 2) as u32
}
