//! Records opened together have the same outcome as records opened one after the other, good or
//! bad.

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::record::{BatchEnd, Framing, OpenPart, OpenedRecord, SealPart};
use ktls_core::suite::KeyLimits;
use ktls_core::wire::{TLS12, TLS13};
use ktls_core::{CryptoInfo, Error, Opener, Sealer};
use proptest::collection::vec;
use proptest::prelude::*;

/// No key of aws-lc is interleaved; with [`AesGcmPreference::Auto`] it is where the CPU allows.
static ALONE: Aead = Aead::with(AesGcmPreference::AwsLc);
static TOGETHER: Aead = Aead::with(AesGcmPreference::Auto);
const GCM: u16 = 51;

fn info(version: u16, rec_seq: u64) -> CryptoInfo {
    CryptoInfo::new(version, GCM, &[1; 8], &[2; 16], &[3; 4], rec_seq).unwrap()
}

/// A record that the peer sends: mostly data, sometimes an unusual one.
#[derive(Clone, Debug)]
enum Sent {
    Data(Vec<u8>),
    Padded(Vec<u8>, usize),
    OnlyPadding(usize),
    KeyUpdate,
    Forged(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = || vec(any::<u8>(), 0..80);
    prop_oneof![
        40 => data().prop_map(Sent::Data),
        2 => vec(any::<u8>(), 500..3000).prop_map(Sent::Data),
        5 => (data(), 0..40_usize).prop_map(|(data, zeros)| Sent::Padded(data, zeros)),
        1 => (0..20_usize).prop_map(Sent::OnlyPadding),
        1 => Just(Sent::KeyUpdate),
        1 => data().prop_map(Sent::Forged),
    ]
}

impl Sent {
    fn seal(&self, sealer: &mut Sealer, wire: &mut Vec<u8>) {
        let (record_type, plaintext) = match self {
            Self::Data(data) | Self::Forged(data) => (23, data.clone()),
            // The content type in the middle and zeros behind: one of them is our "type".
            Self::Padded(data, zeros) => (0, [data, &[23][..], &vec![0; *zeros]].concat()),
            Self::OnlyPadding(zeros) => (0, vec![0; *zeros]),
            Self::KeyUpdate => (22, vec![24, 0, 0, 1, 0]),
        };
        let start = wire.len();
        wire.resize(start + plaintext.len() + sealer.overhead(), 0);
        sealer
            .seal(record_type, &plaintext, &mut wire[start..])
            .unwrap();
        if matches!(self, Self::Forged(_)) {
            *wire.last_mut().unwrap() ^= 1;
        }
    }
}

/// The end of a batch, its records with their plaintexts, the next number, and whether the opener
/// pauses.
type Outcome = (
    Result<BatchEnd, Error>,
    Vec<(OpenedRecord, Vec<u8>)>,
    u64,
    bool,
);

/// Opens `wire` in one call, or in about `parts` parts, the last of them first.
fn opened(
    provider: &'static Aead,
    version: u16,
    first: u64,
    wire: &[u8],
    room: usize,
    parts: Option<usize>,
) -> Outcome {
    let info = info(version, first);
    let mut opener = Opener::with_framing(info, provider, Framing::rfc).unwrap();
    let (mut out, mut found) = (vec![0xa5; room], Vec::new());
    let push = |one| found.push(one);
    let end = match parts {
        None => opener.open_batch(wire, &mut out, push),
        Some(count) => {
            let run = |parts: &mut [OpenPart<'_>]| parts.iter_mut().rev().for_each(OpenPart::open);
            opener.open_parts(wire, &mut out, count, run, push)
        }
    };
    let text = |one: &OpenedRecord| out[one.offset..one.offset + one.len].to_vec();
    let found: Vec<_> = found.iter().map(|one| (*one, text(one))).collect();
    if let Ok(end) = end {
        let left = &out[end.written..];
        assert!(
            left.iter().all(|&byte| byte == 0 || byte == 0xa5),
            "plaintext is left behind"
        );
    }
    (end, found, opener.rec_seq(), opener.is_paused())
}

#[test]
fn a_refused_batch_of_parts_takes_no_number() {
    let mut sealer = Sealer::new(info(TLS13, 9), &TOGETHER).unwrap();
    let pieces = [b"ab", b"cd"].map(|plaintext| ktls_core::record::RecordPlaintext {
        record_type: 23,
        plaintext,
    });
    let mut short = [0; 47];
    let refused = sealer.seal_parts(pieces.into_iter(), &mut short, 2);
    let want = Error::NoRoom { need: 48, have: 47 };
    assert_eq!(refused.map(|parts| parts.len()).unwrap_err(), want);
    assert_eq!(sealer.rec_seq(), 9);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn records_opened_together_end_as_those_opened_alone(
        sent in vec(sent(), 0..50),
        version in TLS12..=TLS13,
        short_of in prop_oneof![Just(0_usize), 0..200_usize, 0..4000_usize],
        cut in 0..40_usize,
        first in prop_oneof![Just(7_u64), u64::MAX - 60..u64::MAX - 50],
        parts in 0..5_usize,
    ) {
        let endless = KeyLimits { soft: u64::MAX, hard: u64::MAX };
        let mut sealer = Sealer::new(info(version, first), &ALONE).unwrap().with_limits(endless);
        let mut wire = Vec::new();
        for one in &sent {
            one.seal(&mut sealer, &mut wire);
        }
        wire.truncate(wire.len().saturating_sub(cut));
        let room = wire.len().saturating_sub(short_of);
        let alone = opened(&ALONE, version, first, &wire, room, None);
        prop_assert_eq!(&opened(&TOGETHER, version, first, &wire, room, None), &alone);
        for provider in [&TOGETHER, &ALONE] {
            prop_assert_eq!(&opened(provider, version, first, &wire, room, Some(parts)), &alone);
        }
    }

    #[test]
    fn records_sealed_together_equal_those_sealed_alone(
        lens in vec(prop_oneof![0..300_usize, 0..3000_usize], 0..60),
        version in TLS12..=TLS13,
        record_type in any::<u8>(),
        parts in 0..5_usize,
    ) {
        let plaintexts: Vec<Vec<u8>> = lens.iter().map(|&len| vec![len as u8; len]).collect();
        let sealed = |provider| {
            let mut sealer = Sealer::new(info(version, 9), provider).unwrap();
            let pieces = plaintexts.iter().map(|plaintext| ktls_core::record::RecordPlaintext { record_type, plaintext });
            let mut wire = vec![0; sealer.measure(pieces.clone()).unwrap().1];
            let mut places = Vec::new();
            let written = sealer.seal_batch(pieces, &mut wire, |place| places.push(place)).unwrap();
            (wire, places, written, sealer.rec_seq())
        };
        let alone = sealed(&ALONE);
        prop_assert_eq!(&sealed(&TOGETHER), &alone);

        for provider in [&TOGETHER, &ALONE] {
            let mut sealer = Sealer::new(info(version, 9), provider).unwrap();
            let pieces = plaintexts.iter().map(|plaintext| ktls_core::record::RecordPlaintext { record_type, plaintext });
            let mut wire = vec![0; alone.2];
            sealer.seal_parts(pieces, &mut wire, parts).unwrap().into_iter().rev().for_each(SealPart::seal);
            prop_assert_eq!((&wire, sealer.rec_seq()), (&alone.0, alone.3));
        }
    }
}
