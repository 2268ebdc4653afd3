//! Sealer and opener with the real AEADs.

use ktls_aead::PROVIDER;
use ktls_core::record::{BatchStop, OpenedRecord, RecordPlaintext};
use ktls_core::suite::KeyLimits;
use ktls_core::{CryptoInfo, Error, Opener, Sealer, TrafficSecret};
use proptest::prelude::*;

const CIPHERS: [(u16, usize, usize); 3] = [(51, 16, 8), (52, 32, 8), (54, 32, 12)];

fn info(version: u16, (cipher_type, key, iv): (u16, usize, usize), rec_seq: u64) -> CryptoInfo {
    let salt = vec![3; 12 - iv];
    CryptoInfo::new(
        version,
        cipher_type,
        &vec![1; iv],
        &vec![2; key],
        &salt,
        rec_seq,
    )
    .unwrap()
}

fn sealer() -> Sealer {
    Sealer::new(info(0x0304, CIPHERS[0], 0), &PROVIDER).unwrap()
}

fn opener() -> Opener {
    Opener::new(info(0x0304, CIPHERS[0], 0), &PROVIDER).unwrap()
}

fn sealed(sealer: &mut Sealer, records: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let pieces = records
        .iter()
        .map(|(record_type, plaintext)| RecordPlaintext {
            record_type: *record_type,
            plaintext,
        });
    let mut wire = vec![0; sealer.measure(pieces.clone()).unwrap().1];
    sealer.seal_batch(pieces, &mut wire, |_| {}).unwrap();
    wire
}

fn records() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let record = (20_u8..=26, proptest::collection::vec(any::<u8>(), 0..200));
    proptest::collection::vec(record.prop_filter("no KeyUpdate", |(t, _)| *t != 22), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sealed_records_open_from_a_wire_that_is_cut_anywhere(
        records in records(),
        cipher in 0..CIPHERS.len(),
        version in 0x0303_u16..=0x0304,
        cut in 1..300_usize,
    ) {
        let (mut sealer, mut opener) = (
            Sealer::new(info(version, CIPHERS[cipher], 7), &PROVIDER).unwrap(),
            Opener::new(info(version, CIPHERS[cipher], 7), &PROVIDER).unwrap(),
        );
        let wire = sealed(&mut sealer, &records);
        let (mut waiting, mut got) = (Vec::new(), Vec::new());
        for bytes in wire.chunks(cut) {
            waiting.extend_from_slice(bytes);
            let mut out = vec![0; waiting.len()];
            let mut found = Vec::new();
            let end = opener.open_batch(&waiting, &mut out, |one| found.push(one)).unwrap();
            prop_assert_eq!(end.stop, None);
            let text = |one: &OpenedRecord| out[one.offset..one.offset + one.len].to_vec();
            got.extend(found.iter().map(|one| (one.record_type, text(one))));
            waiting.drain(..end.consumed);
        }
        prop_assert_eq!(got, records);
    }
}

#[test]
fn a_refused_batch_spends_no_number() {
    let mut sealer = sealer().with_limits(KeyLimits { soft: 1, hard: 2 });
    let long = vec![0; 16385];
    let piece = |plaintext| RecordPlaintext {
        record_type: 23,
        plaintext,
    };
    let mut out = vec![0; 40_000];
    let refused = sealer.seal_batch([piece(b"ok"), piece(&long)].into_iter(), &mut out, |_| {});
    assert_eq!(
        refused,
        Err(Error::FragmentTooLong {
            len: 16385,
            max: 16384
        })
    );
    let refused = sealer.seal_batch([piece(b"a"); 3].into_iter(), &mut out, |_| {});
    assert_eq!(refused, Err(Error::KeyExhausted { limit: 2 }));
    let refused = sealer.seal(23, b"no room", &mut [0; 28]);
    assert_eq!(refused, Err(Error::NoRoom { need: 29, have: 28 }));
    assert_eq!(sealer.rec_seq(), 0);
    assert!(!sealer.needs_rekey());
    assert_eq!(sealer.seal(23, b"a", &mut out), Ok(23));
    assert!(sealer.needs_rekey());
}

#[test]
fn a_batch_stops_at_a_key_update_and_goes_on_under_the_next_key() {
    let secret = TrafficSecret::new(0x1301, &[9; 32], 0).unwrap();
    let next = secret.next(&PROVIDER).unwrap();
    let keys = |secret: &TrafficSecret| secret.crypto_info(&PROVIDER, 0).unwrap();
    let mut sealer = Sealer::new(keys(&secret), &PROVIDER).unwrap();
    let mut opener = Opener::new(keys(&secret), &PROVIDER).unwrap();

    let mut wire = sealed(
        &mut sealer,
        &[(23, b"old".to_vec()), (22, vec![24, 0, 0, 1, 0])],
    );
    let old = wire.len();
    sealer.rekey(keys(&next), &PROVIDER).unwrap();
    wire.extend(sealed(&mut sealer, &[(23, b"new".to_vec())]));

    let mut out = vec![0; wire.len()];
    let end = opener.open_batch(&wire, &mut out, |_| {}).unwrap();
    assert_eq!((end.consumed, end.stop), (old, Some(BatchStop::KeyUpdate)));
    let paused = opener.open_batch(&wire[old..], &mut out, |_| {});
    assert_eq!(paused, Err(Error::KeyExpired), "K-9");
    opener.rekey(keys(&next), &PROVIDER).unwrap();
    let end = opener.open_batch(&wire[old..], &mut out, |_| {}).unwrap();
    assert_eq!((&out[..end.written], end.stop), (&b"new"[..], None));
}

#[test]
fn a_bad_record_leaves_no_plaintext_and_spends_no_number() {
    let wire = sealed(&mut sealer(), &[(23, vec![0xaa; 100])]);
    for at in 5..wire.len() {
        let mut bad = wire.clone();
        bad[at] ^= 1;
        let (mut opener, mut out) = (opener(), vec![0; 200]);
        let end = opener.open_batch(&bad, &mut out, |_| {}).unwrap();
        assert_eq!(end.stop, Some(BatchStop::Bad(Error::BadTag)), "byte {at}");
        assert!(!out.contains(&0xaa), "byte {at}");
        assert_eq!(opener.rec_seq(), 0);
    }
}

#[test]
fn a_refused_rekey_changes_nothing() {
    let mut opener = opener();
    let mismatch = opener.rekey(info(0x0304, CIPHERS[1], 0), &PROVIDER);
    assert_eq!(
        mismatch,
        Err(Error::RekeyMismatch {
            what: "cipher",
            installed: 51,
            given: 52
        }),
        "K-20"
    );
    let wire = sealed(&mut sealer(), &[(23, b"still".to_vec())]);
    let mut out = [0; 40];
    assert_eq!(opener.open(&wire, &mut out).unwrap().len, 5);

    let mut old = Sealer::new(info(0x0303, CIPHERS[0], 0), &PROVIDER).unwrap();
    assert_eq!(
        old.rekey(info(0x0303, CIPHERS[0], 0), &PROVIDER),
        Err(Error::NoRekeyIn12),
        "K-3"
    );
}
