//! The fastest AES-GCM of this CPU against aws-lc and RustCrypto: any key, any batch, any forgery.

use aes_gcm::AesGcm;
use ccm::aead::consts::U12;
use ccm::aead::{AeadInOut, KeyInit};
use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::aead::{Aad, InnerJob, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::suite::AeadAlgorithm;
use ktls_core::wire::TAG_LEN;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::job::STALE;

/// One record of a batch.
#[derive(Clone, Debug)]
struct Record {
    nonce: [u8; 12],
    aad: Vec<u8>,
    plaintext: Vec<u8>,
    inner_type: Option<u8>,
    /// The number of a bit to flip in ciphertext and tag, modulo their length.
    forged: Option<usize>,
}

fn record() -> impl Strategy<Value = Record> {
    let len = prop_oneof![4 => 0..100_usize, 3 => 100..700_usize, 1 => 700..17_000_usize];
    let plaintext = (len, any::<u8>()).prop_map(|(len, seed)| {
        (0..len)
            .map(|i| (i as u8).wrapping_mul(seed | 1).wrapping_add(seed))
            .collect()
    });
    let forged = prop_oneof![20 => Just(None), 1 => any::<usize>().prop_map(Some)];
    let parts = (
        any::<[u8; 12]>(),
        vec(any::<u8>(), 0..=Aad::MAX_LEN),
        plaintext,
        any::<Option<u8>>(),
        forged,
    );
    parts.prop_map(|(nonce, aad, plaintext, inner_type, forged)| Record {
        nonce,
        aad,
        plaintext,
        inner_type,
        forged,
    })
}

impl Record {
    fn inner(&self) -> Vec<u8> {
        self.plaintext
            .iter()
            .copied()
            .chain(self.inner_type)
            .collect()
    }

    fn aad(&self) -> Aad {
        Aad::try_from(&*self.aad).unwrap()
    }

    fn seal_job<'a>(&'a self, out: &'a mut [u8]) -> SealJob<'a> {
        SealJob {
            nonce: self.nonce,
            aad: self.aad(),
            plaintext: &self.plaintext,
            inner_type: self.inner_type,
            out,
        }
    }

    fn by_rustcrypto(&self, key: &[u8]) -> Vec<u8> {
        let mut inner = self.inner();
        let (nonce, buffer) = (&self.nonce.into(), (&mut inner[..]).into());
        let tag = match key.len() {
            16 => AesGcm::<aes::Aes128, U12>::new_from_slice(key)
                .unwrap()
                .encrypt_inout_detached(nonce, &self.aad, buffer),
            _ => AesGcm::<aes::Aes256, U12>::new_from_slice(key)
                .unwrap()
                .encrypt_inout_detached(nonce, &self.aad, buffer),
        };
        inner.extend(tag.unwrap());
        inner
    }
}

fn sealed(key: &dyn RecordKey, records: &[Record]) -> Vec<Vec<u8>> {
    let mut outs: Vec<_> = records
        .iter()
        .map(|record| vec![STALE; record.inner().len() + TAG_LEN])
        .collect();
    let mut jobs: Vec<_> = records
        .iter()
        .zip(&mut outs)
        .map(|(record, out)| record.seal_job(out))
        .collect();
    match key.interleaved() {
        Some(many) => many.seal_many(&mut jobs),
        None => jobs.into_iter().for_each(|job| key.seal(job)),
    }
    outs
}

/// Returns how many of the records open, and the output of each.
fn opened(key: &dyn RecordKey, records: &[Record], sealed: &[Vec<u8>]) -> (usize, Vec<Vec<u8>>) {
    let mut outs: Vec<_> = records
        .iter()
        .map(|record| vec![STALE; record.plaintext.len()])
        .collect();
    let all = records.iter().zip(sealed).zip(&mut outs);
    let mut jobs: Vec<_> = all
        .map(|((record, sealed), out)| {
            let (ciphertext, tag) = sealed.split_last_chunk().unwrap();
            let job = OpenJob {
                nonce: record.nonce,
                aad: record.aad(),
                ciphertext,
                tag,
                out,
            };
            InnerJob {
                job,
                inner_type: record.inner_type,
            }
        })
        .collect();
    let Some(many) = key.interleaved() else {
        let alone = |InnerJob { job, inner_type }| {
            let mut inner = vec![STALE; job.ciphertext.len()];
            let OpenJob {
                nonce,
                aad,
                ciphertext,
                tag,
                out,
            } = job;
            let opened = key.open(OpenJob {
                nonce,
                aad,
                ciphertext,
                tag,
                out: &mut inner,
            });
            out.copy_from_slice(&inner[..inner.len() - usize::from(inner_type.is_some())]);
            opened.is_ok()
        };
        let good = jobs.into_iter().map(alone).take_while(|&good| good).count();
        outs[good..].iter_mut().for_each(|out| out.fill(0));
        return (good, outs);
    };
    let count = many.open_many(&mut jobs);
    (count, outs)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn three_implementations_agree(
        long in any::<bool>(),
        key in any::<[u8; 32]>(),
        records in vec(record(), 0..24),
    ) {
        let (algorithm, key) = if long { (AeadAlgorithm::Aes256Gcm, &key[..]) } else { (AeadAlgorithm::Aes128Gcm, &key[..16]) };
        let [ours, theirs] = [AesGcmPreference::Auto, AesGcmPreference::AwsLc].map(|wanted| Aead::with(wanted).record_key(algorithm, key).unwrap());
        let mut wire = sealed(&*ours, &records);
        prop_assert_eq!(&wire, &sealed(&*theirs, &records));
        for (record, sealed) in records.iter().zip(&wire) {
            prop_assert_eq!(sealed, &record.by_rustcrypto(key));
        }
        for (record, sealed) in records.iter().zip(&mut wire) {
            if let Some(bit) = record.forged {
                let bit = bit % (8 * sealed.len());
                sealed[bit / 8] ^= 1 << (bit % 8);
            }
        }
        let (count, outs) = opened(&*ours, &records, &wire);
        prop_assert_eq!((count, &outs), (opened(&*theirs, &records, &wire).0, &opened(&*theirs, &records, &wire).1));
        let good = records.iter().position(|record| record.forged.is_some()).unwrap_or(records.len());
        prop_assert_eq!(count, good);
        for (record, out) in records[..good].iter().zip(&outs) {
            prop_assert_eq!(&record.plaintext, out);
        }
    }
}
