//! What GHASH takes of a record besides its ciphertext: the additional data before it, the block of
//! lengths after it.

use ktls_core::aead::Aad;

use super::expanded_key::{ExpandedKey, POWERS};
use super::ghash::UnreducedSum;
use super::partial_block::load_partial;
use super::simd::Simd;

/// The parts of GHASH that depend on additional data and length only.
///
/// They are kept from record to record: in TLS 1.3 they are the same for all records of one length.
#[derive(Clone, Copy)]
pub(super) struct GhashFrame<V> {
    aad: Aad,
    len: usize,
    /// GHASH of the additional data.
    pub(super) aad_hash: V,
    /// The product of the block of lengths and H.
    pub(super) length_product: UnreducedSum<V>,
    /// [`Self::length_product`] and the product of the additional data with its power of H, which
    /// is missing if the record has more blocks than there are powers.
    pub(super) aad_and_lengths: UnreducedSum<V>,
}

impl<V: Copy> GhashFrame<V> {
    /// Returns the parts for `len` bytes of ciphertext.
    #[inline(always)]
    pub(super) fn new<S: Simd<V = V>>(s: S, key: &ExpandedKey, aad: Aad, len: usize) -> Self {
        let aad_bytes = aad.bytes();
        let bytes = aad_bytes.as_ref();
        let mut aad_hash = s.splat(0);
        for block in bytes.chunks(16) {
            let mut sum = UnreducedSum::zero(s);
            let block = match block.first_chunk() {
                Some(block) => u128::from_le_bytes(*block),
                None => load_partial(block),
            };
            let x = s.set_low(block.swap_bytes());
            sum.add(s, key, s.xor(aad_hash, x), 1);
            aad_hash = sum.reduce(s);
        }
        let mut length_product = UnreducedSum::zero(s);
        let bits = (bytes.len() as u128) << 67 | (len as u128) << 3;
        length_product.add(s, key, s.set_low(bits), 1);
        let mut aad_and_lengths = length_product;
        let power = len.div_ceil(16) + 1;
        if power <= POWERS {
            aad_and_lengths.add(s, key, aad_hash, power);
        }
        Self {
            aad,
            len,
            aad_hash,
            length_product,
            aad_and_lengths,
        }
    }

    /// Computes the parts for another record, unless they are the same.
    #[inline(always)]
    pub(super) fn update_for<S: Simd<V = V>>(
        &mut self,
        s: S,
        key: &ExpandedKey,
        aad: &Aad,
        len: usize,
    ) {
        if self.len != len || self.aad != *aad {
            *self = Self::new(s, key, *aad, len);
        }
    }
}
