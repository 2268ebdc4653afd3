//! The whole chunks of a long record: counter blocks of one chunk while another is hashed.

use super::aes;
use super::barrier::{opaque, opaque_slice};
use super::expanded_key::ExpandedKey;
use super::ghash::UnreducedSum;
use super::simd::{Simd, width};

/// Blocks encrypted for counters, in vectors.
type KeystreamVectors<V> = [V; CHUNK_VECTORS];

/// Vectors in flight: as many as AVX2's registers hold beside a round key and the sums.
pub(super) const CHUNK_VECTORS: usize = 8;

/// Bytes of a chunk.
pub(super) const fn chunk_len<S: Simd>() -> usize {
    CHUNK_VECTORS * width::<S>()
}

/// Seals whole chunks, with counters from 2 on; gives the GHASH of `hash` and of the ciphertext.
#[inline(always)]
pub(super) fn seal<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    nonce: u128,
    hash: S::V,
    from: &[u8],
    to: &mut [u8],
) -> S::V {
    let size = chunk_len::<S>();
    let (mut hash, mut counter) = (hash, first_counters(s, nonce));
    let mut blocks = next_counter_blocks(s, &mut counter);
    aes::encrypt::<S, CHUNK_VECTORS, ROUNDS>(s, key, &mut blocks);
    xor_keystream(s, &blocks, &from[..size], &mut to[..size]);
    let mut at = size;
    while at < from.len() {
        let (sealed, rest) = to.split_at_mut(at);
        let mut blocks = next_counter_blocks(s, &mut counter);
        hash = encrypt_and_hash::<S, ROUNDS>(s, key, &mut blocks, &sealed[at - size..], hash);
        xor_keystream(s, &blocks, &from[at..at + size], &mut rest[..size]);
        at += size;
    }
    hash_chunk(s, key, &to[at - size..at], hash)
}

/// Opens whole chunks, as [`seal`].
#[inline(always)]
pub(super) fn open<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    nonce: u128,
    hash: S::V,
    from: &[u8],
    to: &mut [u8],
) -> S::V {
    let size = chunk_len::<S>();
    let (mut hash, mut counter) = (hash, first_counters(s, nonce));
    let mut at = 0;
    while at < from.len() {
        let sealed = &from[at..at + size];
        let mut blocks = next_counter_blocks(s, &mut counter);
        hash = encrypt_and_hash::<S, ROUNDS>(s, key, &mut blocks, sealed, hash);
        xor_keystream(s, &blocks, sealed, &mut to[at..at + size]);
        at += size;
    }
    hash
}

/// Encrypts counter blocks; between the rounds it hashes a chunk, from its last vector to its first,
/// which waits for the chunk before.
#[inline(always)]
fn encrypt_and_hash<S: Simd, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    blocks: &mut KeystreamVectors<S::V>,
    sealed: &[u8],
    hash: S::V,
) -> S::V {
    let mut sealed = &sealed[..chunk_len::<S>()];
    let mut key = key;
    let mut sum = UnreducedSum::zero(s);
    aes::add_key(s, key, blocks);
    for n in 1..CHUNK_VECTORS {
        (key, sealed) = (opaque(key), opaque_slice(sealed));
        aes::round(s, key, blocks, n);
        let i = CHUNK_VECTORS - n;
        let x = s.reverse_bytes(s.load_unaligned(&sealed[i * width::<S>()..]));
        sum.add(s, key, x, (CHUNK_VECTORS - i) * S::BLOCKS);
    }
    (key, sealed) = (opaque(key), opaque_slice(sealed));
    aes::round(s, key, blocks, CHUNK_VECTORS);
    let x = s.xor(hash, s.reverse_bytes(s.load_unaligned(sealed)));
    sum.add(s, key, x, CHUNK_VECTORS * S::BLOCKS);
    for n in CHUNK_VECTORS + 1..ROUNDS {
        key = opaque(key);
        aes::round(s, key, blocks, n);
    }
    let hash = sum.reduce(s);
    aes::last_round(s, key, blocks, ROUNDS);
    hash
}

#[inline(always)]
fn hash_chunk<S: Simd>(s: S, key: &ExpandedKey, sealed: &[u8], hash: S::V) -> S::V {
    let mut sum = UnreducedSum::zero(s);
    let mut hash = hash;
    for i in 0..CHUNK_VECTORS {
        let x = s.reverse_bytes(s.load_unaligned(&sealed[i * width::<S>()..]));
        sum.add(s, key, s.xor(x, hash), (CHUNK_VECTORS - i) * S::BLOCKS);
        hash = s.splat(0);
    }
    sum.reduce(s)
}

#[inline(always)]
fn xor_keystream<S: Simd>(s: S, blocks: &KeystreamVectors<S::V>, from: &[u8], to: &mut [u8]) {
    for (i, block) in blocks.iter().enumerate() {
        let at = i * width::<S>();
        s.store_unaligned(s.xor(*block, s.load_unaligned(&from[at..])), &mut to[at..]);
    }
}

/// Counters 2, 3 and so on, in the byte order for counting.
#[inline(always)]
fn first_counters<S: Simd>(s: S, nonce: u128) -> S::V {
    s.add_u32(s.splat(nonce | 2), s.load_unaligned(&BLOCK_NUMBERS))
}

/// The next counter blocks.
#[inline(always)]
fn next_counter_blocks<S: Simd>(s: S, counter: &mut S::V) -> KeystreamVectors<S::V> {
    let step = s.splat(S::BLOCKS as u128);
    let mut blocks = [*counter; CHUNK_VECTORS];
    for block in &mut blocks {
        *block = s.reverse_bytes(*counter);
        *counter = s.add_u32(*counter, step);
    }
    blocks
}

/// 0, 1, 2 and 3, a block each.
pub(super) const BLOCK_NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    (numbers[16], numbers[32], numbers[48]) = (1, 2, 3);
    numbers
};
