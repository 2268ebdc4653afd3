//! The whole chunks of a long record: AES and GHASH stitched together, so that both units are busy.

use super::aes;
use super::barrier::{opaque, opaque_slice};
use super::expanded_key::ExpandedKey;
use super::ghash::UnreducedSum;
use super::record_job::RecordJob;
use super::simd::{Simd, width};

/// Counter blocks of a chunk, then their keystream.
type KeystreamVectors<V> = [V; CHUNK_VECTORS];

/// Vectors of a chunk: as many as AVX2's 16 registers hold beside a round key and the sums.
pub(super) const CHUNK_VECTORS: usize = 8;

/// Returns the bytes of a chunk.
pub(super) const fn chunk_len<S: Simd>() -> usize {
    CHUNK_VECTORS * width::<S>()
}

/// Seals or opens whole chunks, with counters from 2 on; returns the GHASH of `hash` and of the
/// ciphertext.
///
/// `input` and `output` are equally long: one or more chunks.
#[inline(always)]
pub(super) fn process<S: Simd, const ROUNDS: usize, J: RecordJob>(
    s: S,
    key: &ExpandedKey,
    nonce: u128,
    hash: S::V,
    input: &[u8],
    output: &mut [u8],
) -> S::V {
    let size = chunk_len::<S>();
    let (mut hash, mut counters) = (hash, first_counters(s, nonce));
    let mut at = 0;
    if J::SEALS {
        // There is no ciphertext yet: from here on, that of the chunk before is hashed.
        let mut blocks = next_counter_blocks(s, &mut counters);
        aes::encrypt::<S, CHUNK_VECTORS, ROUNDS>(s, key, &mut blocks);
        xor_keystream(s, &blocks, &input[..size], &mut output[..size]);
        at = size;
    }
    while at < input.len() {
        let mut blocks = next_counter_blocks(s, &mut counters);
        let chunk = &input[at..at + size];
        let (before, rest) = output.split_at_mut(at);
        let ciphertext = if J::SEALS {
            &before[at - size..]
        } else {
            chunk
        };
        hash = encrypt_and_hash::<S, ROUNDS>(s, key, &mut blocks, ciphertext, hash);
        xor_keystream(s, &blocks, chunk, &mut rest[..size]);
        at += size;
    }
    if J::SEALS {
        hash = hash_chunk(s, key, &output[at - size..at], hash);
    }
    hash
}

/// Encrypts counter blocks, and hashes a chunk of ciphertext meanwhile; returns the GHASH of `hash`
/// and of the chunk.
///
/// The vectors of the chunk are multiplied from the last to the first, because the first is added
/// to `hash`, on which the reduction of the chunk before is still at work.
#[inline(always)]
fn encrypt_and_hash<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    blocks: &mut KeystreamVectors<S::V>,
    ciphertext: &[u8],
    hash: S::V,
) -> S::V {
    let mut ciphertext = &ciphertext[..chunk_len::<S>()];
    let mut key = key;
    let mut sum = UnreducedSum::zero(s);
    aes::add_key(s, key, blocks);
    for n in 1..CHUNK_VECTORS {
        // Keeps product n between rounds n and n+1: the compiler would move it before all rounds.
        (key, ciphertext) = (opaque(key), opaque_slice(ciphertext));
        aes::round(s, key, blocks, n);
        let i = CHUNK_VECTORS - n;
        let x = s.reverse_bytes(s.load_unaligned(&ciphertext[i * width::<S>()..]));
        sum.add(s, key, x, n * S::BLOCKS);
    }
    (key, ciphertext) = (opaque(key), opaque_slice(ciphertext));
    aes::round(s, key, blocks, CHUNK_VECTORS);
    let x = s.xor(hash, s.reverse_bytes(s.load_unaligned(ciphertext)));
    sum.add(s, key, x, CHUNK_VECTORS * S::BLOCKS);
    for n in CHUNK_VECTORS + 1..ROUNDS {
        key = opaque(key);
        aes::round(s, key, blocks, n);
    }
    let hash = sum.reduce(s);
    aes::last_round(s, key, blocks, ROUNDS);
    hash
}

/// Returns the GHASH of `hash` and of a chunk of ciphertext.
#[inline(always)]
fn hash_chunk<S: Simd>(s: S, key: &ExpandedKey, ciphertext: &[u8], hash: S::V) -> S::V {
    let mut sum = UnreducedSum::zero(s);
    let mut hash = hash;
    for i in 0..CHUNK_VECTORS {
        let x = s.reverse_bytes(s.load_unaligned(&ciphertext[i * width::<S>()..]));
        sum.add(s, key, s.xor(x, hash), (CHUNK_VECTORS - i) * S::BLOCKS);
        hash = s.splat(0);
    }
    sum.reduce(s)
}

/// Writes the sum of `input` and a chunk of keystream to `output`.
#[inline(always)]
fn xor_keystream<S: Simd>(
    s: S,
    keystream: &KeystreamVectors<S::V>,
    input: &[u8],
    output: &mut [u8],
) {
    for (i, vector) in keystream.iter().enumerate() {
        let at = i * width::<S>();
        let result = s.xor(*vector, s.load_unaligned(&input[at..]));
        s.store_unaligned(result, &mut output[at..]);
    }
}

/// Returns counter blocks 2, 3 and so on, as numbers: their bytes are still reversed.
#[inline(always)]
fn first_counters<S: Simd>(s: S, nonce: u128) -> S::V {
    s.add_u32(s.splat(nonce | 2), s.load_unaligned(&BLOCK_NUMBERS))
}

/// Returns the counter blocks of the next chunk, and adds their count to `counters`.
#[inline(always)]
fn next_counter_blocks<S: Simd>(s: S, counters: &mut S::V) -> KeystreamVectors<S::V> {
    let step = s.splat(S::BLOCKS as u128);
    let mut blocks = [*counters; CHUNK_VECTORS];
    for block in &mut blocks {
        *block = s.reverse_bytes(*counters);
        *counters = s.add_u32(*counters, step);
    }
    blocks
}

/// The numbers 0, 1, 2 and 3, each as a block.
pub(super) const BLOCK_NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    (numbers[16], numbers[32], numbers[48]) = (1, 2, 3);
    numbers
};
