//! Keystream of the ends of a few records, made together so that their AES runs interleaved.

use std::mem::MaybeUninit;

use zeroize::Zeroize;

use super::aes;
use super::barrier::opaque;
use super::expanded_key::ExpandedKey;
use super::simd::{Simd, width};
use super::stitched::BLOCK_NUMBERS;

/// Most records that are worked on together.
pub(super) const MAX_TOGETHER: usize = 8;
/// Bytes of keystream: the end of one record in each lane, with the blocks that hide the tags.
const CAPACITY: usize = 2304;
/// The last step may go over it.
const SLACK: usize = 3 * 64;

/// Counter blocks, then the keystream in their place.
pub(super) struct KeystreamBuffer {
    bytes: [MaybeUninit<u8>; CAPACITY + SLACK],
    /// Bytes in use.
    used: usize,
    /// Bytes that were ever written: all before are initialized.
    written: usize,
}

impl KeystreamBuffer {
    /// An empty room.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            bytes: [const { MaybeUninit::uninit() }; CAPACITY + SLACK],
            used: 0,
            written: 0,
        }
    }

    /// Forgets the records before.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// All that was written.
    #[inline(always)]
    fn written_bytes(&mut self) -> &mut [u8] {
        let bytes = &mut self.bytes[..self.written];
        // SAFETY: `store_vector` was called for all before `written`.
        unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [u8]) }
    }

    /// True if [`KeystreamBuffer::push_lane_counters`] may be called with `count`.
    #[inline(always)]
    pub(super) fn fits_lanes<S: Simd>(&self, count: usize) -> bool {
        self.used + (count + 1) * width::<S>() <= CAPACITY
    }

    /// True if [`KeystreamBuffer::push_counters`] may be called with `count`.
    #[inline(always)]
    pub(super) fn fits<S: Simd>(&self, count: usize) -> bool {
        self.used + (count / S::BLOCKS + 1) * width::<S>() <= CAPACITY
    }

    /// Adds `count` blocks with counters from `counter` on, and behind them the block that hides the
    /// tag, counter 1; gives where they start.
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

    /// Adds `count` blocks for each lane, behind the one that hides its tag, with counters from 1 on;
    /// gives where they start.
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

    /// The next `len` bytes, which the caller fills at once.
    #[inline(always)]
    fn append(&mut self, len: usize) -> &mut [MaybeUninit<u8>] {
        let start = self.used;
        self.used += len;
        self.written = self.written.max(self.used);
        &mut self.bytes[start..self.used]
    }

    /// Turns the counter blocks into keystream.
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

    /// The keystream from `at` on.
    #[inline(always)]
    pub(super) fn starting_at(&self, at: usize) -> &[u8] {
        let bytes = &self.bytes[at..self.written];
        // SAFETY: `store_vector` was called for all before `written`.
        unsafe { &*(std::ptr::from_ref(bytes) as *const [u8]) }
    }
}

impl Drop for KeystreamBuffer {
    #[inline(always)]
    fn drop(&mut self) {
        self.written_bytes().zeroize();
    }
}

/// Fills a place as long as a vector.
#[inline(always)]
fn store_vector<S: Simd>(s: S, place: &mut [MaybeUninit<u8>], v: S::V) {
    let place = &mut place[..width::<S>()];
    place.fill(MaybeUninit::new(0));
    // SAFETY: just filled. (The compiler drops that, for the vector comes over it.)
    let place = unsafe { &mut *(std::ptr::from_mut(place) as *mut [u8]) };
    s.store_unaligned(v, place);
}

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

/// From its middle on zeros, before it ones: which blocks of a vector are kept.
const BLOCK_MASKS: [u8; 128] = {
    let mut lanes = [0; 128];
    let mut i = 0;
    while i < 64 {
        lanes[i] = 0xff;
        i += 1;
    }
    lanes
};
