//! Partial blocks, at the end of a record. Branches and table offsets depend on lengths only.

use super::simd::Simd;

/// Returns the last `len` bytes of `data`, at most 16, followed by zeros.
///
/// `data` shorter than 16 bytes is taken as a whole.
#[inline(always)]
pub(super) fn load_last<S: Simd>(s: S, data: &[u8], len: usize) -> S::V {
    match data.last_chunk::<16>() {
        Some(last) => s.shuffle_bytes(s.load_one(last), s.load_one(&SHIFT_INDICES[16 - len..])),
        None => s.set_low(load_partial(data)),
    }
}

/// Returns the first `len` bytes of a block, at most 16, followed by zeros.
#[inline(always)]
pub(super) fn keep_first<S: Simd>(s: S, block: S::V, len: usize) -> S::V {
    s.and(block, s.load_one(&KEEP_MASKS[16 - len..]))
}

/// Returns `data`, fewer than 16 bytes, as a block that ends with zeros.
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

/// Copies `from`, at most 16 bytes, to the start of `to`.
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

/// Indices for [`Simd::shuffle_bytes`]: those from 16 - n on move the last n bytes of a block to
/// its front, followed by zeros.
pub(super) const SHIFT_INDICES: [u8; 32] = {
    let mut indices = [0x80; 32];
    let mut i = 0;
    while i < 16 {
        indices[i] = i as u8;
        i += 1;
    }
    indices
};

/// Indices for [`Simd::shuffle_bytes`]: those from 16 - n on move the first byte of a block to
/// place n, among zeros.
pub(super) const PLACE_INDICES: [u8; 32] = {
    let mut indices = [0x80; 32];
    indices[16] = 0;
    indices
};

/// Masks of the first n bytes of a block: that mask starts at byte 16 - n.
pub(super) const KEEP_MASKS: [u8; 32] = {
    let mut mask = [0; 32];
    let mut i = 0;
    while i < 16 {
        mask[i] = 0xff;
        i += 1;
    }
    mask
};
