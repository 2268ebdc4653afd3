//! HKDF-Expand with every hash.

use ktls_aead::PROVIDER;
use ktls_core::Error;
use ktls_core::aead::Provider;
use ktls_core::suite::Hash;

use crate::job::counted;

const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sm3];
/// PRK and info of RFC 5869 §A.1.
const PRK: [u8; 32] = [
    0x07, 0x77, 0x09, 0x36, 0x2c, 0x2e, 0x32, 0xdf, 0x0d, 0xdc, 0x3f, 0x0d, 0xc4, 0x7b, 0xba, 0x63,
    0x90, 0xb6, 0xc7, 0x3b, 0xb5, 0x0f, 0x9c, 0x31, 0x22, 0xec, 0x84, 0x4a, 0xd7, 0xc2, 0xb3, 0xe5,
];
const INFO: [u8; 10] = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9];

fn expand(hash: Hash, secret: &[u8], len: usize) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; len];
    PROVIDER.expand(hash, secret, &INFO, &mut out)?;
    Ok(out)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sha256_matches_rfc_5869() {
    assert_eq!(
        hex(&expand(Hash::Sha256, &PRK, 42).unwrap()),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
}

#[test]
fn sm3_and_sha384_match_openssl() {
    assert_eq!(
        hex(&expand(Hash::Sm3, &PRK, 42).unwrap()),
        "d278de218f1d74a25ddc0d839acd843a7d9f7d5d8b16583172f2a9d78fe19e19fea9b6996aa5912c4a50"
    );
    assert_eq!(
        hex(&expand(Hash::Sha384, &[0x0b; 48], 42).unwrap()),
        "2f9ed37081f23b43644e66ee10a65e93cc7e060c77bc3eada967bf474efa89e656d8118d8e5786a9bdd1"
    );
}

#[test]
fn a_shorter_output_is_the_start_of_a_longer_one() {
    for hash in HASHES {
        let longest = 255 * hash.output_len();
        let all = expand(hash, &[3; 48], longest).unwrap();
        for len in (0..=100).chain([longest - 1]) {
            assert_eq!(
                expand(hash, &[3; 48], len).unwrap(),
                all[..len],
                "{hash:?} {len}"
            );
        }
    }
}

#[test]
fn more_than_255_blocks_are_refused() {
    for hash in HASHES {
        let want = 255 * hash.output_len();
        let refused = Error::BadLength {
            what: "HKDF output",
            len: want + 1,
            want,
        };
        assert_eq!(expand(hash, &[3; 48], want + 1), Err(refused), "{hash:?}");
    }
}

#[test]
fn a_secret_shorter_than_the_hash_is_refused() {
    for hash in HASHES {
        let want = hash.output_len();
        for len in 0..want {
            let refused = Error::BadLength {
                what: "secret",
                len,
                want,
            };
            assert_eq!(expand(hash, &counted(len), 16), Err(refused), "{hash:?}");
        }
    }
}
