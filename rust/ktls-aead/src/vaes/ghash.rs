//! GHASH with one reduction per many blocks.
//!
//! Blocks are byte-reversed, so that the field's bit order is the machine's but for a factor x, which
//! the powers of H carry. A sum of products stays unreduced in three parts (Karatsuba).

use super::schedule::Schedule;
use super::simd::Simd;

/// Unreduced products: each block of the vectors is the sum of some.
#[derive(Clone, Copy)]
pub(super) struct Sum<V> {
    low: V,
    mid: V,
    high: V,
}

impl<V: Copy> Sum<V> {
    /// No product.
    #[inline(always)]
    pub(super) fn zero<S: Simd<V = V>>(s: S) -> Self {
        let zero = s.every(0);
        Self {
            low: zero,
            mid: zero,
            high: zero,
        }
    }

    /// Adds `x` times H^n, H^(n-1) and so on, block for block.
    #[inline(always)]
    pub(super) fn add<S: Simd<V = V>>(&mut self, s: S, key: &Schedule, x: V, n: usize) {
        self.add_product(s, x, s.load(key.power(n)), s.load(key.power_sum(n)));
    }

    /// Adds `x`, a single block, times H^n.
    #[inline(always)]
    pub(super) fn add_one<S: Simd<V = V>>(&mut self, s: S, key: &Schedule, x: V, n: usize) {
        self.add_product(s, x, s.load_one(key.power(n)), s.load_one(key.power_sum(n)));
    }

    /// Adds each block of `x` times the same power, which comes with the sum of its halves.
    #[inline(always)]
    pub(super) fn add_every<S: Simd<V = V>>(&mut self, s: S, x: V, power: &[u8], both: &[u8]) {
        self.add_product(s, x, s.load_every(power), s.load_every(both));
    }

    /// The first block everywhere.
    #[inline(always)]
    pub(super) fn spread<S: Simd<V = V>>(self, s: S) -> Self {
        Self {
            low: s.spread(self.low),
            mid: s.spread(self.mid),
            high: s.spread(self.high),
        }
    }

    /// Adds `x` times the powers of its blocks, which come with the sums of their halves.
    #[inline(always)]
    pub(super) fn add_vector<S: Simd<V = V>>(&mut self, s: S, x: V, powers: (&[u8], &[u8])) {
        let (power, both) = powers;
        self.add_product(s, x, s.load(power), s.load(both));
    }

    /// Adds `x` times `power`; the low halves of `both` are the sums of the halves of `power`.
    #[inline(always)]
    fn add_product<S: Simd<V = V>>(&mut self, s: S, x: V, power: V, both: V) {
        self.low = s.xor(self.low, s.mul_low(x, power));
        self.high = s.xor(self.high, s.mul_high(x, power));
        let x = s.xor(x, s.swap(x));
        self.mid = s.xor(self.mid, s.mul_low(x, both));
    }

    /// The sum of everything in the field, in the first block.
    #[inline(always)]
    pub(super) fn reduce<S: Simd<V = V>>(self, s: S) -> V {
        s.fold(self.reduce_each(s))
    }

    /// Each block's sum in the field.
    #[inline(always)]
    pub(super) fn reduce_each<S: Simd<V = V>>(self, s: S) -> V {
        let Self { low, mid, high } = self;
        let poly = s.every(POLYNOMIAL);
        let mid = s.xor(mid, s.xor(low, high));
        let mid = s.xor(mid, s.xor(s.swap(low), s.mul_low(low, poly)));
        s.xor(high, s.xor(s.swap(mid), s.mul_low(mid, poly)))
    }
}

/// x^63 + x^62 + x^57: what a low half adds above itself when it is cancelled.
const POLYNOMIAL: u128 = 0xc200_0000_0000_0000;

/// `h` times x.
pub(super) fn times_x(h: u128) -> u128 {
    let carry = (h >> 127).wrapping_neg();
    (h << 1) ^ (carry & ((POLYNOMIAL << 64) | 1))
}

/// The product of two elements that carry the factor x, which carries it too.
#[inline(always)]
pub(super) fn product<S: Simd>(s: S, a: u128, b: u128) -> u128 {
    let both = s.one((a ^ (a >> 64)) & u128::from(u64::MAX));
    let (a, b) = (s.one(a), s.one(b));
    let sum = Sum {
        low: s.mul_low(a, b),
        mid: s.mul_low(s.xor(b, s.swap(b)), both),
        high: s.mul_high(a, b),
    };
    s.first(sum.reduce(s))
}
