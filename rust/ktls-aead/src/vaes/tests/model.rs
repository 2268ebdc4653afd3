//! A vector unit in plain Rust, of any width: it runs the algorithm without intrinsics.

use ktls_core::aead::{InnerJob, SealJob};

use super::standard::{mix, substitute_and_shift};
use crate::vaes::batch;
use crate::vaes::engine::Engine;
use crate::vaes::expanded_key::ExpandedKey;
use crate::vaes::simd::Simd;

/// A vector unit whose vectors have `B` blocks.
#[derive(Clone, Copy)]
pub(super) struct Model<const B: usize>;

impl<const B: usize> Simd for Model<B> {
    type V = [u128; B];
    const BLOCKS: usize = B;

    fn load_unaligned(self, from: &[u8]) -> [u128; B] {
        let blocks = from.as_chunks().0;
        std::array::from_fn(|i| u128::from_le_bytes(blocks[i]))
    }

    fn store_unaligned(self, v: [u128; B], to: &mut [u8]) {
        for (block, place) in v.iter().zip(&mut to.as_chunks_mut().0[..B]) {
            *place = block.to_le_bytes();
        }
    }

    fn load_one(self, from: &[u8]) -> [u128; B] {
        self.set_low(u128::from_le_bytes(from.as_chunks().0[0]))
    }

    fn store_one(self, v: [u128; B], to: &mut [u8]) {
        to[..16].copy_from_slice(&v[0].to_le_bytes());
    }

    fn load_broadcast(self, from: &[u8]) -> [u128; B] {
        self.broadcast(self.load_one(from))
    }

    fn insert(self, mut v: [u128; B], i: usize, block: [u128; B]) -> [u128; B] {
        v[i] = block[0];
        v
    }

    fn extract(self, v: [u128; B], i: usize) -> [u128; B] {
        self.set_low(v[i])
    }

    fn broadcast(self, v: [u128; B]) -> [u128; B] {
        [v[0]; B]
    }

    fn set_low(self, block: u128) -> [u128; B] {
        std::array::from_fn(|i| if i == 0 { block } else { 0 })
    }

    fn splat(self, block: u128) -> [u128; B] {
        [block; B]
    }

    fn to_u128(self, v: [u128; B]) -> u128 {
        v[0]
    }

    fn reduce_xor(self, v: [u128; B]) -> [u128; B] {
        self.set_low(v.iter().fold(0, |sum, block| sum ^ block))
    }

    fn xor(self, a: [u128; B], b: [u128; B]) -> [u128; B] {
        std::array::from_fn(|i| a[i] ^ b[i])
    }

    fn and(self, a: [u128; B], b: [u128; B]) -> [u128; B] {
        std::array::from_fn(|i| a[i] & b[i])
    }

    fn add_u32(self, v: [u128; B], n: [u128; B]) -> [u128; B] {
        std::array::from_fn(|i| {
            let low = (v[i] as u32).wrapping_add(n[i] as u32);
            v[i] >> 32 << 32 | u128::from(low)
        })
    }

    fn aes_round(self, v: [u128; B], key: [u128; B]) -> [u128; B] {
        let round = |block: u128| mix(substitute_and_shift(block.to_le_bytes()));
        self.xor(v.map(|block| u128::from_le_bytes(round(block))), key)
    }

    fn aes_last_round(self, v: [u128; B], key: [u128; B]) -> [u128; B] {
        let round = |block: u128| substitute_and_shift(block.to_le_bytes());
        self.xor(v.map(|block| u128::from_le_bytes(round(block))), key)
    }

    fn clmul_low(self, a: [u128; B], b: [u128; B]) -> [u128; B] {
        std::array::from_fn(|i| product(a[i] as u64, b[i] as u64))
    }

    fn clmul_high(self, a: [u128; B], b: [u128; B]) -> [u128; B] {
        std::array::from_fn(|i| product((a[i] >> 64) as u64, (b[i] >> 64) as u64))
    }

    fn swap_halves(self, v: [u128; B]) -> [u128; B] {
        v.map(|block| block.rotate_left(64))
    }

    fn shuffle_bytes(self, v: [u128; B], indices: [u128; B]) -> [u128; B] {
        let take = |block: [u8; 16], place: u8| match place {
            0x80.. => 0,
            place => block[usize::from(place & 15)],
        };
        let shuffle = |block: u128, indices: u128| {
            let block = block.to_le_bytes();
            u128::from_le_bytes(indices.to_le_bytes().map(|place| take(block, place)))
        };
        std::array::from_fn(|i| shuffle(v[i], indices[i]))
    }
}

/// Returns the product of two polynomials over GF(2).
fn product(a: u64, b: u64) -> u128 {
    let ones = (0..64).filter(|i| b >> i & 1 == 1);
    ones.fold(0, |sum, i| sum ^ u128::from(a) << i)
}

impl<const B: usize> Engine for Model<B> {
    const NAME: &'static str = "model";

    fn detect() -> Result<Self, Vec<&'static str>> {
        Ok(Self)
    }

    fn expand<const ROUNDS: usize>(self, schedule: &mut ExpandedKey, key: &[u8]) {
        schedule.fill::<_, ROUNDS>(self, key);
    }

    fn seal<const ROUNDS: usize>(self, key: &ExpandedKey, jobs: &mut [SealJob<'_>]) {
        batch::seal::<_, ROUNDS>(self, key, jobs);
    }

    fn open<const ROUNDS: usize>(self, key: &ExpandedKey, jobs: &mut [InnerJob<'_>]) -> usize {
        batch::open::<_, ROUNDS>(self, key, jobs)
    }
}
