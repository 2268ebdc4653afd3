//! Keystream of the tails of a few records, encrypted together: blocks of all records fill the
//! pipeline of the AES unit.

use std::mem::MaybeUninit;

use zeroize::Zeroize;

use super::aes;
use super::barrier::opaque;
use super::expanded_key::ExpandedKey;
use super::simd::{Simd, width};
use super::stitched::BLOCK_NUMBERS;

/// Most records whose tails are processed together.
pub(super) const MAX_TOGETHER: usize = 8;
/// Most bytes of keystream. The longest tail in each lane needs 33 vectors of 64 bytes, one of them
/// to mask the tags.
const CAPACITY: usize = 2304;
/// Bytes that [`KeystreamBuffer::encrypt`] may add to fill up its last step.
const SLACK: usize = 3 * 64;

/// A buffer of counter blocks, and of the keystream that replaces them. Wiped when it is dropped.
pub(super) struct KeystreamBuffer {
    bytes: [MaybeUninit<u8>; CAPACITY + SLACK],
    /// Bytes in use, from the start.
    used: usize,
    /// Bytes that were ever in use, from the start: all of them are initialized.
    written: usize,
}

impl KeystreamBuffer {
    /// Returns an empty buffer.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            bytes: [const { MaybeUninit::uninit() }; CAPACITY + SLACK],
            used: 0,
            written: 0,
        }
    }

    /// Empties the buffer for the next records.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Returns all bytes that were ever in use.
    #[inline(always)]
    fn written_bytes(&mut self) -> &mut [u8] {
        let bytes = &mut self.bytes[..self.written];
        // SAFETY: each call of `append` was followed by `store_vector` for all of its bytes.
        unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [u8]) }
    }

    /// Returns `true` if there is room for [`KeystreamBuffer::push_lane_counters`] with `count`.
    #[inline(always)]
    pub(super) fn fits_lanes<S: Simd>(&self, count: usize) -> bool {
        self.used + (count + 1) * width::<S>() <= CAPACITY
    }

    /// Returns `true` if there is room for [`KeystreamBuffer::push_counters`] with `count`.
    #[inline(always)]
    pub(super) fn fits<S: Simd>(&self, count: usize) -> bool {
        self.used + (count / S::BLOCKS + 1) * width::<S>() <= CAPACITY
    }

    /// Appends `count` blocks with counters from `counter` on, and the block with counter 1, which
    /// masks the tag. Returns the offset at which they start.
    #[inline(always)]
    pub(super) fn push_counters<S: Simd>(
        &mut self,
        s: S,
        nonce: u128,
        counter: u32,
        count: usize,
    ) -> usize {
        let start = self.used;
        let step = s.splat(S::BLOCKS as u128);
        let numbers = s.load_unaligned(&BLOCK_NUMBERS);
        let mut counters = s.add_u32(s.splat(nonce | u128::from(counter)), numbers);
        let rest = count % S::BLOCKS;
        let (whole, last) = self
            .append(16 * (count - rest) + width::<S>())
            .split_at_mut(16 * (count - rest));
        for place in whole.chunks_exact_mut(width::<S>()) {
            store_vector(s, place, s.reverse_bytes(counters));
            counters = s.add_u32(counters, step);
        }
        // The last vector: added to counter 1, the masked numbers make the counters of the `rest`
        // blocks, and leave 1 in the block after them.
        let behind_one = u128::from(counter - 1) + (count - rest) as u128;
        let more = s.and(
            s.add_u32(s.splat(behind_one), numbers),
            s.load_unaligned(&BLOCK_MASKS[64 - 16 * rest..]),
        );
        store_vector(
            s,
            last,
            s.reverse_bytes(s.add_u32(s.splat(nonce | 1), more)),
        );
        start
    }

    /// Appends `count` + 1 blocks for each lane, with counters from 1 on; the first masks the tag.
    /// `nonces` has the counter block of each lane, with a counter of 0. Returns the offset at
    /// which they start.
    #[inline(always)]
    pub(super) fn push_lane_counters<S: Simd>(
        &mut self,
        s: S,
        nonces: S::V,
        count: usize,
    ) -> usize {
        let (start, one) = (self.used, s.splat(1));
        let mut counters = nonces;
        let places = self.append((count + 1) * width::<S>());
        for place in places.chunks_exact_mut(width::<S>()) {
            counters = s.add_u32(counters, one);
            store_vector(s, place, s.reverse_bytes(counters));
        }
        start
    }

    /// Returns the next `len` bytes. The caller has to initialize all of them at once.
    #[inline(always)]
    fn append(&mut self, len: usize) -> &mut [MaybeUninit<u8>] {
        let start = self.used;
        self.used += len;
        self.written = self.written.max(self.used);
        &mut self.bytes[start..self.used]
    }

    /// Encrypts the counter blocks in place.
    #[inline(always)]
    pub(super) fn encrypt<S: Simd, const ROUNDS: usize>(&mut self, s: S, key: &ExpandedKey) {
        let (wide, half) = (8 * width::<S>(), 4 * width::<S>());
        while !self.used.is_multiple_of(half) {
            let zero = s.splat(0);
            store_vector(s, self.append(width::<S>()), zero);
        }
        let used = self.used;
        let bytes = &mut self.written_bytes()[..used];
        let (whole, rest) = bytes.split_at_mut(bytes.len() - bytes.len() % wide);
        for bytes in whole.chunks_exact_mut(wide) {
            encrypt_vectors::<S, 8, ROUNDS>(s, key, bytes);
        }
        if !rest.is_empty() {
            encrypt_vectors::<S, 4, ROUNDS>(s, key, rest);
        }
    }

    /// Returns the keystream from the offset `at` on.
    #[inline(always)]
    pub(super) fn starting_at(&self, at: usize) -> &[u8] {
        let bytes = &self.bytes[at..self.written];
        // SAFETY: each call of `append` was followed by `store_vector` for all of its bytes.
        unsafe { &*(std::ptr::from_ref(bytes) as *const [u8]) }
    }
}

