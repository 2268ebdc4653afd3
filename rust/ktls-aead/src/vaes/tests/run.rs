//! Seals and opens records with a key, in buffers in which a write beside a record is noticed.

use ktls_core::Error;
use ktls_core::aead::{Aad, InnerJob, NonceBytes, OpenJob, RecordKey, SealJob};
use ktls_core::wire::TAG_LEN;

use super::model::Model;
use super::random::Random;
use crate::vaes::avx2::Avx2;
use crate::vaes::avx512::Avx512;
use crate::vaes::engine::Engine;
use crate::vaes::record_key;

/// The value of every byte of a buffer before it is written.
const STALE: u8 = 0xa5;

/// A record to be sealed.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) nonce: NonceBytes,
    pub(super) aad: Vec<u8>,
    pub(super) plaintext: Vec<u8>,
    pub(super) inner_type: Option<u8>,
    /// Where its output starts in its buffer, in bytes.
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

    /// Returns the plaintext and the content type, if there is one.
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

/// Returns the output of a record; nothing around it may have changed.
fn output(record: &Record, len: usize, buffer: &[u8]) -> Vec<u8> {
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
    both.map(|(record, out)| output(record, record.sealed_len(), out))
        .collect()
}

/// Opens all records in one call; returns how many were opened, and the output and content type of
/// each.
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
        let mut inner = output(record, record.plaintext.len(), out);
        inner.extend(inner_type);
        inner
    });
    (opened, inner.collect())
}

/// Opens one record into one output, content type included.
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

/// Seals records, compares them with `want`, and opens them again.
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

/// Returns the key in every engine that this CPU has, and in the models. Under Miri, which is slow,
/// the models are left out: they access no memory by pointers.
pub(super) fn engines(key: &[u8]) -> Vec<(&'static str, Box<dyn RecordKey>)> {
    let mut engines = fast(key);
    if !cfg!(miri) {
        engines.extend(by::<Model<2>>(key));
        engines.extend(by::<Model<4>>(key));
    }
    engines
}

/// Returns the key in one engine, if this CPU has it.
pub(super) fn by<E: Engine>(key: &[u8]) -> Option<(&'static str, Box<dyn RecordKey>)> {
    E::detect().ok()?;
    let expanded = match key.len() {
        16 => record_key::<E, 10>(key),
        _ => record_key::<E, 14>(key),
    };
    Some((E::NAME, expanded.unwrap()))
}

/// Returns the key in every engine that this CPU has.
pub(super) fn fast(key: &[u8]) -> Vec<(&'static str, Box<dyn RecordKey>)> {
    [by::<Avx2>(key), by::<Avx512>(key)]
        .into_iter()
        .flatten()
        .collect()
}
