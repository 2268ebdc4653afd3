//! What GHASH takes of a record beside its ciphertext: the additional data before, the lengths behind.

use ktls_core::aead::Aad;

use super::bytes::load_end;
use super::ghash::Sum;
use super::schedule::Schedule;
use super::simd::Simd;

/// Kept from record to record: in TLS 1.3 it is the same for all that are equally long.
#[derive(Clone, Copy)]
pub(super) struct Frame<V> {
    aad: Aad,
    len: usize,
    /// The GHASH of the additional data.
    pub(super) hash: V,
    /// The block of lengths times H.
    pub(super) sum: Sum<V>,
}

impl<V: Copy> Frame<V> {
    /// For `len` bytes of ciphertext.
    #[inline(always)]
    pub(super) fn new<S: Simd<V = V>>(s: S, key: &Schedule, aad: Aad, len: usize) -> Self {
        let bytes = aad.as_ref();
        let mut hash = s.every(0);
        for block in bytes.chunks(16) {
            let mut sum = Sum::zero(s);
            let x = s.one(load_end(block, 0).swap_bytes());
            sum.add(s, key, s.xor(hash, x), 1);
            hash = sum.reduce(s);
        }
        let mut sum = Sum::zero(s);
        let lengths = (bytes.len() as u128) << 67 | (len as u128) << 3;
        sum.add(s, key, s.one(lengths), 1);
        Self {
            aad,
            len,
            hash,
            sum,
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
