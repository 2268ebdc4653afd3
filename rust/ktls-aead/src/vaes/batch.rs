//! Records sealed and opened, a few at a time: whole chunks one record after the other, their ends
//! together, for the AES of one to fill the gaps of the GHASH of another.
//!
//! [`seal`] and [`open`] are long, for their steps share what they keep in registers.

use ktls_core::aead::{InnerJob, NonceBytes, SealJob};
use ktls_core::wire::TAG_LEN;

use super::bulk;
use super::bytes::{keep, load_end, store_short};
use super::frame::Frame;
use super::ghash::Sum;
use super::room::{GROUP, Room};
use super::schedule::Schedule;
use super::simd::{Simd, width};

/// Below this many bytes a record is its end alone, for which the powers of H suffice.
const SHORT: usize = 512;

/// The end of a record: what whole chunks leave over.
struct End<V> {
    /// GHASH of what comes before it.
    hash: V,
    /// Where it starts.
    at: usize,
    /// Its blocks.
    blocks: usize,
    /// Where its keystream starts in the room.
    stream: usize,
    /// Products of its blocks, once they were made.
    sum: Option<Sum<V>>,
}

/// Seals every job.
#[inline(always)]
pub(super) fn seal<S: Simd, const ROUNDS: usize>(s: S, key: &Schedule, jobs: &mut [SealJob<'_>]) {
    let Some(first) = jobs.first() else { return };
    let mut frame = Frame::new(s, key, first.aad, inner_len(first));
    let mut room = Room::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        let mut ends = [const { None }; GROUP];
        let mut count = 0;
        room.clear();
        for (job, place) in rest.iter_mut().zip(&mut ends) {
            let len = inner_len(job);
            assert_eq!(
                job.out.len(),
                len + TAG_LEN,
                "out is as long as ciphertext and tag"
            );
            let whole = whole_chunks::<S>(job.plaintext.len());
            let mut end = End::new(frame.hash, whole, len);
            if !room.fits::<S>(end.blocks) {
                break;
            }
            let nonce = number(job.nonce);
            if whole > 0 {
                frame.fit(s, key, &job.aad, len);
                let (from, to) = (&job.plaintext[..whole], &mut job.out[..whole]);
                end.hash = bulk::seal::<S, ROUNDS>(s, key, nonce, frame.hash, from, to);
            }
            end.stream = room.push(s, nonce, counter(whole), end.blocks);
            *place = Some(end);
            count += 1;
        }
        room.encrypt::<S, ROUNDS>(s, key);
        let (group, after) = rest.split_at_mut(count);
        // In steps, each for the whole group: a step is short enough for the CPU to work on the
        // next record before it has the result for this.
        for (job, end) in group.iter_mut().zip(ends.iter_mut().flatten()) {
            frame.fit(s, key, &job.aad, inner_len(job));
            seal_end(s, key, job, end, &frame, room.at(end.stream));
        }
        for (job, end) in group.iter_mut().zip(ends.iter().flatten()) {
            let (_, tag_out) = job.out.split_at_mut(job.out.len() - TAG_LEN);
            store_short(end.tag(s, room.at(end.stream)), tag_out);
        }
        rest = after;
    }
}

