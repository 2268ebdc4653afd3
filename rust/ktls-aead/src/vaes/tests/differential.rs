//! The engines against other implementations, record by record and bit by bit.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM};
use ktls_core::Error;
use ktls_core::aead::RecordKey;
use ktls_core::wire::TAG_LEN;

use super::random::Random;
use super::run::{Record, check, engines, fast, open, open_one, seal};
use super::standard::{self, Aes};
use crate::aws_lc;

const KEY_LENS: [usize; 2] = [16, 32];

fn by_aws_lc(key: &[u8]) -> Box<dyn RecordKey> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        _ => &AES_256_GCM,
    };
    aws_lc::record_key(algorithm, key).unwrap()
}

/// Returns every length in a release build; in a debug build, which is slow, fewer of the longer
/// ones.
fn lengths() -> impl Iterator<Item = usize> {
    let step = if cfg!(debug_assertions) { 61 } else { 1 };
    (0..=1100)
        .chain((1101..=16_640).step_by(step))
        .chain([16_383, 16_384, 16_385])
}

#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn every_length_is_sealed_and_opened_as_by_aws_lc() {
    let mut random = Random(1);
    for key_len in KEY_LENS {
        let key = random.bytes(key_len);
        let theirs = by_aws_lc(&key);
        for (name, ours) in fast(&key) {
            for len in lengths() {
                for aad_len in [5, 13] {
                    let mut record = Record::random(&mut random, len);
                    record.aad = random.bytes(aad_len);
                    let records = [record];
                    check(&*ours, &records, &seal(&*theirs, &records), name);
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn every_alignment_and_content_type_is_sealed_and_opened_as_by_aws_lc() {
    let mut random = Random(2);
    let key = random.bytes(16);
    let theirs = by_aws_lc(&key);
    for (name, ours) in fast(&key) {
        for len in [1, 15, 16, 17, 31, 33, 64, 255, 513, 1025] {
            let mut record = Record::random(&mut random, len);
            for shift in 0..=64 {
                for inner_type in [None, Some(0), Some(22), Some(255)] {
                    (record.shift, record.inner_type) = (shift, inner_type);
                    let records = std::slice::from_ref(&record);
                    check(&*ours, records, &seal(&*theirs, records), name);
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn batches_of_mixed_lengths_are_sealed_and_opened_as_by_aws_lc() {
    let mut random = Random(3);
    let rounds = if cfg!(debug_assertions) { 100 } else { 2000 };
    for _ in 0..rounds {
        let key_len = KEY_LENS[random.below(2)];
        let key = random.bytes(key_len);
        let theirs = by_aws_lc(&key);
        let most = [40, 300, 1200, 17_000][random.below(4)];
        let records: Vec<_> = (0..random.below(40))
            .map(|_| {
                let len = random.below(most);
                Record::random(&mut random, len)
            })
            .collect();
        let want = seal(&*theirs, &records);
        for (name, ours) in fast(&key) {
            check(&*ours, &records, &want, name);
        }
    }
}

/// All lengths that go through the lanes, and some longer ones. 19 records are no multiple of the
/// lanes.
#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn records_of_one_length_share_their_ghash_frame_and_nothing_else() {
    let mut random = Random(4);
    let key = random.bytes(32);
    let theirs = by_aws_lc(&key);
    for (name, ours) in fast(&key) {
        for len in (0..530).chain([1400, 4096]) {
            for inner_type in [Some(23), None] {
                let records = alike(&mut random, 19, len, inner_type);
                check(&*ours, &records, &seal(&*theirs, &records), name);
            }
        }
    }
}

/// The lanes of every engine; this test runs under Miri too.
#[test]
fn alike_records_are_sealed_according_to_the_standard() {
    let mut random = Random(9);
    let (lens, count): (&[usize], _) = if cfg!(miri) {
        (&[0, 20, 65], 5)
    } else {
        (&[0, 1, 15, 16, 17, 31, 32, 64, 65, 255, 256, 496, 511], 11)
    };
    for key_len in KEY_LENS {
        let key = random.bytes(key_len);
        let aes = Aes::new(&key);
        for (&len, inner_type) in lens.iter().zip([Some(22), None].into_iter().cycle()) {
            let records = alike(&mut random, count, len, inner_type);
            let sealed = records
                .iter()
                .map(|record| standard::seal(&aes, record.nonce, &record.aad, &record.inner()));
            let want: Vec<_> = sealed.collect();
            for (name, ours) in engines(&key) {
                check(&*ours, &records, &want, name);
            }
        }
    }
}

/// Records that differ in one property must not go through the lanes together.
#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn records_that_differ_in_one_property_are_sealed_separately() {
    let mut random = Random(10);
    let key = random.bytes(16);
    let theirs = by_aws_lc(&key);
    let changes: [fn(&mut Record); 6] = [
        |record| record.inner_type = None,
        |record| record.inner_type = Some(21),
        |record| record.aad = vec![9; 5],
        |record| record.aad.push(0),
        |record| record.aad = vec![9; 13],
        |record| record.plaintext.push(0),
    ];
    for (name, ours) in fast(&key) {
        for (change, other) in changes
            .iter()
            .flat_map(|change| [(change, 0), (change, 1), (change, 6)])
        {
            let mut records = alike(&mut random, 9, 70, Some(23));
            change(&mut records[other]);
            check(&*ours, &records, &seal(&*theirs, &records), name);
        }
    }
}

/// The block counter carries into its second byte, or its third, around the last block.
#[test]
#[cfg_attr(miri, ignore = "calls aws-lc")]
fn the_block_counter_carries() {
    let mut random = Random(5);
    let key = random.bytes(16);
    let theirs = by_aws_lc(&key);
    for (name, ours) in fast(&key) {
        let carries = [256, 512, 768, 1024, 4096, 65_536].into_iter();
        for blocks in carries.flat_map(|carry| carry - 20..carry + 4) {
            for len in [16 * blocks - 1, 16 * blocks, 16 * blocks + 1] {
                let records = [Record::random(&mut random, len)];
                check(&*ours, &records, &seal(&*theirs, &records), name);
            }
        }
    }
}

/// The models of both widths and the vector units; the latter run under Miri too.
#[test]
fn every_engine_seals_according_to_the_standard() {
    let mut random = Random(6);
    let lens: &[usize] = if cfg!(miri) {
        &[0, 1, 31, 65, 300, 1030]
    } else {
        &[
            0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 130, 256, 300, 511, 512, 530, 769, 1030,
        ]
    };
    for key_len in KEY_LENS {
        let key = random.bytes(key_len);
        let aes = Aes::new(&key);
        let mut records: Vec<_> = lens
            .iter()
            .map(|&len| Record::random(&mut random, len))
            .collect();
        for (i, record) in records.iter_mut().enumerate() {
            record.aad = random.bytes([0, 5, 13, 16, 17, 23][i % 6]);
        }
        let sealed = records
            .iter()
            .map(|record| standard::seal(&aes, record.nonce, &record.aad, &record.inner()));
        let want: Vec<_> = sealed.collect();
        // Under Miri the CPU has the features that the compiler was given: both vector units must
        // run.
        let engines = engines(&key);
        assert!(!cfg!(miri) || engines.len() == 2);
        for (name, ours) in engines {
            check(&*ours, &records, &want, name);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_short_record_is_refused() {
    let mut random = Random(7);
    let lens: &[usize] = if cfg!(miri) {
        &[3]
    } else {
        &[0, 1, 16, 33, 70]
    };
    for key_len in KEY_LENS {
        let key = random.bytes(key_len);
        for (name, ours) in engines(&key) {
            for &len in lens {
                let record = Record::random(&mut random, len);
                let sealed = seal(&*ours, std::slice::from_ref(&record)).remove(0);
                assert_eq!(
                    open_one(&*ours, &record, &sealed),
                    Ok(record.inner()),
                    "{name}"
                );
                for bit in (0..8 * sealed.len()).step_by(if cfg!(miri) { 29 } else { 1 }) {
                    let forged = flipped(&sealed, bit);
                    let opened = open_one(&*ours, &record, &forged);
                    assert_eq!(opened, Err(Error::BadTag), "{name} bit {bit} of {len}");
                }
            }
        }
    }
}

#[test]
fn a_bad_record_ends_a_batch_and_no_plaintext_is_left_from_it_on() {
    let mut random = Random(8);
    let key = random.bytes(16);
    let (count, most) = if cfg!(miri) { (4, 40) } else { (21, 700) };
    let lens: Vec<_> = (0..count).map(|_| random.below(most)).collect();
    let mixed = lens.iter().map(|&len| Record::random(&mut random, len));
    let mixed: Vec<_> = mixed.collect();
    let same = alike(&mut random, count, 37, Some(23));
    for ((name, ours), records) in engines(&key)
        .iter()
        .flat_map(|engine| [(engine, &mixed), (engine, &same)])
    {
        let good = seal(&**ours, records);
        for bad in 0..records.len() {
            let mut sealed = good.clone();
            let bit = 8 * (sealed[bad].len() - TAG_LEN) + random.below(128);
            sealed[bad] = flipped(&sealed[bad], bit);
            let (opened, inner) = open(&**ours, records, &sealed);
            assert_eq!(opened, bad, "{name}");
            for (i, inner) in inner.iter().enumerate() {
                let want = records[i].inner();
                let want = if i < bad { want } else { vec![0; want.len()] };
                assert_eq!(*inner, want, "{name}: record {i}, {bad} is bad");
            }
        }
    }
}

/// Returns records that differ in nonce and plaintext only.
fn alike(random: &mut Random, count: usize, len: usize, inner_type: Option<u8>) -> Vec<Record> {
    let mut records: Vec<_> = (0..count).map(|_| Record::random(random, len)).collect();
    let aad = records[0].aad.clone();
    for record in &mut records {
        (record.aad, record.inner_type) = (aad.clone(), inner_type);
    }
    records
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
