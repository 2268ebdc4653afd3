//! The operations of a vector unit that the algorithm uses: all that differs between CPUs.

/// A vector unit. A value of the type is the proof that this CPU has it.
///
/// A vector is an array of blocks of 16 bytes. A block is a number, least significant byte first;
/// GHASH uses blocks of reversed byte order.
pub(super) trait Simd: Copy {
    /// A vector.
    type V: Copy;
    /// How many blocks a vector has.
    const BLOCKS: usize;

    /// Returns the vector at the start of `from`.
    fn load_unaligned(self, from: &[u8]) -> Self::V;
    /// Stores `v` at the start of `to`.
    fn store_unaligned(self, v: Self::V, to: &mut [u8]);
    /// Returns the block at the start of `from` as the first block, followed by zeros.
    fn load_one(self, from: &[u8]) -> Self::V;
    /// Stores the first block of `v` at the start of `to`.
    fn store_one(self, v: Self::V, to: &mut [u8]);
    /// Returns the block at the start of `from` in all blocks.
    fn load_broadcast(self, from: &[u8]) -> Self::V;
    /// Returns `v` with its block `i` replaced by the first block of `block`.
    fn insert(self, v: Self::V, i: usize, block: Self::V) -> Self::V;
    /// Returns block `i` as the first block, followed by anything.
    fn extract(self, v: Self::V, i: usize) -> Self::V;
    /// Returns the first block of `v` in all blocks.
    fn broadcast(self, v: Self::V) -> Self::V;
    /// Returns `block` as the first block, followed by zeros.
    fn set_low(self, block: u128) -> Self::V;
    /// Returns `block` in all blocks.
    fn splat(self, block: u128) -> Self::V;
    /// Returns the first block.
    fn to_u128(self, v: Self::V) -> u128;
    /// Returns the XOR of all blocks as the first block, followed by zeros.
    fn reduce_xor(self, v: Self::V) -> Self::V;
    /// Returns the XOR of `a` and `b`, which is addition in the fields of AES and of GHASH.
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns the bitwise AND of `a` and `b`.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Adds the low 32 bits of each block of `n` to those of `v`, wrapping around.
    fn add_u32(self, v: Self::V, n: Self::V) -> Self::V;
    /// Does a round of AES on each block.
    fn aes_round(self, v: Self::V, key: Self::V) -> Self::V;
    /// Does the last round of AES on each block.
    fn aes_last_round(self, v: Self::V, key: Self::V) -> Self::V;
    /// Returns the carry-less products of the low halves of each block.
    fn clmul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns the carry-less products of the high halves of each block.
    fn clmul_high(self, a: Self::V, b: Self::V) -> Self::V;
    /// Swaps the halves of each block.
    fn swap_halves(self, v: Self::V) -> Self::V;
    /// Rearranges the bytes of each block. Byte i of the result is the byte of `v` whose number is
    /// byte i of `indices`, or zero if that is 0x80.
    fn shuffle_bytes(self, v: Self::V, indices: Self::V) -> Self::V;

    /// Returns a vector of which block i is the first block of `block(i)`.
    #[inline(always)]
    fn gather(self, block: impl Fn(usize) -> Self::V) -> Self::V {
        let mut v = block(0);
        for i in 1..Self::BLOCKS {
            v = self.insert(v, i, block(i));
        }
        v
    }

    /// Reverses the bytes of each block.
    #[inline(always)]
    fn reverse_bytes(self, v: Self::V) -> Self::V {
        self.shuffle_bytes(v, self.splat(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f))
    }
}

/// Returns how many bytes a vector has.
pub(super) const fn width<S: Simd>() -> usize {
    16 * S::BLOCKS
}
