//! What every algorithm must do, whatever implements it.

use ktls_aead::PROVIDER;
use ktls_core::Error;
use ktls_core::aead::{Aad, Provider};
use ktls_core::suite::CIPHERS;
use ktls_core::wire::{MAX_PLAINTEXT, TAG_LEN};

use crate::job::{Context, STALE, cipher, counted};

#[test]
fn every_length_round_trips() {
    let long = [255, 256, 257, 1023, 1024, 1025, 4096, 16_383, MAX_PLAINTEXT];
    for cipher in &CIPHERS {
        let context = Context::counted(cipher);
        for len in (0..=130).chain(long) {
            let plaintext = counted(len);
            let opened = context.open(&context.seal(&plaintext, None));
            assert_eq!(opened, Ok(plaintext), "{} {len}", cipher.name);
        }
    }
}

#[test]
fn the_content_type_is_the_last_byte_of_the_plaintext() {
    for cipher in &CIPHERS {
        let context = Context::counted(cipher);
        for len in (0..=130).chain([MAX_PLAINTEXT]) {
            let mut plaintext = counted(len);
            let with_type = context.seal(&plaintext, Some(22));
            plaintext.push(22);
            assert_eq!(
                with_type,
                context.seal(&plaintext, None),
                "{} {len}",
                cipher.name
            );
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_and_leaves_no_plaintext() {
    for cipher in &CIPHERS {
        for len in [0, 1, 15, 16, 17, 33] {
            let context = Context::counted(cipher);
            let sealed = context.seal(&counted(len), None);
            for bit in 0..sealed.len() * 8 {
                let opened = context.open(&flipped(&sealed, bit));
                assert_eq!(
                    opened,
                    Err(Error::BadTag),
                    "{} bit {bit} of {len}",
                    cipher.name
                );
            }
        }
    }
}

#[test]
fn another_nonce_is_refused() {
    for cipher in &CIPHERS {
        let mut context = Context::counted(cipher);
        let sealed = context.seal(&counted(40), None);
        let right = context.nonce;
        for bit in 0..right.len() * 8 {
            context.nonce = flipped(&right, bit).try_into().unwrap();
            assert_eq!(
                context.open(&sealed),
                Err(Error::BadTag),
                "{} bit {bit}",
                cipher.name
            );
        }
    }
}

#[test]
fn other_additional_data_is_refused() {
    for cipher in &CIPHERS {
        let mut context = Context::counted(cipher);
        let sealed = context.seal(&counted(40), None);
        let right = context.aad.clone();
        for bit in 0..right.len() * 8 {
            context.aad = flipped(&right, bit);
            assert_eq!(
                context.open(&sealed),
                Err(Error::BadTag),
                "{} bit {bit}",
                cipher.name
            );
        }
        context.aad = right[..right.len() - 1].to_vec();
        assert_eq!(context.open(&sealed), Err(Error::BadTag), "{}", cipher.name);
    }
}

#[test]
fn a_large_forgery_leaves_no_plaintext() {
    for cipher in &CIPHERS {
        let context = Context::counted(cipher);
        let sealed = context.seal(&counted(MAX_PLAINTEXT), None);
        for bit in [0, 8 * MAX_PLAINTEXT - 1, 8 * sealed.len() - 1] {
            let opened = context.open(&flipped(&sealed, bit));
            assert_eq!(opened, Err(Error::BadTag), "{} bit {bit}", cipher.name);
        }
    }
}

#[test]
fn the_result_depends_neither_on_alignment_nor_on_old_bytes() {
    let plaintext = counted(100);
    for cipher in &CIPHERS {
        let context = Context::counted(cipher);
        let sealed = context.seal(&plaintext, None);
        for shift in 0..=17 {
            let from = [vec![STALE; shift], plaintext.clone()].concat();
            let mut wire = vec![shift as u8; 17 - shift + sealed.len() + 5];
            let range = 17 - shift..17 - shift + sealed.len();
            context.seal_into(&from[shift..], None, &mut wire[range.clone()]);
            assert_eq!(wire[range.clone()], sealed, "{} {shift}", cipher.name);

            let mut out = vec![STALE; shift + plaintext.len() + 5];
            let place = shift..shift + plaintext.len();
            context
                .open_into(&wire[range], &mut out[place.clone()])
                .unwrap();
            assert_eq!(out[place.clone()], plaintext, "{} {shift}", cipher.name);
            assert_eq!(out[..place.start], vec![STALE; shift]);
            assert_eq!(out[place.end..], [STALE; 5]);
        }
    }
}

#[test]
fn threads_share_a_key() {
    for cipher in &CIPHERS {
        let context = Context::counted(cipher);
        let sealed = context.seal(&counted(500), None);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert_eq!(context.seal(&counted(500), None), sealed, "{}", cipher.name);
                        assert_eq!(context.open(&sealed), Ok(counted(500)), "{}", cipher.name);
                    }
                });
            }
        });
    }
}

#[test]
fn a_key_of_another_length_is_refused() {
    for cipher in &CIPHERS {
        for len in (0..=64).filter(|&len| len != cipher.key_len) {
            let refused = PROVIDER.record_key(cipher.algorithm, &counted(len)).err();
            let want = Error::BadLength {
                what: "key",
                len,
                want: cipher.key_len,
            };
            assert_eq!(refused, Some(want), "{}", cipher.name);
        }
    }
}

#[test]
fn different_ciphers_seal_differently() {
    for (i, one) in CIPHERS.iter().enumerate() {
        for other in &CIPHERS[i + 1..] {
            let sealed = |cipher| Context::counted(cipher).seal(&counted(64), None);
            assert_ne!(sealed(one), sealed(other), "{} {}", one.name, other.name);
        }
    }
}

#[test]
fn additional_data_has_a_limit() {
    assert_eq!(
        Aad::try_from(&*counted(23)).unwrap().bytes().as_ref(),
        counted(23)
    );
    let want = Error::BadLength {
        what: "additional data",
        len: 24,
        want: 23,
    };
    assert_eq!(Aad::try_from(&*counted(24)).unwrap_err(), want);
}

#[test]
#[should_panic(expected = "out is as long as the ciphertext")]
fn a_job_with_contradictory_lengths_panics() {
    let context = Context::counted(cipher("SM4_CCM"));
    let sealed = context.seal(&counted(20), None);
    let _ = context.open_into(&sealed, &mut [0; 20 + TAG_LEN]);
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
