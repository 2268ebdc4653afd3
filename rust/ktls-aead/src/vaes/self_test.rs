//! The self-test before the first use: does the engine seal and open as aws-lc does, on this CPU?

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM};
use ktls_core::aead::{Aad, InnerJob, Interleaved, OpenJob, RecordKey, SealJob};
use ktls_core::wire::{HEADER_LEN, TAG_LEN};

use super::DetectedEngine;
use crate::aws_lc;

/// Returns `true` if every record is sealed as by aws-lc, opens, and is refused if a bit is
/// flipped.
pub(super) fn passes(engine: &DetectedEngine) -> bool {
    let bytes: Vec<u8> = (0..LONGEST).map(|i| (i * 7 + i / 251) as u8).collect();
    let pairs = [
        (
            (engine.aes_128)(&bytes[..16]),
            aws_lc::record_key(&AES_128_GCM, &bytes[..16]),
        ),
        (
            (engine.aes_256)(&bytes[..32]),
            aws_lc::record_key(&AES_256_GCM, &bytes[..32]),
        ),
    ];
    pairs.into_iter().all(|pair| match pair {
        (Ok(ours), Ok(theirs)) => agree(&*ours, &*theirs, &bytes),
        _ => false,
    })
}

/// Returns `true` if `ours` seals and opens records of all lengths as `theirs` does.
fn agree(ours: &dyn RecordKey, theirs: &dyn RecordKey, bytes: &[u8]) -> bool {
    let Some(interleaved) = ours.interleaved() else {
        return false;
    };
    let plain = || LENGTHS.iter().map(|&len| &bytes[..len]);
    let mut outs: Vec<_> = plain()
        .map(|plain| vec![0; plain.len() + 1 + TAG_LEN])
        .collect();
    let mut jobs: Vec<_> = plain()
        .zip(&mut outs)
        .map(|(plain, out)| seal_job(plain, out))
        .collect();
    interleaved.seal_many(&mut jobs);
    let mut same = true;
    for (plain, sealed) in plain().zip(&outs) {
        let mut want = vec![0; sealed.len()];
        theirs.seal(seal_job(plain, &mut want));
        same &= *sealed == want && opens(interleaved, sealed, plain);
    }
    same && ALIKE
        .iter()
        .all(|&len| alike(interleaved, theirs, &bytes[..len]))
}

/// Returns `true` if `ours` seals records that are alike, which go through the lanes, as `theirs`
/// does, and opens them up to the first forged one.
fn alike(ours: &dyn Interleaved, theirs: &dyn RecordKey, plain: &[u8]) -> bool {
    let mut outs = vec![vec![0; plain.len() + 1 + TAG_LEN]; RECORDS];
    let numbered = outs.iter_mut().enumerate();
    let mut jobs: Vec<_> = numbered
        .map(|(number, out)| numbered_job(number, plain, out))
        .collect();
    ours.seal_many(&mut jobs);
    let mut same = true;
    for (number, sealed) in outs.iter().enumerate() {
        let mut want = vec![0; sealed.len()];
        theirs.seal(numbered_job(number, plain, &mut want));
        same &= *sealed == want;
    }
    let good = opened(ours, &outs, plain.len());
    outs[FORGED][plain.len()] ^= 1;
    let (count, left) = opened(ours, &outs, plain.len());
    let (before, behind) = left.split_at(FORGED);
    same && good == (RECORDS, vec![plain.to_vec(); RECORDS])
        && count == FORGED
        && before.iter().all(|out| out == plain)
        && behind.iter().flatten().all(|&byte| byte == 0)
}

/// Returns how many of the records open, and the output of each.
fn opened(key: &dyn Interleaved, sealed: &[Vec<u8>], len: usize) -> (usize, Vec<Vec<u8>>) {
    let mut outs = vec![vec![0xa5; len]; sealed.len()];
    let records = sealed.iter().zip(&mut outs).enumerate();
    let jobs = records.filter_map(|(number, (sealed, out))| {
        let (ciphertext, tag) = sealed.split_last_chunk()?;
        let job = OpenJob {
            nonce: nonce(number),
            aad: aad(len),
            ciphertext,
            tag,
            out,
        };
        let inner_type = Some(0);
        Some(InnerJob { job, inner_type })
    });
    let count = key.open_many(&mut jobs.collect::<Vec<_>>());
    (count, outs)
}

fn numbered_job<'a>(number: usize, plain: &'a [u8], out: &'a mut [u8]) -> SealJob<'a> {
    let nonce = nonce(number);
    SealJob {
        nonce,
        ..seal_job(plain, out)
    }
}

fn nonce(number: usize) -> [u8; 12] {
    let mut nonce = NONCE;
    nonce[11] = number as u8;
    nonce
}

/// Returns `true` if the record opens to `plain`, and if it does not open and leaves only zeros
/// after a bit was flipped.
fn opens(key: &dyn Interleaved, sealed: &[u8], plain: &[u8]) -> bool {
    let (good, out) = open(key, sealed, plain.len());
    let mut forged = sealed.to_vec();
    forged[plain.len() / 2] ^= 1;
    let (bad, left) = open(key, &forged, plain.len());
    good && out == plain && !bad && left.iter().all(|&byte| byte == 0)
}

fn open(key: &dyn Interleaved, sealed: &[u8], len: usize) -> (bool, Vec<u8>) {
    let Some((ciphertext, tag)) = sealed.split_last_chunk() else {
        return (false, Vec::new());
    };
    let mut out = vec![0xa5; len];
    let job = OpenJob {
        nonce: NONCE,
        aad: aad(len),
        ciphertext,
        tag,
        out: &mut out,
    };
    let mut jobs = [InnerJob {
        job,
        inner_type: Some(0),
    }];
    let opened = key.open_many(&mut jobs) == 1 && jobs[0].inner_type == Some(23);
    (opened, out)
}

fn seal_job<'a>(plaintext: &'a [u8], out: &'a mut [u8]) -> SealJob<'a> {
    SealJob {
        nonce: NONCE,
        aad: aad(plaintext.len()),
        plaintext,
        inner_type: Some(23),
        out,
    }
}

/// Returns additional data: that of TLS 1.3 for even lengths, as long as that of TLS 1.2 for odd
/// ones.
fn aad(len: usize) -> Aad {
    match len % 2 {
        0 => Aad::header([len as u8; HEADER_LEN]),
        _ => Aad::numbered(len as u64, [len as u8; 5]),
    }
}

const NONCE: [u8; 12] = *b"ktls_fast aead".first_chunk().expect("12 bytes and more");
const LONGEST: usize = 4900;
/// Lengths around every border of the algorithm: blocks, vectors, the keystream buffer, chunks, and
/// a carry of the block counter.
const LENGTHS: [usize; 30] = [
    0, 1, 7, 8, 15, 16, 17, 30, 31, 32, 33, 47, 63, 64, 65, 127, 128, 255, 256, 257, 510, 511, 512,
    513, 767, 768, 1025, 1400, 4095, 4897,
];
/// Lengths of records that go through the lanes.
const ALIKE: [usize; 7] = [0, 1, 15, 16, 17, 64, 511];
/// The number of records that are sealed together: not a multiple of the lanes for any width of the
/// vectors.
const RECORDS: usize = 11;
/// Which of them is forged.
const FORGED: usize = 5;
