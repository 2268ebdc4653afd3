//! Seals one batch with our implementation, together and one by one, with aws-lc and with
//! RustCrypto.

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ktls_core::aead::{RecordKey, SealJob};
use ktls_core::suite::AeadAlgorithm;

use super::arena::RecordArena;
use super::batch::{PlannedRecord, SealedUnderOneKey};

/// Checks that all implementations seal the same records, and returns them.
pub(super) fn check(
    batch: &SealedUnderOneKey,
    ours: &dyn RecordKey,
    theirs: &dyn RecordKey,
) -> Vec<Vec<u8>> {
    let records = &batch.records;
    let plaintexts = records.iter().map(|one| (one.gaps.0, &*one.plaintext));
    let input = RecordArena::holding(plaintexts);
    let one_by_one = |key: &dyn RecordKey| {
        sealed(records, &input, |jobs| {
            jobs.into_iter().for_each(|job| key.seal(job));
        })
    };
    let together = sealed(records, &input, |mut jobs| {
        let many = ours.interleaved().expect("our keys are interleaved");
        many.seal_many(&mut jobs);
    });
    let want = one_by_one(theirs);
    together.assert_same(&want, "sealed together, against aws-lc");
    one_by_one(ours).assert_same(&want, "sealed one by one, against aws-lc");
    together.assert_same(&by_rustcrypto(batch), "sealed, against RustCrypto");
    together.slots().map(<[u8]>::to_vec).collect()
}

/// Returns an arena with the records that `seal` writes.
fn sealed(
    records: &[PlannedRecord],
    input: &RecordArena,
    seal: impl FnOnce(Vec<SealJob<'_>>),
) -> RecordArena {
    let mut out = room(records);
    let all = records.iter().zip(input.slots()).zip(out.slots_mut());
    let jobs = all.map(|((record, plaintext), out)| SealJob {
        nonce: record.nonce,
        aad: record.aad,
        plaintext,
        inner_type: record.inner_type,
        out,
    });
    seal(jobs.collect());
    out
}

fn by_rustcrypto(batch: &SealedUnderOneKey) -> RecordArena {
    let mut out = room(&batch.records);
    match batch.algorithm {
        AeadAlgorithm::Aes128Gcm => seal_by::<Aes128Gcm>(batch, out.slots_mut()),
        _ => seal_by::<Aes256Gcm>(batch, out.slots_mut()),
    }
    out
}

fn seal_by<A>(batch: &SealedUnderOneKey, outs: Vec<&mut [u8]>)
where
    A: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit,
{
    let key = A::new_from_slice(batch.key()).expect("the key has the length of the AEAD");
    for (record, out) in batch.records.iter().zip(outs) {
        let (inner, tag_out) = out.split_at_mut(record.sealed_len() - 16);
        let (data, last) = inner.split_at_mut(record.plaintext.len());
        data.copy_from_slice(&record.plaintext);
        last.copy_from_slice(record.inner_type.as_slice());
        let tag = key
            .encrypt_inout_detached(
                &record.nonce.into(),
                record.aad.bytes().as_ref(),
                inner.into(),
            )
            .expect("a record is within the limits of the AEAD");
        tag_out.copy_from_slice(&tag);
    }
}

fn room(records: &[PlannedRecord]) -> RecordArena {
    let places = records.iter().map(|one| (one.gaps.1, one.sealed_len()));
    RecordArena::new(places)
}
