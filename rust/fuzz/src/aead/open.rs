//! Opens the records that arrived with our implementation, together and one by one, and with
//! aws-lc.

use ktls_core::aead::{InnerJob, OpenJob, RecordKey};
use ktls_core::wire::TAG_LEN;

use super::arena::RecordArena;
use super::batch::ReceivedRecord;

/// The outcome of opening records.
struct OpenOutcome {
    /// The number of records that were opened before the first failure.
    count: usize,
    out: RecordArena,
    /// The last bytes of the records for which they are returned separately.
    types: Vec<Option<u8>>,
}

pub(super) fn check(records: &[ReceivedRecord], ours: &dyn RecordKey, theirs: &dyn RecordKey) {
    let input = RecordArena::holding(records.iter().map(|one| (one.gaps.1, &*one.sealed)));
    let good = records.iter().take_while(|one| !one.damaged).count();

    let (got, want) = (together(records, &input, ours), in_order(records, theirs));
    assert_eq!(want.count, good, "aws-lc opens the undamaged records");
    assert_eq!(got.count, good, "opened together");
    got.out.assert_same(&want.out, "opened together");
    assert_eq!(got.types, want.types, "opened together");

    let [(got, got_out), (want, want_out)] =
        [ours, theirs].map(|key| one_by_one(records, &input, key));
    assert_eq!(got, want, "opened one by one");
    got_out.assert_same(&want_out, "opened one by one");
}

/// Opens all records in one call.
fn together(records: &[ReceivedRecord], input: &RecordArena, key: &dyn RecordKey) -> OpenOutcome {
    let mut out = room(records);
    let all = records.iter().zip(input.slots()).zip(out.slots_mut());
    let mut jobs: Vec<_> = all
        .map(|((record, sealed), out)| InnerJob {
            job: record.job(sealed, out),
            // A value that opening must overwrite.
            inner_type: record.apart.then_some(0xa5),
        })
        .collect();
    let many = key.interleaved().expect("our keys are interleaved");
    let count = many.open_many(&mut jobs);
    let types = jobs.iter().map(|job| job.inner_type).collect();
    OpenOutcome { count, out, types }
}

/// Opens one record after the other. The first that fails and all later ones leave zeros.
fn in_order(records: &[ReceivedRecord], key: &dyn RecordKey) -> OpenOutcome {
    let mut out = room(records);
    let (mut count, mut failed, mut types) = (0, false, Vec::new());
    for (record, out) in records.iter().zip(out.slots_mut()) {
        let mut inner = vec![0; record.inner_len()];
        failed = failed || key.open(record.job(&record.sealed, &mut inner)).is_err();
        if failed {
            inner.fill(0);
        }
        count += usize::from(!failed);
        let (data, last) = inner.split_at(out.len());
        out.copy_from_slice(data);
        types.push(last.first().copied());
    }
    OpenOutcome { count, out, types }
}

/// Opens each record in a separate call, its last byte not separated. Returns which ones opened.
fn one_by_one(
    records: &[ReceivedRecord],
    input: &RecordArena,
    key: &dyn RecordKey,
) -> (Vec<bool>, RecordArena) {
    let mut out = RecordArena::new(records.iter().map(|one| (one.gaps.0, one.inner_len())));
    let all = records.iter().zip(input.slots()).zip(out.slots_mut());
    let opened = all
        .map(|((record, sealed), out)| key.open(record.job(sealed, out)).is_ok())
        .collect();
    (opened, out)
}

fn room(records: &[ReceivedRecord]) -> RecordArena {
    let data_len = |one: &ReceivedRecord| one.inner_len() - usize::from(one.apart);
    RecordArena::new(records.iter().map(|one| (one.gaps.0, data_len(one))))
}

impl ReceivedRecord {
    fn inner_len(&self) -> usize {
        self.sealed.len() - TAG_LEN
    }

    fn job<'a>(&self, sealed: &'a [u8], out: &'a mut [u8]) -> OpenJob<'a> {
        let (ciphertext, tag) = sealed.split_last_chunk().expect("a record has a tag");
        OpenJob {
            nonce: self.nonce,
            aad: self.aad,
            ciphertext,
            tag,
            out,
        }
    }
}
