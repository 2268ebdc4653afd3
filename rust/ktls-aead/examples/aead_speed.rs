//! Measures our own AES-GCM against aws-lc: nanoseconds per record, and the ratio of the two.
//!
//! The two take turns in short rounds, so that a busy machine slows both; medians are printed. An
//! argument selects the cases whose name contains it, for instance `"AES-256 open 64"`.

use std::time::Instant;

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::aead::{Aad, InnerJob, Interleaved, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::suite::AeadAlgorithm;
use ktls_core::wire::{HEADER_LEN, TAG_LEN};

const ALGORITHMS: [(&str, AeadAlgorithm, usize); 2] = [
    ("AES-128", AeadAlgorithm::Aes128Gcm, 16),
    ("AES-256", AeadAlgorithm::Aes256Gcm, 32),
];
const SIZES: [usize; 6] = [16, 64, 256, 1400, 4096, 16384];
const BATCHES: [usize; 3] = [1, 8, 64];
const ROUNDS: usize = 101;
/// Bytes of plaintext in a round, unless one batch has more.
const WORK: usize = 1 << 17;
/// Most records in one call, as in the record layer.
const MAX_GROUP: usize = 16;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!("case\trecord_bytes\tbatch\tns_per_record\taws_lc_ns\tvs_aws_lc");
    for (name, algorithm, key_len) in ALGORITHMS {
        let keys = [AesGcmPreference::Vaes, AesGcmPreference::AwsLc].map(|wanted| {
            let key = Aead::with(wanted).record_key(algorithm, &[3; 32][..key_len]);
            key.unwrap_or_else(|error| panic!("{error}"))
        });
        for (what, work) in [
            ("seal", BenchRecords::seal as SealOrOpenAll),
            ("open", BenchRecords::open),
        ] {
            for size in SIZES {
                for batch in BATCHES {
                    let case = format!("{name} {what}");
                    if format!("{case} {size} {batch}").contains(&wanted) {
                        let [ours, theirs] =
                            compare(&mut BenchRecords::new(size, batch), &keys, work);
                        let ratio = theirs / ours;
                        println!("{case}\t{size}\t{batch}\t{ours:.1}\t{theirs:.1}\t{ratio:.2}");
                    }
                }
            }
        }
    }
}

/// Seals or opens all records.
type SealOrOpenAll = fn(&mut BenchRecords, &dyn RecordKey);

/// Returns the median of nanoseconds per record for each key.
fn compare(
    records: &mut BenchRecords,
    keys: &[Box<dyn RecordKey>; 2],
    work: SealOrOpenAll,
) -> [f64; 2] {
    let wires = keys.each_ref().map(|key| {
        records.seal(&**key);
        records.open(&**key);
        records.wire.clone()
    });
    assert!(wires[0] == wires[1], "both seal the same");
    let calls = (WORK / records.plain.len()).max(1);
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (key, times) in keys.iter().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..calls {
                work(records, &**key);
            }
            times.push(start.elapsed().as_nanos() as f64 / (calls * records.batch) as f64);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// Records of one size, as plaintext and as ciphertext.
struct BenchRecords {
    size: usize,
    batch: usize,
    plain: Vec<u8>,
    wire: Vec<u8>,
    /// The output of a key that opens one record at a time, content type included.
    inner: Vec<u8>,
}

impl BenchRecords {
    fn new(size: usize, batch: usize) -> Self {
        Self {
            size,
            batch,
            plain: vec![7; size * batch],
            wire: vec![0; (size + 1 + TAG_LEN) * batch],
            inner: vec![0; size + 1],
        }
    }

    fn aad(&self) -> Aad {
        Aad::header([self.size as u8; HEADER_LEN])
    }

    fn seal(&mut self, key: &dyn RecordKey) {
        let aad = self.aad();
        let outs = self.wire.chunks_mut(self.size + 1 + TAG_LEN);
        let all = self.plain.chunks(self.size).zip(outs).enumerate();
        let jobs = all.map(|(number, (plaintext, out))| SealJob {
            nonce: nonce(number),
            aad,
            plaintext,
            inner_type: Some(23),
            out,
        });
        match key.interleaved() {
            Some(many) if self.batch > 1 => seal_together(many, jobs),
            _ => jobs.for_each(|job| key.seal(job)),
        }
    }

    fn open(&mut self, key: &dyn RecordKey) {
        let aad = self.aad();
        let wires = self.wire.chunks(self.size + 1 + TAG_LEN).enumerate();
        let jobs = wires.map(|(number, wire)| {
            let (ciphertext, tag) = wire.split_last_chunk().expect("a tag");
            (nonce(number), ciphertext, tag)
        });
        match key.interleaved() {
            Some(many) if self.batch > 1 => {
                let outs = self.plain.chunks_mut(self.size);
                let jobs = jobs
                    .zip(outs)
                    .map(|((nonce, ciphertext, tag), out)| InnerJob {
                        job: OpenJob {
                            nonce,
                            aad,
                            ciphertext,
                            tag,
                            out,
                        },
                        inner_type: Some(0),
                    });
                open_together(many, jobs);
            }
            _ => {
                for (nonce, ciphertext, tag) in jobs {
                    let out = &mut self.inner;
                    let job = OpenJob {
                        nonce,
                        aad,
                        ciphertext,
                        tag,
                        out,
                    };
                    key.open(job).expect("it was sealed under this key");
                }
            }
        }
    }
}

fn seal_together<'a>(many: &dyn Interleaved, mut jobs: impl Iterator<Item = SealJob<'a>>) {
    loop {
        let mut group = [const { SealJob::empty() }; MAX_GROUP];
        let mut count = 0;
        for (place, job) in group.iter_mut().zip(&mut jobs) {
            *place = job;
            count += 1;
        }
        if count == 0 {
            return;
        }
        many.seal_many(&mut group[..count]);
    }
}

fn open_together<'a>(many: &dyn Interleaved, mut jobs: impl Iterator<Item = InnerJob<'a>>) {
    loop {
        let mut group = [const { InnerJob::empty() }; MAX_GROUP];
        let mut count = 0;
        for (place, job) in group.iter_mut().zip(&mut jobs) {
            *place = job;
            count += 1;
        }
        if count == 0 {
            return;
        }
        assert_eq!(many.open_many(&mut group[..count]), count);
    }
}

fn nonce(number: usize) -> [u8; 12] {
    let mut nonce = [7; 12];
    nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
    nonce
}
