//! Records sealed and opened, a few at a time: whole chunks one record after the other, their tails
//! together, for the AES of one to fill the gaps of the GHASH of another.

use ktls_core::aead::{InnerJob, NonceBytes, SealJob};
use ktls_core::wire::TAG_LEN;

use super::expanded_key::ExpandedKey;
use super::ghash_frame::GhashFrame;
use super::keystream::{KeystreamBuffer, MAX_TOGETHER};
use super::lanes;
use super::simd::Simd;
use super::stitched;
use super::tail::{RecordTail, open_tail, seal_tail};

/// Below this many bytes a record is its tail alone, for which the powers of H suffice.
const MIN_CHUNKED: usize = 512;

/// Seals every job.
#[inline(always)]
pub(super) fn seal<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
) {
    let Some(first) = jobs.first() else { return };
    let mut frame = GhashFrame::new(s, key, first.aad, inner_len(first));
    let mut keystream = KeystreamBuffer::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        keystream.clear();
        let count = match count_alike_to_seal::<S>(rest) {
            0 => seal_tails::<S, ROUNDS>(s, key, rest, &mut frame, &mut keystream),
            alike => {
                seal_lanes::<S, ROUNDS>(s, key, &mut rest[..alike], &mut frame, &mut keystream)
            }
        };
        (_, rest) = rest.split_at_mut(count);
    }
}

/// Opens jobs until one fails; gives how many.
#[inline(always)]
pub(super) fn open<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
) -> usize {
    let Some(InnerJob { job: first, .. }) = jobs.first() else {
        return 0;
    };
    let mut frame = GhashFrame::new(s, key, first.aad, first.ciphertext.len());
    let mut keystream = KeystreamBuffer::new();
    let (mut opened, mut tried) = (0, 0);
    while opened == tried && opened < jobs.len() {
        keystream.clear();
        let rest = &mut jobs[opened..];
        let (good, count) = match count_alike_to_open::<S>(rest) {
            0 => open_tails::<S, ROUNDS>(s, key, rest, &mut frame, &mut keystream),
            alike => {
                open_lanes::<S, ROUNDS>(s, key, &mut rest[..alike], &mut frame, &mut keystream)
            }
        };
        (opened, tried) = (opened + good, tried + count);
    }
    for InnerJob { job, inner_type } in &mut jobs[opened..] {
        // It was decrypted while it was authenticated: nothing of it may be seen.
        job.out.fill(0);
        *inner_type = inner_type.map(|_| 0);
    }
    opened
}

/// How many records at the front go through the lanes together: as many for each lane, at most
/// [`MAX_TOGETHER`], all like the first.
#[inline(always)]
fn count_alike<S: Simd, J>(
    jobs: &[J],
    len: impl Fn(&J) -> usize,
    same: impl Fn(&J, &J) -> bool,
) -> usize {
    let Some((first, others)) = jobs
        .split_first()
        .filter(|(first, _)| len(first) < MIN_CHUNKED)
    else {
        return 0;
    };
    let others = others.iter().take(MAX_TOGETHER - 1);
    let alike = others.take_while(|other| len(other) == len(first) && same(other, first));
    let count = 1 + alike.count();
    count - count % S::BLOCKS
}

