//! Blocks that the end of a record cuts short, by a few moves that depend on its length alone.

use super::simd::Simd;

/// The last `len` bytes of `data`, fewer than 17, with zeros behind.
#[inline(always)]
pub(super) fn load_last<S: Simd>(s: S, data: &[u8], len: usize) -> S::V {
    match data.last_chunk::<16>() {
        Some(last) => s.shuffle_bytes(s.load_one(last), s.load_one(&SHIFT_INDICES[16 - len..])),
        None => s.set_low(load_partial(data)),
    }
}

/// The first `len` bytes of a block, zeros behind.
#[inline(always)]
pub(super) fn keep_first<S: Simd>(s: S, block: S::V, len: usize) -> S::V {
    s.and(block, s.load_one(&KEEP_MASKS[16 - len..]))
}

/// Fewer than 16 bytes.
#[inline(always)]
pub(super) fn load_partial(data: &[u8]) -> u128 {
    let len = data.len();
    if let (Some(low), Some(high)) = (data.first_chunk(), data.last_chunk()) {
        let high = u128::from(u64::from_le_bytes(*high));
        return u128::from(u64::from_le_bytes(*low)) | high << (8 * (len - 8));
    }
    if let (Some(low), Some(high)) = (data.first_chunk(), data.last_chunk()) {
        let high = u128::from(u32::from_le_bytes(*high));
        return u128::from(u32::from_le_bytes(*low)) | high << (8 * (len - 4));
    }
    let mut block = 0;
    for (i, &byte) in data.iter().enumerate() {
        block |= u128::from(byte) << (8 * i);
    }
    block
}

/// Copies fewer than 17 bytes.
#[inline(always)]
pub(super) fn store_partial(from: &[u8], to: &mut [u8]) {
    let len = from.len();
    let (from, to) = (&from[..len], &mut to[..len]);
    if len >= 8 {
        to[..8].copy_from_slice(&from[..8]);
        to[len - 8..].copy_from_slice(&from[len - 8..]);
    } else if len >= 4 {
        to[..4].copy_from_slice(&from[..4]);
        to[len - 4..].copy_from_slice(&from[len - 4..]);
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// From 16 - n on an order that moves the last n bytes of a block to its front, zeros behind.
pub(super) const SHIFT_INDICES: [u8; 32] = {
    let mut order = [0x80; 32];
    let mut i = 0;
    while i < 16 {
        order[i] = i as u8;
        i += 1;
    }
    order
};

/// From 16 - n on an order that moves the first byte to place n, and zeros everywhere else.
pub(super) const PLACE_INDICES: [u8; 32] = {
    let mut order = [0x80; 32];
    order[16] = 0;
    order
};

/// From 16 - n on a mask of n bytes.
pub(super) const KEEP_MASKS: [u8; 32] = {
    let mut mask = [0; 32];
    let mut i = 0;
    while i < 16 {
        mask[i] = 0xff;
        i += 1;
    }
    mask
};
