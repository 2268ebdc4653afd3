//! The whole chunks of a long record: counter blocks of one chunk while another is hashed.

use super::aes;
use super::ghash::UnreducedSum;
use super::order::{from_here, one_from_here};
use super::schedule::ExpandedKey;
use super::simd::{Simd, width};

/// Blocks encrypted for counters, in vectors.
type KeystreamVectors<V> = [V; WIDE];

/// Vectors in flight: as many as AVX2's registers hold beside a round key and the sums.
pub(super) const WIDE: usize = 8;

/// Bytes of a chunk.
pub(super) const fn chunk<S: Simd>() -> usize {
    WIDE * width::<S>()
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
    let size = chunk::<S>();
    let (mut hash, mut counter) = (hash, first_counter(s, nonce));
    let mut blocks = counters(s, &mut counter);
    aes::encrypt::<S, WIDE, ROUNDS>(s, key, &mut blocks);
    add_blocks(s, &blocks, &from[..size], &mut to[..size]);
    let mut at = size;
    while at < from.len() {
        let (sealed, rest) = to.split_at_mut(at);
        let mut blocks = counters(s, &mut counter);
        hash = encrypt_and_hash::<S, ROUNDS>(s, key, &mut blocks, &sealed[at - size..], hash);
        add_blocks(s, &blocks, &from[at..at + size], &mut rest[..size]);
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
    let size = chunk::<S>();
    let (mut hash, mut counter) = (hash, first_counter(s, nonce));
    let mut at = 0;
    while at < from.len() {
        let sealed = &from[at..at + size];
        let mut blocks = counters(s, &mut counter);
        hash = encrypt_and_hash::<S, ROUNDS>(s, key, &mut blocks, sealed, hash);
        add_blocks(s, &blocks, sealed, &mut to[at..at + size]);
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
    let mut sealed = &sealed[..chunk::<S>()];
    let mut key = key;
    let mut sum = UnreducedSum::zero(s);
    aes::add_key(s, key, blocks);
    for n in 1..WIDE {
        (key, sealed) = (one_from_here(key), from_here(sealed));
        aes::round(s, key, blocks, n);
        let i = WIDE - n;
        let x = s.reverse_bytes(s.load_unaligned(&sealed[i * width::<S>()..]));
        sum.add(s, key, x, (WIDE - i) * S::BLOCKS);
    }
    (key, sealed) = (one_from_here(key), from_here(sealed));
    aes::round(s, key, blocks, WIDE);
    let x = s.xor(hash, s.reverse_bytes(s.load_unaligned(sealed)));
    sum.add(s, key, x, WIDE * S::BLOCKS);
    for n in WIDE + 1..ROUNDS {
        key = one_from_here(key);
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
    for i in 0..WIDE {
        let x = s.reverse_bytes(s.load_unaligned(&sealed[i * width::<S>()..]));
        sum.add(s, key, s.xor(x, hash), (WIDE - i) * S::BLOCKS);
        hash = s.splat(0);
    }
    sum.reduce(s)
}

#[inline(always)]
fn add_blocks<S: Simd>(s: S, blocks: &KeystreamVectors<S::V>, from: &[u8], to: &mut [u8]) {
    for (i, block) in blocks.iter().enumerate() {
        let at = i * width::<S>();
        s.store_unaligned(s.xor(*block, s.load_unaligned(&from[at..])), &mut to[at..]);
    }
}

/// Counters 2, 3 and so on, in the byte order for counting.
#[inline(always)]
fn first_counter<S: Simd>(s: S, nonce: u128) -> S::V {
    s.add_u32(s.splat(nonce | 2), s.load_unaligned(&NUMBERS))
}

/// The next counter blocks.
#[inline(always)]
fn counters<S: Simd>(s: S, counter: &mut S::V) -> KeystreamVectors<S::V> {
    let step = s.splat(S::BLOCKS as u128);
    let mut blocks = [*counter; WIDE];
    for block in &mut blocks {
        *block = s.reverse_bytes(*counter);
        *counter = s.add_u32(*counter, step);
    }
    blocks
}

/// 0, 1, 2 and 3, a block each.
pub(super) const NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    (numbers[16], numbers[32], numbers[48]) = (1, 2, 3);
    numbers
};
