//! Parts of blocks at every length.

use crate::vaes::bytes::{keep, load_end, store_short};

#[test]
fn the_end_of_some_bytes_is_a_block_with_zeros_behind() {
    let bytes: [u8; 40] = std::array::from_fn(|i| i as u8 + 1);
    for end in 0..=bytes.len() {
        for at in end.saturating_sub(16)..=end {
            let mut want = [0; 16];
            want[..end - at].copy_from_slice(&bytes[at..end]);
            let got = load_end(&bytes[..end], at);
            assert_eq!(got, u128::from_le_bytes(want), "{at} to {end}");
        }
    }
}

#[test]
fn the_start_of_a_block_is_stored_and_kept() {
    let bytes: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
    let block = u128::from_le_bytes(bytes);
    for len in 0..=16 {
        let mut to = [0xa5; 16];
        store_short(block, &mut to[..len]);
        assert_eq!(to[..len], bytes[..len]);
        assert_eq!(to[len..], [0xa5; 16][len..]);
        let mut kept = bytes;
        kept[len..].fill(0);
        if len > 0 {
            assert_eq!(keep(block, len), u128::from_le_bytes(kept));
        }
    }
}
