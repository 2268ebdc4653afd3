//! Parts of a block as numbers, by a few moves whose number depends on the length alone.

/// The bytes of `data` from `at` on, at most 16, as a block with zeros behind.
#[inline(always)]
pub(super) fn load_end(data: &[u8], at: usize) -> u128 {
    let len = data.len() - at;
    match data.last_chunk::<16>() {
        _ if len == 0 => 0,
        Some(last) => u128::from_le_bytes(*last) >> (8 * (16 - len)),
        None => load_short(&data[at..]),
    }
}

/// Fewer than 16 bytes.
#[inline(always)]
pub(super) fn load_short(data: &[u8]) -> u128 {
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

/// The start of a block, at most 16 bytes.
#[inline(always)]
pub(super) fn store_short(block: u128, to: &mut [u8]) {
    let len = to.len();
    if let Some(all) = to.first_chunk_mut() {
        *all = block.to_le_bytes();
    } else if len >= 8 {
        to[..8].copy_from_slice(&(block as u64).to_le_bytes());
        let high = (block >> (8 * (len - 8))) as u64;
        to[len - 8..].copy_from_slice(&high.to_le_bytes());
    } else if len >= 4 {
        to[..4].copy_from_slice(&(block as u32).to_le_bytes());
        let high = (block >> (8 * (len - 4))) as u32;
        to[len - 4..].copy_from_slice(&high.to_le_bytes());
    } else {
        for (i, byte) in to.iter_mut().enumerate() {
            *byte = (block >> (8 * i)) as u8;
        }
    }
}

/// The first `len` bytes of a block, 1 to 16, zeros behind.
#[inline(always)]
pub(super) fn keep(block: u128, len: usize) -> u128 {
    block & (u128::MAX >> (8 * (16 - len)))
}
