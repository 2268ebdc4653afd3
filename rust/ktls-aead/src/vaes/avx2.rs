//! Vectors of two blocks: VAES and VPCLMULQDQ on 256 bits, without AVX-512.

use std::arch::x86_64::*;

use ktls_core::aead::{InnerJob, SealJob};

use super::engine::{Engine, entry_points};
use super::expanded_key::ExpandedKey;
use super::simd::Simd;

/// Proof that the CPU has AVX2, VAES and VPCLMULQDQ.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Evaluates an expression of intrinsics, in a function that has a value of [`Avx2`].
macro_rules! on_cpu {
    ($op:expr) => {
        // SAFETY: only `detect` makes an `Avx2`, after it has found every feature that the
        // intrinsics of this file need. The pointers point to arrays of the size that they access.
        unsafe { $op }
    };
}

/// Puts a block into a register without a detour through memory: there, store forwarding would fail
/// for the one load that spans two stores.
macro_rules! in_register {
    ($block:expr) => {
        _mm_set_epi64x(($block >> 64) as i64, $block as i64)
    };
}

impl Simd for Avx2 {
    type V = __m256i;
    const BLOCKS: usize = 2;

    #[inline(always)]
    fn load_unaligned(self, from: &[u8]) -> __m256i {
        let from: &[u8; 32] = from.first_chunk().expect("a vector is 32 bytes");
        on_cpu!(_mm256_loadu_si256(from.as_ptr().cast()))
    }

    #[inline(always)]
    fn store_unaligned(self, v: __m256i, to: &mut [u8]) {
        let to: &mut [u8; 32] = to.first_chunk_mut().expect("a vector is 32 bytes");
        on_cpu!(_mm256_storeu_si256(to.as_mut_ptr().cast(), v))
    }

    #[inline(always)]
    fn load_one(self, from: &[u8]) -> __m256i {
        let from: &[u8; 16] = from.first_chunk().expect("a block is 16 bytes");
        on_cpu!(_mm256_zextsi128_si256(_mm_loadu_si128(
            from.as_ptr().cast()
        )))
    }

    #[inline(always)]
    fn store_one(self, v: __m256i, to: &mut [u8]) {
        let to: &mut [u8; 16] = to.first_chunk_mut().expect("a block is 16 bytes");
        on_cpu!(_mm_storeu_si128(
            to.as_mut_ptr().cast(),
            _mm256_castsi256_si128(v)
        ))
    }

    #[inline(always)]
    fn load_broadcast(self, from: &[u8]) -> __m256i {
        let from: &[u8; 16] = from.first_chunk().expect("a block is 16 bytes");
        on_cpu!(_mm256_broadcastsi128_si256(_mm_loadu_si128(
            from.as_ptr().cast()
        )))
    }

    #[inline(always)]
    fn insert(self, v: __m256i, i: usize, block: __m256i) -> __m256i {
        match i {
            0 => on_cpu!(_mm256_blend_epi32::<0x0f>(v, block)),
            _ => on_cpu!(_mm256_inserti128_si256::<1>(
                v,
                _mm256_castsi256_si128(block)
            )),
        }
    }

    #[inline(always)]
    fn extract(self, v: __m256i, i: usize) -> __m256i {
        match i {
            0 => v,
            _ => on_cpu!(_mm256_zextsi128_si256(_mm256_extracti128_si256::<1>(v))),
        }
    }

    #[inline(always)]
    fn broadcast(self, v: __m256i) -> __m256i {
        on_cpu!(_mm256_broadcastsi128_si256(_mm256_castsi256_si128(v)))
    }

    #[inline(always)]
    fn set_low(self, block: u128) -> __m256i {
        on_cpu!(_mm256_zextsi128_si256(in_register!(block)))
    }

    #[inline(always)]
    fn splat(self, block: u128) -> __m256i {
        on_cpu!(_mm256_broadcastsi128_si256(in_register!(block)))
    }

    #[inline(always)]
    fn to_u128(self, v: __m256i) -> u128 {
        let mut block = [0; 16];
        self.store_one(v, &mut block);
        u128::from_le_bytes(block)
    }

    #[inline(always)]
    fn reduce_xor(self, v: __m256i) -> __m256i {
        on_cpu!({
            let (a, b) = (_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm256_zextsi128_si256(_mm_xor_si128(a, b))
        })
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        on_cpu!(_mm256_xor_si256(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        on_cpu!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn add_u32(self, v: __m256i, n: __m256i) -> __m256i {
        on_cpu!(_mm256_add_epi32(v, n))
    }

    #[inline(always)]
    fn aes_round(self, v: __m256i, key: __m256i) -> __m256i {
        on_cpu!(_mm256_aesenc_epi128(v, key))
    }

    #[inline(always)]
    fn aes_last_round(self, v: __m256i, key: __m256i) -> __m256i {
        on_cpu!(_mm256_aesenclast_epi128(v, key))
    }

    #[inline(always)]
    fn clmul_low(self, a: __m256i, b: __m256i) -> __m256i {
        on_cpu!(_mm256_clmulepi64_epi128::<0x00>(a, b))
    }

    #[inline(always)]
    fn clmul_high(self, a: __m256i, b: __m256i) -> __m256i {
        on_cpu!(_mm256_clmulepi64_epi128::<0x11>(a, b))
    }

    #[inline(always)]
    fn swap_halves(self, v: __m256i) -> __m256i {
        on_cpu!(_mm256_shuffle_epi32::<0x4e>(v))
    }

    #[inline(always)]
    fn shuffle_bytes(self, v: __m256i, indices: __m256i) -> __m256i {
        on_cpu!(_mm256_shuffle_epi8(v, indices))
    }
}

entry_points!(Avx2, "vaes-avx2", "aes" "pclmulqdq" "avx2" "vaes" "vpclmulqdq");
