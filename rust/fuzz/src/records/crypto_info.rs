//! Parses the kernel's structs.

use ktls_core::suite::CIPHERS;
use ktls_core::wire::{TLS12, TLS13};
use ktls_core::{CryptoInfo, Error};

/// A length in bytes that exceeds that of any struct.
const ENOUGH: usize = 64;

/// Parses the input, alone and behind a valid head, truncated to every length that a struct can
/// have.
pub(super) fn check(input: &[u8]) {
    check_cut(input);
    if let Some((choice, rest)) = input.split_first() {
        let choice = usize::from(*choice);
        let version = [TLS12, TLS13][choice % 2];
        let cipher = &CIPHERS[choice / 2 % CIPHERS.len()];
        let head = [version.to_ne_bytes(), cipher.cipher_type.to_ne_bytes()];
        check_cut(&[head.as_flattened(), rest].concat());
    }
}

fn check_cut(data: &[u8]) {
    for end in 0..=data.len().min(ENOUGH) {
        check_one(&data[..end]);
    }
}

/// Checks that an accepted struct is written back unchanged, and that a refusal has one of four
/// errors.
fn check_one(data: &[u8]) {
    match CryptoInfo::from_bytes(data) {
        Ok(info) => assert_eq!(&**info.to_bytes(), data, "{info:?}"),
        Err(
            Error::UnknownVersion { .. }
            | Error::UnknownCipher { .. }
            | Error::CipherNotIn13 { .. }
            | Error::BadLength { .. },
        ) => {}
        Err(error) => panic!("refused with the unexpected error {error:?}"),
    }
}
