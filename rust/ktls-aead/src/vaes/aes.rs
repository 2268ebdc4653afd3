//! AES on many blocks at once, and its key expansion.

use zeroize::Zeroize;

use super::expanded_key::ExpandedKey;
use super::simd::Simd;

/// Encrypts every block of `blocks`.
#[inline(always)]
pub(super) fn encrypt<S: Simd, const N: usize, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    blocks: &mut [S::V; N],
) {
    add_key(s, key, blocks);
    for n in 1..ROUNDS {
        round(s, key, blocks, n);
    }
    last_round(s, key, blocks, ROUNDS);
}

/// Adds the first round key to every block.
#[inline(always)]
pub(super) fn add_key<S: Simd, const N: usize>(s: S, key: &ExpandedKey, blocks: &mut [S::V; N]) {
    let round_key = s.load_unaligned(key.round(0));
    for block in blocks {
        *block = s.xor(*block, round_key);
    }
}

/// Does round `n`, neither the first nor the last, on every block.
#[inline(always)]
pub(super) fn round<S: Simd, const N: usize>(
    s: S,
    key: &ExpandedKey,
    blocks: &mut [S::V; N],
    n: usize,
) {
    let round_key = s.load_unaligned(key.round(n));
    for block in blocks {
        *block = s.aes_round(*block, round_key);
    }
}

/// Does the last round on every block.
#[inline(always)]
pub(super) fn last_round<S: Simd, const N: usize>(
    s: S,
    key: &ExpandedKey,
    blocks: &mut [S::V; N],
    rounds: usize,
) {
    let round_key = s.load_unaligned(key.round(rounds));
    for block in blocks {
        *block = s.aes_last_round(*block, round_key);
    }
}

/// Computes the round keys (FIPS 197 §5.2), each repeated to fill 64 bytes.
#[inline(always)]
pub(super) fn expand<S: Simd, const ROUNDS: usize>(s: S, key: &[u8], rounds: &mut [[u8; 64]; 15]) {
    let mut words = [0_u32; 60];
    let key_words = key.len() / 4;
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut constant = 1_u8;
    for i in key_words..4 * (ROUNDS + 1) {
        let mut word = words[i - 1];
        if i % key_words == 0 {
            word = substitute(s, word.rotate_right(8)) ^ u32::from(constant);
            // Doubling in AES's field. The constants are not secret.
            constant = (constant << 1) ^ ((constant >> 7) * 0x1b);
        } else if key_words == 8 && i % 8 == 4 {
            word = substitute(s, word);
        }
        words[i] = words[i - key_words] ^ word;
    }
    for (words, round) in words.as_chunks::<4>().0.iter().zip(rounds) {
        for (word, bytes) in words.iter().cycle().zip(round.as_chunks_mut().0) {
            *bytes = word.to_le_bytes();
        }
    }
    words.zeroize();
}

/// Applies the S-box to each byte of `word`.
///
/// ShiftRows does not change a block of equal columns, so the last round of AES with a key of zeros
/// is the S-box alone. Unlike a table, it has no index that depends on the key.
#[inline(always)]
fn substitute<S: Simd>(s: S, word: u32) -> u32 {
    let column = u128::from(word);
    let columns = column | column << 32 | column << 64 | column << 96;
    s.to_u128(s.aes_last_round(s.set_low(columns), s.splat(0))) as u32
}
