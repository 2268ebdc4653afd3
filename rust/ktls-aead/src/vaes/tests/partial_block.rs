//! Partial blocks of every length.

use super::model::Model;
use crate::vaes::partial_block::{PLACE_INDICES, keep_first, load_last, store_partial};
use crate::vaes::simd::Simd;

const S: Model<2> = Model;

fn counting<const N: usize>() -> [u8; N] {
    std::array::from_fn(|i| i as u8 + 1)
}

/// Returns the first block of a vector, of which the second must be zero.
fn only_block(v: [u128; 2]) -> [u8; 16] {
    assert_eq!(v[1], 0);
    v[0].to_le_bytes()
}

#[test]
fn the_last_bytes_become_a_block_that_ends_with_zeros() {
    let bytes: [u8; 40] = counting();
    for end in 0..=bytes.len() {
        for len in 0..=end.min(16) {
            // Data shorter than 16 bytes is taken as a whole.
            if end >= 16 || len == end {
                let mut want = [0; 16];
                want[..len].copy_from_slice(&bytes[end - len..end]);
                let got = only_block(load_last(S, &bytes[..end], len));
                assert_eq!(got, want, "{len} up to {end}");
            }
        }
    }
}

#[test]
fn the_start_of_a_block_is_kept() {
    let block = S.set_low(u128::from_le_bytes(counting()));
    for len in 0..=16 {
        let mut want: [u8; 16] = counting();
        want[len..].fill(0);
        assert_eq!(only_block(keep_first(S, block, len)), want);
    }
}

#[test]
fn the_start_of_a_block_is_stored_and_nothing_after_it() {
    let bytes: [u8; 16] = counting();
    for len in 0..=16 {
        let mut to = [0xa5; 16];
        store_partial(&bytes[..len], &mut to[..len]);
        assert_eq!(to[..len], bytes[..len]);
        assert_eq!(to[len..], [0xa5; 16][len..]);
    }
}

#[test]
fn one_byte_is_moved_to_its_place() {
    for at in 0..16 {
        let mut want = [0; 16];
        want[at] = 23;
        let indices = S.load_one(&PLACE_INDICES[16 - at..]);
        assert_eq!(only_block(S.shuffle_bytes(S.set_low(23), indices)), want);
    }
}
