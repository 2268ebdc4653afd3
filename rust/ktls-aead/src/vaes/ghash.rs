//! GHASH with one reduction for many blocks.
//!
//! Blocks are byte-reversed: the bit order of GHASH's field then is that of the machine, except for
//! a factor x in each product. The powers of H carry that factor, so no product has to be shifted.
//! A sum of products stays unreduced in three parts (Karatsuba).

use super::expanded_key::ExpandedKey;
use super::simd::Simd;

/// A sum of unreduced products. Each block of its vectors is a part of the sum.
#[derive(Clone, Copy)]
pub(super) struct UnreducedSum<V> {
    low: V,
    mid: V,
    high: V,
}

impl<V: Copy> UnreducedSum<V> {
    /// Returns a sum of no products.
    #[inline(always)]
    pub(super) fn zero<S: Simd<V = V>>(s: S) -> Self {
        let zero = s.splat(0);
        Self {
            low: zero,
            mid: zero,
            high: zero,
        }
    }

    /// Adds the blocks of `x` times H^n, H^(n-1) and so on.
    #[inline(always)]
    pub(super) fn add<S: Simd<V = V>>(&mut self, s: S, key: &ExpandedKey, x: V, n: usize) {
        self.add_product(
            s,
            x,
            s.load_unaligned(key.power(n)),
            s.load_unaligned(key.half_sum(n)),
        );
    }

    /// Adds the first block of `x` times H^n; the other blocks of `x` are ignored.
    #[inline(always)]
    pub(super) fn add_block<S: Simd<V = V>>(&mut self, s: S, key: &ExpandedKey, x: V, n: usize) {
        self.add_product(s, x, s.load_one(key.power(n)), s.load_one(key.half_sum(n)));
    }

    /// Adds each block of `x` times the same power of H. `half_sum` is the sum of the halves of
    /// `power`.
    #[inline(always)]
    pub(super) fn add_broadcast<S: Simd<V = V>>(
        &mut self,
        s: S,
        x: V,
        power: &[u8],
        half_sum: &[u8],
    ) {
        self.add_product(s, x, s.load_broadcast(power), s.load_broadcast(half_sum));
    }

    /// Returns the sum with its first block copied to all blocks.
    #[inline(always)]
    pub(super) fn broadcast<S: Simd<V = V>>(self, s: S) -> Self {
        Self {
            low: s.broadcast(self.low),
            mid: s.broadcast(self.mid),
            high: s.broadcast(self.high),
        }
    }

    /// Adds the blocks of `x` times a vector of powers of H. `powers` are that vector and the sums
    /// of the halves of each.
    #[inline(always)]
    pub(super) fn add_vector<S: Simd<V = V>>(&mut self, s: S, x: V, powers: (&[u8], &[u8])) {
        let (power, half_sum) = powers;
        self.add_product(s, x, s.load_unaligned(power), s.load_unaligned(half_sum));
    }

    /// Adds `x` times `power`, block by block. The low halves of `half_sum` are the sums of the
    /// halves of `power`.
    #[inline(always)]
    fn add_product<S: Simd<V = V>>(&mut self, s: S, x: V, power: V, half_sum: V) {
        self.low = s.xor(self.low, s.clmul_low(x, power));
        self.high = s.xor(self.high, s.clmul_high(x, power));
        // Karatsuba: one product of sums replaces the two of a low with a high half.
        let x = s.xor(x, s.swap_halves(x));
        self.mid = s.xor(self.mid, s.clmul_low(x, half_sum));
    }

    /// Returns the sum of all blocks, reduced, as the first block; the others are zero.
    #[inline(always)]
    pub(super) fn reduce<S: Simd<V = V>>(self, s: S) -> V {
        s.reduce_xor(self.reduce_blocks(s))
    }

    /// Returns the blocks, each reduced by itself.
    #[inline(always)]
    pub(super) fn reduce_blocks<S: Simd<V = V>>(self, s: S) -> V {
        let Self { low, mid, high } = self;
        let poly = s.splat(POLYNOMIAL);
        let mid = s.xor(mid, s.xor(low, high));
        let mid = s.xor(mid, s.xor(s.swap_halves(low), s.clmul_low(low, poly)));
        s.xor(high, s.xor(s.swap_halves(mid), s.clmul_low(mid, poly)))
    }
}

/// x^63 + x^62 + x^57: the part of the field's polynomial that is added above a low half when that
/// half is cancelled.
const POLYNOMIAL: u128 = 0xc200_0000_0000_0000;

/// Returns `h` times x.
pub(super) fn times_x(h: u128) -> u128 {
    // A mask instead of a branch: `h` is secret.
    let carry = (h >> 127).wrapping_neg();
    (h << 1) ^ (carry & ((POLYNOMIAL << 64) | 1))
}

/// Returns the product of two elements that carry the factor x; it carries the factor too.
#[inline(always)]
pub(super) fn product<S: Simd>(s: S, a: u128, b: u128) -> u128 {
    let half_sum = s.set_low((a ^ (a >> 64)) & u128::from(u64::MAX));
    let (a, b) = (s.set_low(a), s.set_low(b));
    let sum = UnreducedSum {
        low: s.clmul_low(a, b),
        mid: s.clmul_low(s.xor(b, s.swap_halves(b)), half_sum),
        high: s.clmul_high(a, b),
    };
    s.to_u128(sum.reduce(s))
}