#[inline(always)]
fn count_alike_to_seal<S: Simd>(jobs: &[SealJob<'_>]) -> usize {
    let same = |a: &SealJob<'_>, b: &SealJob<'_>| a.inner_type == b.inner_type && a.aad == b.aad;
    count_alike::<S, _>(jobs, |job| job.plaintext.len(), same)
}

#[inline(always)]
fn count_alike_to_open<S: Simd>(jobs: &[InnerJob<'_>]) -> usize {
    let same = |a: &InnerJob<'_>, b: &InnerJob<'_>| {
        a.inner_type.is_some() == b.inner_type.is_some() && a.job.aad == b.job.aad
    };
    count_alike::<S, _>(jobs, |job| job.job.out.len(), same)
}

/// Seals records that are alike; gives how many.
#[inline(always)]
fn seal_lanes<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> usize {
    let len = inner_len(&jobs[0]);
    frame.update_for(s, key, &jobs[0].aad, len);
    let blocks = len.div_ceil(16);
    let mut streams = [0; MAX_TOGETHER];
    let mut count = 0;
    for (jobs, stream) in jobs.chunks_exact(S::BLOCKS).zip(&mut streams) {
        if !keystream.fits_lanes::<S>(blocks) {
            break;
        }
        let nonces = s.gather(|i| s.set_low(counter_block(jobs[i].nonce)));
        *stream = keystream.push_lane_counters(s, nonces, blocks);
        count += S::BLOCKS;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    for (jobs, stream) in jobs[..count].chunks_exact_mut(S::BLOCKS).zip(streams) {
        lanes::seal(s, key, jobs, frame, keystream.starting_at(stream));
    }
    count
}

/// Opens records that are alike; gives how many are good before the first that is not, and how many
/// were tried.
#[inline(always)]
fn open_lanes<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> (usize, usize) {
    let len = jobs[0].job.ciphertext.len();
    frame.update_for(s, key, &jobs[0].job.aad, len);
    let blocks = len.div_ceil(16);
    let mut streams = [0; MAX_TOGETHER];
    let mut count = 0;
    for (jobs, stream) in jobs.chunks_exact(S::BLOCKS).zip(&mut streams) {
        if !keystream.fits_lanes::<S>(blocks) {
            break;
        }
        let nonces = s.gather(|i| s.set_low(counter_block(jobs[i].job.nonce)));
        *stream = keystream.push_lane_counters(s, nonces, blocks);
        count += S::BLOCKS;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    let (mut good, mut tried) = (0, 0);
    for (jobs, stream) in jobs[..count].chunks_exact_mut(S::BLOCKS).zip(streams) {
        let opened = lanes::open(s, key, jobs, frame, keystream.starting_at(stream));
        good += if good == tried { opened } else { 0 };
        tried += S::BLOCKS;
    }
    (good, tried)
}

/// Seals the first few records; gives how many.
#[inline(always)]
fn seal_tails<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> usize {
    let mut tails = [RecordTail::empty(s); MAX_TOGETHER];
    let mut count = 0;
    for (job, tail) in jobs.iter_mut().zip(&mut tails) {
        let len = inner_len(job);
        assert_eq!(
            job.out.len(),
            len + TAG_LEN,
            "out is as long as ciphertext and tag"
        );
        let whole = chunked_len::<S>(job.plaintext.len());
        let blocks = (len - whole).div_ceil(16);
        if !keystream.fits::<S>(blocks) {
            break;
        }
        let nonce = counter_block(job.nonce);
        if whole > 0 {
            frame.update_for(s, key, &job.aad, len);
            let (from, to) = (&job.plaintext[..whole], &mut job.out[..whole]);
            tail.hash = stitched::seal::<S, ROUNDS>(s, key, nonce, frame.aad_hash, from, to);
        }
        (tail.start, tail.blocks) = (whole, blocks);
        tail.keystream_at = keystream.push_counters(s, nonce, counter_at(whole), blocks);
        count += 1;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    for (job, tail) in jobs[..count].iter_mut().zip(&tails) {
        frame.update_for(s, key, &job.aad, inner_len(job));
        seal_tail(
            s,
            key,
            job,
            tail,
            frame,
            keystream.starting_at(tail.keystream_at),
        );
    }
    count
}

/// Opens the first few records; gives how many are good before the first that is not, and how many
/// were tried.
#[inline(always)]
fn open_tails<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
    frame: &mut GhashFrame<S::V>,
    keystream: &mut KeystreamBuffer,
) -> (usize, usize) {
    let mut tails = [RecordTail::empty(s); MAX_TOGETHER];
    let mut count = 0;
    for (InnerJob { job, inner_type }, tail) in jobs.iter_mut().zip(&mut tails) {
        let len = job.ciphertext.len();
        let out = job.out.len() + usize::from(inner_type.is_some());
        assert_eq!(out, len, "out is as long as the ciphertext");
        let whole = chunked_len::<S>(job.out.len());
        let blocks = (len - whole).div_ceil(16);
        if !keystream.fits::<S>(blocks) {
            break;
        }
        let nonce = counter_block(job.nonce);
        if whole > 0 {
            frame.update_for(s, key, &job.aad, len);
            let (from, to) = (&job.ciphertext[..whole], &mut job.out[..whole]);
            tail.hash = stitched::open::<S, ROUNDS>(s, key, nonce, frame.aad_hash, from, to);
        }
        (tail.start, tail.blocks) = (whole, blocks);
        tail.keystream_at = keystream.push_counters(s, nonce, counter_at(whole), blocks);
        count += 1;
    }
    keystream.encrypt::<S, ROUNDS>(s, key);
    let (mut good, mut tried) = (0, 0);
    for (job, tail) in jobs[..count].iter_mut().zip(&tails) {
        frame.update_for(s, key, &job.job.aad, job.job.ciphertext.len());
        let opened = open_tail(
            s,
            key,
            job,
            tail,
            frame,
            keystream.starting_at(tail.keystream_at),
        );
        good += usize::from(opened && good == tried);
        tried += 1;
    }
    (good, tried)
}

/// Bytes of inner plaintext.
#[inline(always)]
fn inner_len(job: &SealJob<'_>) -> usize {
    job.plaintext.len() + usize::from(job.inner_type.is_some())
}

/// How much of `len` bytes is done in whole chunks.
#[inline(always)]
fn chunked_len<S: Simd>(len: usize) -> usize {
    if len < MIN_CHUNKED {
        return 0;
    }
    len - len % stitched::chunk_len::<S>()
}

/// The nonce as the first 12 bytes of a counter block. It is read in the pieces that it is written
/// in, for a load across two stores waits for both.
#[inline(always)]
fn counter_block(nonce: NonceBytes) -> u128 {
    let [head @ .., _, _, _, _, _, _, _, _] = nonce;
    let [_, _, _, _, tail @ ..] = nonce;
    let (head, tail) = (u32::from_be_bytes(head), u64::from_be_bytes(tail));
    u128::from(head) << 96 | u128::from(tail) << 32
}

/// The counter of the block at `at`.
#[inline(always)]
fn counter_at(at: usize) -> u32 {
    (at / 16 + 2) as u32
}