/// Opens jobs until one fails; gives how many.
#[inline(always)]
pub(super) fn open<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &Schedule,
    jobs: &mut [InnerJob<'_>],
) -> usize {
    let Some(InnerJob { job: first, .. }) = jobs.first() else {
        return 0;
    };
    let mut frame = Frame::new(s, key, first.aad, first.ciphertext.len());
    let mut room = Room::new();
    let mut opened = 0;
    let mut good = true;
    while good && opened < jobs.len() {
        let rest = &mut jobs[opened..];
        let mut ends = [const { None }; GROUP];
        let mut count = 0;
        room.clear();
        for (InnerJob { job, inner_type }, place) in rest.iter_mut().zip(&mut ends) {
            let len = job.ciphertext.len();
            let out = job.out.len() + usize::from(inner_type.is_some());
            assert_eq!(out, len, "out is as long as the ciphertext");
            let whole = whole_chunks::<S>(job.out.len());
            let mut end = End::new(frame.hash, whole, len);
            if !room.fits::<S>(end.blocks) {
                break;
            }
            let nonce = number(job.nonce);
            if whole > 0 {
                frame.fit(s, key, &job.aad, len);
                let (from, to) = (&job.ciphertext[..whole], &mut job.out[..whole]);
                end.hash = bulk::open::<S, ROUNDS>(s, key, nonce, frame.hash, from, to);
            }
            end.stream = room.push(s, nonce, counter(whole), end.blocks);
            *place = Some(end);
            count += 1;
        }
        room.encrypt::<S, ROUNDS>(s, key);
        let group = &mut rest[..count];
        for (job, end) in group.iter_mut().zip(ends.iter_mut().flatten()) {
            frame.fit(s, key, &job.job.aad, job.job.ciphertext.len());
            open_end(s, key, job, end, &frame, room.at(end.stream));
        }
        for (InnerJob { job, .. }, end) in group.iter().zip(ends.iter().flatten()) {
            // Whole numbers are compared: how many bytes differ, and which, takes no time of its own.
            good &= end.tag(s, room.at(end.stream)) ^ u128::from_le_bytes(*job.tag) == 0;
            opened += usize::from(good);
        }
    }
    for InnerJob { job, inner_type } in &mut jobs[opened..] {
        // It was decrypted while it was authenticated: nothing of it may be seen.
        job.out.fill(0);
        *inner_type = inner_type.map(|_| 0);
    }
    opened
}

impl<V: Copy> End<V> {
    #[inline(always)]
    fn new(hash: V, at: usize, len: usize) -> Self {
        Self {
            hash,
            at,
            blocks: (len - at).div_ceil(16),
            stream: 0,
            sum: None,
        }
    }

    /// The tag, from the products and the keystream of this record.
    #[inline(always)]
    fn tag<S: Simd<V = V>>(&self, s: S, stream: &[u8]) -> u128 {
        let sum = self.sum.unwrap_or(Sum::zero(s));
        s.first(s.reverse(sum.reduce(s))) ^ block_at(stream, 16 * self.blocks)
    }
}

/// Seals the end of a record, but for the tag.
#[inline(always)]
fn seal_end<S: Simd>(
    s: S,
    key: &Schedule,
    job: &mut SealJob<'_>,
    end: &mut End<S::V>,
    frame: &Frame<S::V>,
    stream: &[u8],
) {
    let mut products = Products::new(s, key, end, frame);
    let from = &job.plaintext[end.at..];
    let out = &mut job.out[end.at..];
    let inner_len = out.len() - TAG_LEN;
    let vectors = from
        .chunks_exact(width::<S>())
        .zip(out.chunks_exact_mut(width::<S>()));
    for (((from, out), stream), powers) in vectors
        .zip(stream.chunks_exact(width::<S>()))
        .zip(key.powers_from::<S>(end.blocks + 1))
    {
        let sealed = s.xor(s.load(from), s.load(stream));
        s.store(sealed, out);
        products.add_vector(s.reverse(sealed), powers);
    }
    let mut at = from.len() - from.len() % width::<S>();
    products.power -= at / 16;
    while inner_len > at {
        let len = (inner_len - at).min(16);
        let mut block = load_block(job.plaintext, end.at + at);
        if let (Some(inner_type), true) = (job.inner_type, from.len() - at < 16) {
            block |= u128::from(inner_type) << (8 * (from.len() - at));
        }
        let sealed = keep(block ^ block_at(stream, at), len);
        // A short block goes over its end, where the tag comes later.
        store_short(sealed, &mut out[at..at + 16]);
        products.add_block(sealed);
        at += len;
    }
    end.sum = Some(products.sum);
}

