//! An expanded key: round keys and powers of H.

use zeroize::Zeroize;

use super::aes;
use super::ghash::{product, times_x};
use super::simd::{Simd, width};

/// Most blocks that are multiplied before a reduction: the highest power of H.
pub(super) const POWERS: usize = 36;
/// Zeros after the powers: the factors of a vector's unused blocks.
const ZEROS: usize = 4;

/// Everything that is computed from a key. Wiped when it is dropped.
#[repr(C, align(64))]
pub(super) struct ExpandedKey {
    /// H^36 down to H^1, then [`ZEROS`].
    powers: [u8; 16 * (POWERS + ZEROS)],
    /// The sum of the halves of each power, in the low half of a block.
    half_sums: [u8; 16 * (POWERS + ZEROS)],
    /// The round keys, each repeated to fill the widest vector.
    rounds: [[u8; 64]; 15],
}

impl ExpandedKey {
    /// Expands a key of 16 bytes (`ROUNDS` = 10) or 32 bytes (`ROUNDS` = 14).
    #[inline(always)]
    pub(super) fn fill<S: Simd, const ROUNDS: usize>(&mut self, s: S, key: &[u8]) {
        aes::expand::<S, ROUNDS>(s, key, &mut self.rounds);
        let mut block = [s.splat(0)];
        aes::encrypt::<S, 1, ROUNDS>(s, self, &mut block);
        let h = times_x(s.to_u128(block[0]).swap_bytes());
        self.set_power(1, h);
        for n in 2..=POWERS {
            let power = product(s, self.power_value(n / 2), self.power_value(n - n / 2));
            self.set_power(n, power);
        }
    }

    /// Returns H^n, H^(n-1) and so on.
    #[inline(always)]
    pub(super) fn power(&self, n: usize) -> &[u8] {
        &self.powers[16 * (POWERS - n)..]
    }

    /// Returns the sums of the halves of H^n, H^(n-1) and so on.
    #[inline(always)]
    pub(super) fn half_sum(&self, n: usize) -> &[u8] {
        &self.half_sums[16 * (POWERS - n)..]
    }

    /// Returns vectors of powers from H^n on, each with the sums of the halves of its powers.
    #[inline(always)]
    pub(super) fn power_vectors<S: Simd>(
        &self,
        n: usize,
    ) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let powers = self.power(n).chunks_exact(width::<S>());
        powers.zip(self.half_sum(n).chunks_exact(width::<S>()))
    }

    /// Returns `count` powers from H^n on, each with the sum of its halves.
    #[inline(always)]
    pub(super) fn power_blocks(
        &self,
        n: usize,
        count: usize,
    ) -> impl Iterator<Item = (&[u8; 16], &[u8; 16])> {
        let powers = &self.power(n).as_chunks().0[..count];
        powers.iter().zip(&self.half_sum(n).as_chunks().0[..count])
    }

    /// Returns H^2 and the sum of its halves.
    #[inline(always)]
    pub(super) fn square(&self) -> (&[u8], &[u8]) {
        (self.power(2), self.half_sum(2))
    }

    /// Returns the key of round `n`, repeated to fill the widest vector.
    #[inline(always)]
    pub(super) fn round(&self, n: usize) -> &[u8; 64] {
        &self.rounds[n]
    }

    fn power_value(&self, n: usize) -> u128 {
        let (first, _) = self.power(n).split_first_chunk().expect("n <= POWERS");
        u128::from_le_bytes(*first)
    }

    fn set_power(&mut self, n: usize, power: u128) {
        let at = 16 * (POWERS - n);
        let half_sum = (power ^ (power >> 64)) & u128::from(u64::MAX);
        self.powers[at..at + 16].copy_from_slice(&power.to_le_bytes());
        self.half_sums[at..at + 16].copy_from_slice(&half_sum.to_le_bytes());
    }
}

impl Default for ExpandedKey {
    fn default() -> Self {
        Self {
            powers: [0; _],
            half_sums: [0; _],
            rounds: [[0; 64]; 15],
        }
    }
}

impl Drop for ExpandedKey {
    fn drop(&mut self) {
        // Arrays would be wiped byte by byte; slices are wiped in one go.
        self.powers.as_mut_slice().zeroize();
        self.half_sums.as_mut_slice().zeroize();
        self.rounds.as_flattened_mut().zeroize();
    }
}
