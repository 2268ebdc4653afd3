//! Records on their way through a key, in buffers where a byte too much is seen.

use ktls_core::Error;
use ktls_core::aead::{Aad, InnerJob, NonceBytes, OpenJob, RecordKey, SealJob};
use ktls_core::wire::TAG_LEN;

use super::model::Model;
use super::random::Random;
use crate::vaes::avx2::Avx2;
use crate::vaes::avx512::Avx512;
use crate::vaes::engine::Engine;
use crate::vaes::record_key;

/// What a buffer holds before, and around what is written.
const STALE: u8 = 0xa5;

/// One record to be.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) nonce: NonceBytes,
    pub(super) aad: Vec<u8>,
    pub(super) plaintext: Vec<u8>,
    pub(super) inner_type: Option<u8>,
    /// How far its output is from the start of its buffer.
    pub(super) shift: usize,
}

impl Record {
    pub(super) fn random(random: &mut Random, len: usize) -> Self {
        let aad_len = [5, 13][random.below(2)];
        Self {
            nonce: random.bytes(12).try_into().unwrap(),
            aad: random.bytes(aad_len),
            plaintext: random.bytes(len),
            inner_type: (random.below(2) == 1).then_some(23),
            shift: random.below(65),
        }
    }

    /// With the content type.
    pub(super) fn inner(&self) -> Vec<u8> {
        self.plaintext
            .iter()
            .copied()
            .chain(self.inner_type)
            .collect()
    }

    fn sealed_len(&self) -> usize {
        self.plaintext.len() + usize::from(self.inner_type.is_some()) + TAG_LEN
    }

    fn seal_job<'a>(&'a self, out: &'a mut [u8]) -> SealJob<'a> {
        SealJob {
            nonce: self.nonce,
            aad: Aad::try_from(&*self.aad).unwrap(),
            plaintext: &self.plaintext,
            inner_type: self.inner_type,
            out: &mut out[self.shift..][..self.sealed_len()],
        }
    }

    fn inner_job<'a>(&self, sealed: &'a [u8], out: &'a mut [u8]) -> InnerJob<'a> {
        let (ciphertext, tag) = sealed.split_last_chunk().unwrap();
        let job = OpenJob {
            nonce: self.nonce,
            aad: Aad::try_from(&*self.aad).unwrap(),
            ciphertext,
            tag,
            out: &mut out[self.shift..][..self.plaintext.len()],
        };
        let inner_type = self.inner_type.map(|_| STALE);
        InnerJob { job, inner_type }
    }
}

fn buffers(records: &[Record]) -> Vec<Vec<u8>> {
    let len = |record: &Record| record.shift + record.sealed_len() + 64;
    records
        .iter()
        .map(|record| vec![STALE; len(record)])
        .collect()
}

/// What lies at the record's place; around it nothing may have changed.
fn taken(record: &Record, len: usize, buffer: &[u8]) -> Vec<u8> {
    let (before, rest) = buffer.split_at(record.shift);
    let (out, behind) = rest.split_at(len);
    assert!([before, behind].concat().iter().all(|&byte| byte == STALE));
    out.to_vec()
}

/// Seals all records in one call.
pub(super) fn seal(key: &dyn RecordKey, records: &[Record]) -> Vec<Vec<u8>> {
    let mut outs = buffers(records);
    let both = records.iter().zip(&mut outs);
    let mut jobs: Vec<_> = both.map(|(record, out)| record.seal_job(out)).collect();
    match key.interleaved() {
        Some(many) => many.seal_many(&mut jobs),
        None => jobs.into_iter().for_each(|job| key.seal(job)),
    }
    let both = records.iter().zip(&outs);
    both.map(|(record, out)| taken(record, record.sealed_len(), out))
        .collect()
}

/// Opens all in one call; gives how many opened, and what is left of each.
pub(super) fn open(
    key: &dyn RecordKey,
    records: &[Record],
    sealed: &[Vec<u8>],
) -> (usize, Vec<Vec<u8>>) {
    let mut outs = buffers(records);
    let all = records.iter().zip(sealed).zip(&mut outs);
    let mut jobs: Vec<_> = all
        .map(|((record, sealed), out)| record.inner_job(sealed, out))
        .collect();
    let opened = key.interleaved().unwrap().open_many(&mut jobs);
    let types: Vec<_> = jobs.iter().map(|job| job.inner_type).collect();
    let all = records.iter().zip(&outs).zip(types);
    let inner = all.map(|((record, out), inner_type)| {
        let mut inner = taken(record, record.plaintext.len(), out);
        inner.extend(inner_type);
        inner
    });
    (opened, inner.collect())
}

/// Opens one record whose inner plaintext stays together.
pub(super) fn open_one(
    key: &dyn RecordKey,
    record: &Record,
    sealed: &[u8],
) -> Result<Vec<u8>, Error> {
    let (ciphertext, tag) = sealed.split_last_chunk().unwrap();
    let mut out = vec![STALE; ciphertext.len()];
    let opened = key.open(OpenJob {
        nonce: record.nonce,
        aad: Aad::try_from(&*record.aad).unwrap(),
        ciphertext,
        tag,
        out: &mut out,
    });
    assert!(opened.is_ok() || out.iter().all(|&byte| byte == 0));
    opened.map(|()| out)
}

/// Seals, compares with `want`, opens again.
pub(super) fn check(key: &dyn RecordKey, records: &[Record], want: &[Vec<u8>], name: &str) {
    let sealed = seal(key, records);
    for ((record, sealed), want) in records.iter().zip(&sealed).zip(want) {
        let len = record.plaintext.len();
        assert!(
            sealed == want,
            "{name}: {len} bytes, {:?}, {:?}",
            record.aad,
            record.inner_type
        );
    }
    let (opened, inner) = open(key, records, &sealed);
    assert_eq!(opened, records.len(), "{name}");
    for (record, inner) in records.iter().zip(inner) {
        assert!(
            inner == record.inner(),
            "{name}: {} bytes",
            record.plaintext.len()
        );
    }
}

/// The key in every engine that this CPU has; under Miri, which is slow, without the model, which
/// has no memory of its own to check.
pub(super) fn engines(key: &[u8]) -> Vec<(&'static str, Box<dyn RecordKey>)> {
    let mut engines = fast(key);
    if !cfg!(miri) {
        engines.extend(by::<Model<2>>(key));
        engines.extend(by::<Model<4>>(key));
    }
    engines
}

/// The key in one engine, if this CPU has it.
pub(super) fn by<E: Engine>(key: &[u8]) -> Option<(&'static str, Box<dyn RecordKey>)> {
    E::detect().ok()?;
    let expanded = match key.len() {
        16 => record_key::<E, 10>(key),
        _ => record_key::<E, 14>(key),
    };
    Some((E::NAME, expanded.unwrap()))
}

/// The engines that are fast.
pub(super) fn fast(key: &[u8]) -> Vec<(&'static str, Box<dyn RecordKey>)> {
    [by::<Avx2>(key), by::<Avx512>(key)]
        .into_iter()
        .flatten()
        .collect()
}