/// Opens the end of a record; who calls it compares the tag.
#[inline(always)]
fn open_end<S: Simd>(
    s: S,
    key: &Schedule,
    job: &mut InnerJob<'_>,
    end: &mut End<S::V>,
    frame: &Frame<S::V>,
    stream: &[u8],
) {
    let InnerJob { job, inner_type } = job;
    let mut products = Products::new(s, key, end, frame);
    let from = &job.ciphertext[end.at..];
    let out = &mut job.out[end.at..];
    let vectors = from
        .chunks_exact(width::<S>())
        .zip(out.chunks_exact_mut(width::<S>()));
    for (((from, out), stream), powers) in vectors
        .zip(stream.chunks_exact(width::<S>()))
        .zip(key.powers_from::<S>(end.blocks + 1))
    {
        let sealed = s.load(from);
        products.add_vector(s.reverse(sealed), powers);
        s.store(s.xor(sealed, s.load(stream)), out);
    }
    let mut at = out.len() - out.len() % width::<S>();
    products.power -= at / 16;
    while from.len() > at {
        let len = (from.len() - at).min(16);
        let sealed = load_block(job.ciphertext, end.at + at);
        products.add_block(sealed);
        let block = sealed ^ block_at(stream, at);
        let data = (out.len() - at).min(16);
        store_short(block, &mut out[at..at + data]);
        if let (Some(inner_type), true) = (&mut *inner_type, data < len) {
            *inner_type = (block >> (8 * data)) as u8;
        }
        at += len;
    }
    end.sum = Some(products.sum);
}

/// The products of the end of a record, that of the lengths among them, for one reduction.
struct Products<'a, S: Simd> {
    s: S,
    key: &'a Schedule,
    sum: Sum<S::V>,
    /// To be added to the next block; then zero.
    hash: S::V,
    /// The power of H for the next block; whoever adds vectors counts.
    power: usize,
}

impl<'a, S: Simd> Products<'a, S> {
    #[inline(always)]
    fn new(s: S, key: &'a Schedule, end: &End<S::V>, frame: &Frame<S::V>) -> Self {
        let mut sum = frame.sum;
        let hash = if end.at == 0 { frame.hash } else { end.hash };
        if end.blocks == 0 {
            sum.add(s, key, hash, 1);
        }
        Self {
            s,
            key,
            sum,
            hash,
            power: end.blocks + 1,
        }
    }

    /// Adds a vector; `powers` are those of its blocks, and the sums of their halves.
    #[inline(always)]
    fn add_vector(&mut self, x: S::V, (power, both): (&[u8], &[u8])) {
        let s = self.s;
        let x = s.xor(x, self.hash);
        self.sum.add_product(s, x, s.load(power), s.load(both));
        self.hash = s.every(0);
    }

    /// Adds one block.
    #[inline(always)]
    fn add_block(&mut self, block: u128) {
        let s = self.s;
        let x = s.xor(s.one(block.swap_bytes()), self.hash);
        self.sum.add(s, self.key, x, self.power);
        self.hash = s.every(0);
        self.power -= 1;
    }
}

/// Bytes of inner plaintext.
#[inline(always)]
fn inner_len(job: &SealJob<'_>) -> usize {
    job.plaintext.len() + usize::from(job.inner_type.is_some())
}

/// The block at `at`, perhaps cut by the end of `data`.
#[inline(always)]
fn load_block(data: &[u8], at: usize) -> u128 {
    match data[at..].first_chunk() {
        Some(block) => u128::from_le_bytes(*block),
        None => load_end(data, at),
    }
}

/// The block at `at`, which is there.
#[inline(always)]
fn block_at(stream: &[u8], at: usize) -> u128 {
    let (block, _) = stream[at..]
        .split_first_chunk()
        .expect("the room is large enough");
    u128::from_le_bytes(*block)
}

/// How much of `len` bytes is done in whole chunks.
#[inline(always)]
fn whole_chunks<S: Simd>(len: usize) -> usize {
    if len < SHORT {
        return 0;
    }
    len - len % bulk::chunk::<S>()
}

/// The nonce as the first 12 bytes of a counter block.
#[inline(always)]
fn number(nonce: NonceBytes) -> u128 {
    let mut block = [0; 16];
    block[..12].copy_from_slice(&nonce);
    u128::from_be_bytes(block)
}

/// The counter of the block at `at`.
#[inline(always)]
fn counter(at: usize) -> u32 {
    (at / 16 + 2) as u32
}
