//! What the algorithm asks of a vector unit: the one thing that differs between machines.

/// A vector unit that is there: who has the value may use it.
///
/// A vector is a row of 16-byte blocks. A block is a number as the machine has it, least significant
/// byte first; GHASH works on blocks of reversed byte order.
pub(super) trait Simd: Copy {
    /// A vector.
    type V: Copy;
    /// Blocks of a vector.
    const BLOCKS: usize;

    /// The vector at the start of `from`.
    fn load_unaligned(self, from: &[u8]) -> Self::V;
    /// Writes to the start of `to`.
    fn store_unaligned(self, v: Self::V, to: &mut [u8]);
    /// The block at the start of `from` first, zeros behind it.
    fn load_one(self, from: &[u8]) -> Self::V;
    /// Writes the first block to the start of `to`.
    fn store_one(self, v: Self::V, to: &mut [u8]);
    /// The block at the start of `from` everywhere.
    fn load_broadcast(self, from: &[u8]) -> Self::V;
    /// `v` with its block `i` replaced by the first block of `block`.
    fn insert(self, v: Self::V, i: usize, block: Self::V) -> Self::V;
    /// The block `i` first; what stands behind it does not count.
    fn extract(self, v: Self::V, i: usize) -> Self::V;
    /// The first block everywhere.
    fn broadcast(self, v: Self::V) -> Self::V;
    /// This block first, zeros behind it.
    fn set_low(self, block: u128) -> Self::V;
    /// This block everywhere.
    fn splat(self, block: u128) -> Self::V;
    /// The first block.
    fn to_u128(self, v: Self::V) -> u128;
    /// The sum of all blocks first, zeros behind it.
    fn reduce_xor(self, v: Self::V) -> Self::V;
    /// Addition in both fields.
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// The bits that both have.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Adds to the low 32 bits of each block, without a carry out of them.
    fn add_u32(self, v: Self::V, n: Self::V) -> Self::V;
    /// A round of AES.
    fn aes_round(self, v: Self::V, key: Self::V) -> Self::V;
    /// The last round of AES.
    fn aes_last_round(self, v: Self::V, key: Self::V) -> Self::V;
    /// Products of the low halves.
    fn clmul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// Products of the high halves.
    fn clmul_high(self, a: Self::V, b: Self::V) -> Self::V;
    /// Swaps the halves of each block.
    fn swap_halves(self, v: Self::V) -> Self::V;
    /// Bytes of each block in the order that the same block of `order` gives: the numbers of places,
    /// or 0x80 for a zero.
    fn shuffle_bytes(self, v: Self::V, indices: Self::V) -> Self::V;

    /// A vector of the first blocks of others.
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

/// Bytes of a vector.
pub(super) const fn width<S: Simd>() -> usize {
    16 * S::BLOCKS
}
