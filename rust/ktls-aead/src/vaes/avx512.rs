//! Vectors of four blocks: VAES and VPCLMULQDQ on the 512 bits of AVX-512.

use std::arch::x86_64::*;

use ktls_core::aead::{InnerJob, SealJob};

use super::engine::{Engine, entry_points};
use super::expanded_key::ExpandedKey;
use super::simd::Simd;

/// Proof that the CPU has AVX-512, VAES and VPCLMULQDQ.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Evaluates an expression of intrinsics, in a function that has a value of [`Avx512`].
macro_rules! on_cpu {
    ($op:expr) => {
        // SAFETY: only `detect` makes an `Avx512`, after it has found every feature that the
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

impl Simd for Avx512 {
    type V = __m512i;
    const BLOCKS: usize = 4;

    #[inline(always)]
    fn load_unaligned(self, from: &[u8]) -> __m512i {
        let from: &[u8; 64] = from.first_chunk().expect("a vector is 64 bytes");
        on_cpu!(_mm512_loadu_si512(from.as_ptr().cast()))
    }

    #[inline(always)]
    fn store_unaligned(self, v: __m512i, to: &mut [u8]) {
        let to: &mut [u8; 64] = to.first_chunk_mut().expect("a vector is 64 bytes");
        on_cpu!(_mm512_storeu_si512(to.as_mut_ptr().cast(), v))
    }

    #[inline(always)]
    fn load_one(self, from: &[u8]) -> __m512i {
        let from: &[u8; 16] = from.first_chunk().expect("a block is 16 bytes");
        on_cpu!(_mm512_zextsi128_si512(_mm_loadu_si128(
            from.as_ptr().cast()
        )))
    }

    #[inline(always)]
    fn store_one(self, v: __m512i, to: &mut [u8]) {
        let to: &mut [u8; 16] = to.first_chunk_mut().expect("a block is 16 bytes");
        on_cpu!(_mm_storeu_si128(
            to.as_mut_ptr().cast(),
            _mm512_castsi512_si128(v)
        ))
    }

    #[inline(always)]
    fn load_broadcast(self, from: &[u8]) -> __m512i {
        let from: &[u8; 16] = from.first_chunk().expect("a block is 16 bytes");
        on_cpu!(_mm512_broadcast_i32x4(_mm_loadu_si128(
            from.as_ptr().cast()
        )))
    }

    #[inline(always)]
    fn insert(self, v: __m512i, i: usize, block: __m512i) -> __m512i {
        let block = on_cpu!(_mm512_castsi512_si128(block));
        match i {
            0 => on_cpu!(_mm512_inserti32x4::<0>(v, block)),
            1 => on_cpu!(_mm512_inserti32x4::<1>(v, block)),
            2 => on_cpu!(_mm512_inserti32x4::<2>(v, block)),
            _ => on_cpu!(_mm512_inserti32x4::<3>(v, block)),
        }
    }

    #[inline(always)]
    fn extract(self, v: __m512i, i: usize) -> __m512i {
        let block = match i {
            0 => return v,
            1 => on_cpu!(_mm512_extracti32x4_epi32::<1>(v)),
            2 => on_cpu!(_mm512_extracti32x4_epi32::<2>(v)),
            _ => on_cpu!(_mm512_extracti32x4_epi32::<3>(v)),
        };
        on_cpu!(_mm512_zextsi128_si512(block))
    }

    #[inline(always)]
    fn broadcast(self, v: __m512i) -> __m512i {
        on_cpu!(_mm512_broadcast_i32x4(_mm512_castsi512_si128(v)))
    }

    #[inline(always)]
    fn set_low(self, block: u128) -> __m512i {
        on_cpu!(_mm512_zextsi128_si512(in_register!(block)))
    }

    #[inline(always)]
    fn splat(self, block: u128) -> __m512i {
        on_cpu!(_mm512_broadcast_i32x4(in_register!(block)))
    }

    #[inline(always)]
    fn to_u128(self, v: __m512i) -> u128 {
        let mut block = [0; 16];
        self.store_one(v, &mut block);
        u128::from_le_bytes(block)
    }

    #[inline(always)]
    fn reduce_xor(self, v: __m512i) -> __m512i {
        on_cpu!({
            let (a, b) = (_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
            let v = _mm256_xor_si256(a, b);
            let (a, b) = (_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm512_zextsi128_si512(_mm_xor_si128(a, b))
        })
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        on_cpu!(_mm512_xor_si512(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        on_cpu!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn add_u32(self, v: __m512i, n: __m512i) -> __m512i {
        on_cpu!(_mm512_add_epi32(v, n))
    }

    #[inline(always)]
    fn aes_round(self, v: __m512i, key: __m512i) -> __m512i {
        on_cpu!(_mm512_aesenc_epi128(v, key))
    }

    #[inline(always)]
    fn aes_last_round(self, v: __m512i, key: __m512i) -> __m512i {
        on_cpu!(_mm512_aesenclast_epi128(v, key))
    }

    #[inline(always)]
    fn clmul_low(self, a: __m512i, b: __m512i) -> __m512i {
        on_cpu!(_mm512_clmulepi64_epi128::<0x00>(a, b))
    }

    #[inline(always)]
    fn clmul_high(self, a: __m512i, b: __m512i) -> __m512i {
        on_cpu!(_mm512_clmulepi64_epi128::<0x11>(a, b))
    }

    #[inline(always)]
    fn swap_halves(self, v: __m512i) -> __m512i {
        on_cpu!(_mm512_shuffle_epi32::<0x4e>(v))
    }

    #[inline(always)]
    fn shuffle_bytes(self, v: __m512i, indices: __m512i) -> __m512i {
        on_cpu!(_mm512_shuffle_epi8(v, indices))
    }
}

entry_points!(Avx512, "vaes-avx512", "aes" "pclmulqdq" "avx2" "avx512f" "avx512bw" "vaes" "vpclmulqdq");
