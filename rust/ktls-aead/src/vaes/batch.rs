//! Records sealed and opened, a few at a time: whole chunks one record after the other, their ends
//! together, for the AES of one to fill the gaps of the GHASH of another.

use ktls_core::aead::{InnerJob, NonceBytes, SealJob};
use ktls_core::wire::TAG_LEN;

use super::bulk;
use super::end::{RecordTail, open_end, seal_end};
use super::frame::GhashFrame;
use super::lanes;
use super::room::{GROUP, KeystreamBuffer};
use super::schedule::ExpandedKey;
use super::simd::Simd;

/// Below this many bytes a record is its end alone, for which the powers of H suffice.
const SHORT: usize = 512;

/// Seals every job.
#[inline(always)]
pub(super) fn seal<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
) {
    let Some(first) = jobs.first() else { return };
    let mut frame = GhashFrame::new(s, key, first.aad, inner_len(first));
    let mut room = KeystreamBuffer::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        room.clear();
        let count = match alike_to_seal::<S>(rest) {
            0 => seal_ends::<S, ROUNDS>(s, key, rest, &mut frame, &mut room),
            alike => seal_lanes::<S, ROUNDS>(s, key, &mut rest[..alike], &mut frame, &mut room),
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
    let mut room = KeystreamBuffer::new();
    let (mut opened, mut tried) = (0, 0);
    while opened == tried && opened < jobs.len() {
        room.clear();
        let rest = &mut jobs[opened..];
        let (good, count) = match alike_to_open::<S>(rest) {
            0 => open_ends::<S, ROUNDS>(s, key, rest, &mut frame, &mut room),
            alike => open_lanes::<S, ROUNDS>(s, key, &mut rest[..alike], &mut frame, &mut room),
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
/// [`GROUP`], all like the first.
#[inline(always)]
fn alike<S: Simd, J>(
    jobs: &[J],
    len: impl Fn(&J) -> usize,
    same: impl Fn(&J, &J) -> bool,
) -> usize {
    let Some((first, others)) = jobs.split_first().filter(|(first, _)| len(first) < SHORT) else {
        return 0;
    };
    let others = others.iter().take(GROUP - 1);
    let alike = others.take_while(|other| len(other) == len(first) && same(other, first));
    let count = 1 + alike.count();
    count - count % S::BLOCKS
}

#[inline(always)]
fn alike_to_seal<S: Simd>(jobs: &[SealJob<'_>]) -> usize {
    let same = |a: &SealJob<'_>, b: &SealJob<'_>| a.inner_type == b.inner_type && a.aad == b.aad;
    alike::<S, _>(jobs, |job| job.plaintext.len(), same)
}

#[inline(always)]
fn alike_to_open<S: Simd>(jobs: &[InnerJob<'_>]) -> usize {
    let same = |a: &InnerJob<'_>, b: &InnerJob<'_>| {
        a.inner_type.is_some() == b.inner_type.is_some() && a.job.aad == b.job.aad
    };
    alike::<S, _>(jobs, |job| job.job.out.len(), same)
}

/// Seals records that are alike; gives how many.
#[inline(always)]
fn seal_lanes<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
    frame: &mut GhashFrame<S::V>,
    room: &mut KeystreamBuffer,
) -> usize {
    let len = inner_len(&jobs[0]);
    frame.fit(s, key, &jobs[0].aad, len);
    let blocks = len.div_ceil(16);
    let mut streams = [0; GROUP];
    let mut count = 0;
    for (jobs, stream) in jobs.chunks_exact(S::BLOCKS).zip(&mut streams) {
        if !room.fits_lanes::<S>(blocks) {
            break;
        }
        let nonces = s.gather(|i| s.set_low(number(jobs[i].nonce)));
        *stream = room.push_lanes(s, nonces, blocks);
        count += S::BLOCKS;
    }
    room.encrypt::<S, ROUNDS>(s, key);
    for (jobs, stream) in jobs[..count].chunks_exact_mut(S::BLOCKS).zip(streams) {
        lanes::seal(s, key, jobs, frame, room.at(stream));
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
    room: &mut KeystreamBuffer,
) -> (usize, usize) {
    let len = jobs[0].job.ciphertext.len();
    frame.fit(s, key, &jobs[0].job.aad, len);
    let blocks = len.div_ceil(16);
    let mut streams = [0; GROUP];
    let mut count = 0;
    for (jobs, stream) in jobs.chunks_exact(S::BLOCKS).zip(&mut streams) {
        if !room.fits_lanes::<S>(blocks) {
            break;
        }
        let nonces = s.gather(|i| s.set_low(number(jobs[i].job.nonce)));
        *stream = room.push_lanes(s, nonces, blocks);
        count += S::BLOCKS;
    }
    room.encrypt::<S, ROUNDS>(s, key);
    let (mut good, mut tried) = (0, 0);
    for (jobs, stream) in jobs[..count].chunks_exact_mut(S::BLOCKS).zip(streams) {
        let opened = lanes::open(s, key, jobs, frame, room.at(stream));
        good += if good == tried { opened } else { 0 };
        tried += S::BLOCKS;
    }
    (good, tried)
}

/// Seals the first few records; gives how many.
#[inline(always)]
fn seal_ends<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [SealJob<'_>],
    frame: &mut GhashFrame<S::V>,
    room: &mut KeystreamBuffer,
) -> usize {
    let mut ends = [RecordTail::none(s); GROUP];
    let mut count = 0;
    for (job, end) in jobs.iter_mut().zip(&mut ends) {
        let len = inner_len(job);
        assert_eq!(
            job.out.len(),
            len + TAG_LEN,
            "out is as long as ciphertext and tag"
        );
        let whole = whole_chunks::<S>(job.plaintext.len());
        let blocks = (len - whole).div_ceil(16);
        if !room.fits::<S>(blocks) {
            break;
        }
        let nonce = number(job.nonce);
        if whole > 0 {
            frame.fit(s, key, &job.aad, len);
            let (from, to) = (&job.plaintext[..whole], &mut job.out[..whole]);
            end.hash = bulk::seal::<S, ROUNDS>(s, key, nonce, frame.hash, from, to);
        }
        (end.at, end.blocks) = (whole, blocks);
        end.stream = room.push(s, nonce, counter(whole), blocks);
        count += 1;
    }
    room.encrypt::<S, ROUNDS>(s, key);
    for (job, end) in jobs[..count].iter_mut().zip(&ends) {
        frame.fit(s, key, &job.aad, inner_len(job));
        seal_end(s, key, job, end, frame, room.at(end.stream));
    }
    count
}

/// Opens the first few records; gives how many are good before the first that is not, and how many
/// were tried.
#[inline(always)]
fn open_ends<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    jobs: &mut [InnerJob<'_>],
    frame: &mut GhashFrame<S::V>,
    room: &mut KeystreamBuffer,
) -> (usize, usize) {
    let mut ends = [RecordTail::none(s); GROUP];
    let mut count = 0;
    for (InnerJob { job, inner_type }, end) in jobs.iter_mut().zip(&mut ends) {
        let len = job.ciphertext.len();
        let out = job.out.len() + usize::from(inner_type.is_some());
        assert_eq!(out, len, "out is as long as the ciphertext");
        let whole = whole_chunks::<S>(job.out.len());
        let blocks = (len - whole).div_ceil(16);
        if !room.fits::<S>(blocks) {
            break;
        }
        let nonce = number(job.nonce);
        if whole > 0 {
            frame.fit(s, key, &job.aad, len);
            let (from, to) = (&job.ciphertext[..whole], &mut job.out[..whole]);
            end.hash = bulk::open::<S, ROUNDS>(s, key, nonce, frame.hash, from, to);
        }
        (end.at, end.blocks) = (whole, blocks);
        end.stream = room.push(s, nonce, counter(whole), blocks);
        count += 1;
    }
    room.encrypt::<S, ROUNDS>(s, key);
    let (mut good, mut tried) = (0, 0);
    for (job, end) in jobs[..count].iter_mut().zip(&ends) {
        frame.fit(s, key, &job.job.aad, job.job.ciphertext.len());
        let opened = open_end(s, key, job, end, frame, room.at(end.stream));
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
fn whole_chunks<S: Simd>(len: usize) -> usize {
    if len < SHORT {
        return 0;
    }
    len - len % bulk::chunk::<S>()
}

/// The nonce as the first 12 bytes of a counter block. It is read in the pieces that it is written
/// in, for a load across two stores waits for both.
#[inline(always)]
fn number(nonce: NonceBytes) -> u128 {
    let [head @ .., _, _, _, _, _, _, _, _] = nonce;
    let [_, _, _, _, tail @ ..] = nonce;
    let (head, tail) = (u32::from_be_bytes(head), u64::from_be_bytes(tail));
    u128::from(head) << 96 | u128::from(tail) << 32
}

/// The counter of the block at `at`.
#[inline(always)]
fn counter(at: usize) -> u32 {
    (at / 16 + 2) as u32
}
