//! Measures the cost of the record layer on top of the AEAD: nanoseconds per record of `Sealer` and
//! `Opener` in batches, of the bare AEAD on prepared jobs, and the difference.
//!
//! The two take turns in short rounds. Minima are printed, which a busy machine affects least.

use std::time::{Duration, Instant};

use ktls_aead::PROVIDER;
use ktls_core::aead::{Aad, InnerJob, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::record::RecordPlaintext;
use ktls_core::wire::{HEADER_LEN, TAG_LEN, TLS13};
use ktls_core::{CryptoInfo, Opener, Sealer};

const SIZES: [usize; 5] = [16, 64, 256, 1400, 16384];
const BATCH: usize = 64;
/// Bytes of plaintext in all rounds of a case together.
const WORK: usize = 1 << 27;
/// Bytes that a record has besides its plaintext: header, content type and tag.
const OVERHEAD: usize = HEADER_LEN + 1 + TAG_LEN;
const APPLICATION_DATA: u8 = 23;

fn main() {
    println!("case\trecord_bytes\trecord_layer_ns\tbare_aead_ns\tdifference_ns");
    for size in SIZES {
        let (sealed, bare) = seal(size);
        println!("seal\t{size}\t{sealed:.1}\t{bare:.1}\t{:.1}", sealed - bare);
        let (opened, bare) = open(size);
        println!("open\t{size}\t{opened:.1}\t{bare:.1}\t{:.1}", opened - bare);
    }
}

fn seal(size: usize) -> (f64, f64) {
    let (data, key) = (vec![7; size * BATCH], key());
    let mut sealer = Sealer::new(info(), &PROVIDER).expect("a key");
    let (mut wire, mut bare) = (
        vec![0; (size + OVERHEAD) * BATCH],
        vec![0; (size + 17) * BATCH],
    );
    let pieces = data.chunks_exact(size).map(|plaintext| RecordPlaintext {
        record_type: APPLICATION_DATA,
        plaintext,
    });
    let mut jobs = seal_jobs(&data, &mut bare, size);
    let many = key.interleaved().expect("a key that takes several records");
    minima(
        size,
        || {
            let start = Instant::now();
            let written = sealer.seal_batch(pieces.clone(), &mut wire, |_| {});
            let time = start.elapsed();
            assert_eq!(written, Ok((size + OVERHEAD) * BATCH));
            time
        },
        || {
            let start = Instant::now();
            many.seal_many(&mut jobs);
            start.elapsed()
        },
    )
}

fn open(size: usize) -> (f64, f64) {
    let data = vec![7; size * BATCH];
    let mut wire = vec![0; (size + OVERHEAD) * BATCH];
    let pieces = data.chunks_exact(size).map(|plaintext| RecordPlaintext {
        record_type: APPLICATION_DATA,
        plaintext,
    });
    let mut sealer = Sealer::new(info(), &PROVIDER).expect("a key");
    sealer.seal_batch(pieces, &mut wire, |_| {}).expect("room");
    let key = key();
    let many = key.interleaved().expect("a key that takes several records");
    let mut bare = vec![0; (size + 17) * BATCH];
    many.seal_many(&mut seal_jobs(&data, &mut bare, size));
    let (mut out, mut bare_out) = (vec![0; wire.len()], vec![0; size * BATCH]);
    let mut jobs = open_jobs(&bare, &mut bare_out, size);
    minima(
        size,
        || {
            let mut opener = Opener::new(info(), &PROVIDER).expect("a key");
            let start = Instant::now();
            let end = opener.open_batch(&wire, &mut out, |_| {});
            let time = start.elapsed();
            assert!(end.is_ok_and(|end| end.written == size * BATCH));
            time
        },
        || {
            let start = Instant::now();
            let opened = many.open_many(&mut jobs);
            let time = start.elapsed();
            assert_eq!(opened, BATCH);
            time
        },
    )
}

/// Returns nanoseconds per record in the fastest round of each.
fn minima(
    size: usize,
    mut layer: impl FnMut() -> Duration,
    mut bare: impl FnMut() -> Duration,
) -> (f64, f64) {
    let mut best = [Duration::MAX; 2];
    for _ in 0..WORK / (size * BATCH) {
        best = [best[0].min(layer()), best[1].min(bare())];
    }
    let [layer, bare] = best.map(|best| best.as_nanos() as f64 / BATCH as f64);
    (layer, bare)
}

fn seal_jobs<'a>(data: &'a [u8], out: &'a mut [u8], size: usize) -> Vec<SealJob<'a>> {
    let all = data.chunks_exact(size).zip(out.chunks_exact_mut(size + 17));
    let jobs = all.zip(0..).map(|((plaintext, out), number)| SealJob {
        nonce: nonce(number),
        aad: aad(size),
        plaintext,
        inner_type: Some(APPLICATION_DATA),
        out,
    });
    jobs.collect()
}

fn open_jobs<'a>(sealed: &'a [u8], out: &'a mut [u8], size: usize) -> Vec<InnerJob<'a>> {
    let all = sealed
        .chunks_exact(size + 17)
        .zip(out.chunks_exact_mut(size));
    let jobs = all.zip(0..).map(|((sealed, out), number)| {
        let (ciphertext, tag) = sealed.split_last_chunk().expect("a tag");
        let job = OpenJob {
            nonce: nonce(number),
            aad: aad(size),
            ciphertext,
            tag,
            out,
        };
        InnerJob {
            job,
            inner_type: Some(0),
        }
    });
    jobs.collect()
}

fn aad(size: usize) -> Aad {
    let [high, low] = ((size + 17) as u16).to_be_bytes();
    Aad::header([APPLICATION_DATA, 3, 3, high, low])
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [5; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn key() -> Box<dyn RecordKey> {
    let key = PROVIDER.record_key(info().cipher().algorithm, info().key());
    key.expect("a key")
}

fn info() -> CryptoInfo {
    const AES_GCM_128: u16 = 51;
    CryptoInfo::new(TLS13, AES_GCM_128, &[1; 8], &[2; 16], &[3; 4], 0).expect("the lengths fit")
}