impl Drop for KeystreamBuffer {
    #[inline(always)]
    fn drop(&mut self) {
        self.written_bytes().zeroize();
    }
}

/// Stores a vector at the start of `place`, which thereby is initialized.
#[inline(always)]
fn store_vector<S: Simd>(s: S, place: &mut [MaybeUninit<u8>], v: S::V) {
    let place = &mut place[..width::<S>()];
    place.fill(MaybeUninit::new(0));
    // SAFETY: all of it was just filled. (The compiler removes that, since the vector overwrites
    // it.)
    let place = unsafe { &mut *(std::ptr::from_mut(place) as *mut [u8]) };
    s.store_unaligned(v, place);
}

/// Encrypts `N` vectors in place.
#[inline(always)]
fn encrypt_vectors<S: Simd, const N: usize, const ROUNDS: usize>(
    s: S,
    key: &ExpandedKey,
    bytes: &mut [u8],
) {
    let bytes = &mut bytes[..N * width::<S>()];
    let key = opaque(key);
    let mut blocks = [s.splat(0); N];
    for i in 0..N {
        blocks[i] = s.load_unaligned(&bytes[i * width::<S>()..]);
    }
    aes::encrypt::<S, N, ROUNDS>(s, key, &mut blocks);
    for i in 0..N {
        s.store_unaligned(blocks[i], &mut bytes[i * width::<S>()..]);
    }
}

/// Masks of the first n blocks of a vector: that mask starts at byte 64 - 16 n.
const BLOCK_MASKS: [u8; 128] = {
    let mut lanes = [0; 128];
    let mut i = 0;
    while i < 64 {
        lanes[i] = 0xff;
        i += 1;
    }
    lanes
};
