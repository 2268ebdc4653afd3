//! What GHASH takes of a record beside its ciphertext: the additional data before, the lengths behind.

use ktls_core::aead::Aad;

use super::bytes::load_short;
use super::ghash::Sum;
use super::schedule::{POWERS, Schedule};
use super::simd::Simd;

/// Kept from record to record: in TLS 1.3 it is the same for all that are equally long.
#[derive(Clone, Copy)]
pub(super) struct Frame<V> {
    aad: Aad,
    len: usize,
    /// The GHASH of the additional data.
    pub(super) hash: V,
    /// The block of lengths times H.
    pub(super) lengths: Sum<V>,
    /// The same with the additional data times its power, where the powers reach that far.
    pub(super) short: Sum<V>,
}

impl<V: Copy> Frame<V> {
    /// For `len` bytes of ciphertext.
    #[inline(always)]
    pub(super) fn new<S: Simd<V = V>>(s: S, key: &Schedule, aad: Aad, len: usize) -> Self {
        let aad_bytes = aad.bytes();
        let bytes = aad_bytes.as_ref();
        let mut hash = s.every(0);
        for block in bytes.chunks(16) {
            let mut sum = Sum::zero(s);
            let block = match block.first_chunk() {
                Some(block) => u128::from_le_bytes(*block),
                None => load_short(block),
            };
            let x = s.one(block.swap_bytes());
            sum.add(s, key, s.xor(hash, x), 1);
            hash = sum.reduce(s);
        }
        let mut lengths = Sum::zero(s);
        let bits = (bytes.len() as u128) << 67 | (len as u128) << 3;
        lengths.add(s, key, s.one(bits), 1);
        let mut short = lengths;
        let power = len.div_ceil(16) + 1;
        if power <= POWERS {
            short.add(s, key, hash, power);
        }
        Self {
            aad,
            len,
            hash,
            lengths,
            short,
        }
    }

    /// Makes it that of another record.
    #[inline(always)]
    pub(super) fn fit<S: Simd<V = V>>(&mut self, s: S, key: &Schedule, aad: &Aad, len: usize) {
        if self.len != len || self.aad != *aad {
            *self = Self::new(s, key, *aad, len);
        }
    }
}
