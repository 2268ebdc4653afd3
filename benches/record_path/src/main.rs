//! Runs the record path around a cipher that does nothing; `benches/instructions.py` counts its
//! instructions.
//!
//! `record-path CASE ROUNDS` runs a case this many times. Without arguments it lists the cases,
//! each with the records of a round. The instructions of a round are the difference between two
//! runs of different length, so neither the start of the process nor the allocation of buffers is
//! counted.

mod null;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ktls_core::key::TrafficKey;
use ktls_core::record::{Framing, RecordPlaintext};
use ktls_core::rekey::KeyUpdateScanner;
use ktls_core::session::{
    KeyUpdatePolicy, SessionRead, SessionReceiver, SessionSettings, UnsentLimit,
};
use ktls_core::wire::TLS13;
use ktls_core::{CryptoInfo, Opener, Sealer};

use crate::null::{NULL, NullCipher};

const RECORDS: usize = 64;
const APPLICATION_DATA: u8 = 23;
const HANDSHAKE: u8 = 22;

/// The name of a case, the records of a round, and the function that runs this many rounds.
type Case = (&'static str, usize, fn(u32));

const CASES: &[Case] = &[
    ("seal_batch/64", RECORDS, |rounds| seal_batch(64, rounds)),
    ("seal_batch/1400", RECORDS, |rounds| {
        seal_batch(1400, rounds)
    }),
    ("seal_batch/16384", RECORDS, |rounds| {
        seal_batch(16384, rounds)
    }),
    ("seal/1400", 1, seal),
    ("open_batch/64", RECORDS, |rounds| open_batch(64, rounds)),
    ("open_batch/1400", RECORDS, |rounds| {
        open_batch(1400, rounds)
    }),
    ("open_batch/16384", RECORDS, |rounds| {
        open_batch(16384, rounds)
    }),
    ("open/1400", 1, open),
    ("session_read/1400", 1, session_read),
    ("header_and_nonce/1400", 1, header_and_nonce),
    ("deframe/1400", RECORDS, deframe),
    ("scan/64", RECORDS, scan),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [name, rounds] = &arguments[..] else {
        for (name, records, _) in CASES {
            println!("{name}\t{records}");
        }
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(known, ..)| known == name);
    let (Some((_, _, run)), Ok(rounds)) = (case, rounds.parse()) else {
        eprintln!("record-path: no case {name:?} or no number of rounds {rounds:?}");
        return ExitCode::FAILURE;
    };
    run(rounds);
    ExitCode::SUCCESS
}

fn seal_batch(size: usize, rounds: u32) {
    let (mut sealer, data) = (sealer(), vec![7; size * RECORDS]);
    let mut out = vec![0; (size + sealer.overhead()) * RECORDS];
    for _ in 0..rounds {
        let written = sealer.seal_batch(black_box(pieces(&data, size)), &mut out, |record| {
            black_box(record);
        });
        assert_eq!(written, Ok(out.len()));
    }
}

fn seal(rounds: u32) {
    let (mut sealer, data) = (sealer(), [7; 1400]);
    let mut out = vec![0; data.len() + sealer.overhead()];
    for _ in 0..rounds {
        let written = sealer.seal(APPLICATION_DATA, black_box(&data), &mut out);
        assert_eq!(written, Ok(out.len()));
    }
}

fn open_batch(size: usize, rounds: u32) {
    let (mut opener, wire) = (opener(), wire(size, RECORDS));
    let mut out = vec![0; wire.len()];
    for _ in 0..rounds {
        let end = opener.open_batch(black_box(&wire), &mut out, |record| {
            black_box(record);
        });
        assert!(end.is_ok_and(|end| end.written == size * RECORDS && end.stop.is_none()));
    }
}

fn open(rounds: u32) {
    let (mut opener, wire) = (opener(), wire(1400, 1));
    let mut out = vec![0; wire.len()];
    for _ in 0..rounds {
        let inner = opener.open(black_box(&wire), &mut out);
        assert!(inner.is_ok_and(|inner| inner.len == 1400));
    }
}

/// Receives and reads one record at a time, each into a buffer with room for two.
fn session_read(rounds: u32) {
    let settings = SessionSettings {
        provider: &NULL,
        policy: KeyUpdatePolicy::default(),
        stats: Arc::default(),
        unsent: UnsentLimit::BOUNDED,
    };
    let mut receiver = SessionReceiver::new(info(), Box::new(NullCipher), &settings, &[])
        .expect("the null cipher knows every key");
    let (wire, mut out) = (wire(1400, 1), vec![0; 2 * 1400]);
    for _ in 0..rounds {
        receiver.room(out.len())[..wire.len()].copy_from_slice(black_box(&wire));
        receiver.filled(wire.len());
        let read = receiver.read(&mut out, Duration::ZERO);
        assert!(matches!(read, Ok(SessionRead::Data(len)) if len.get() == 1400));
    }
}

/// Seals records without the counters and checks of a [`Sealer`].
fn header_and_nonce(rounds: u32) {
    let key = TrafficKey::new(info(), &NULL).expect("the null cipher knows every key");
    let data = [7; 1400];
    let mut out = vec![0; data.len() + key.overhead()];
    for seq in 0..u64::from(rounds) {
        key.seal(seq, APPLICATION_DATA, black_box(&data), &mut out);
    }
    black_box(&out);
}

fn deframe(rounds: u32) {
    let framing = Framing::kernel(info().cipher(), TLS13);
    let wire = wire(1400, RECORDS);
    for _ in 0..rounds {
        let mut rest = black_box(&wire[..]);
        while let Ok(Some(frame)) = framing.deframe(rest) {
            rest = frame.rest();
        }
        assert!(rest.is_empty());
    }
}

/// Scans session tickets, which contain no KeyUpdate.
fn scan(rounds: u32) {
    let mut scanner = KeyUpdateScanner::default();
    let ticket = [&[4, 0, 0, 60][..], &[0; 60]].concat();
    for _ in 0..rounds {
        for _ in 0..RECORDS {
            scanner.feed(HANDSHAKE, black_box(&ticket), |found| {
                black_box(found);
            });
        }
    }
}

fn sealer() -> Sealer {
    Sealer::new(info(), &NULL).expect("the null cipher knows every key")
}

fn opener() -> Opener {
    Opener::new(info(), &NULL).expect("the null cipher knows every key")
}

fn info() -> CryptoInfo {
    const AES_GCM_128: u16 = 51;
    CryptoInfo::new(TLS13, AES_GCM_128, &[1; 8], &[2; 16], &[3; 4], 0).expect("the lengths fit")
}

fn pieces(data: &[u8], size: usize) -> impl Iterator<Item = RecordPlaintext<'_>> + Clone {
    data.chunks_exact(size).map(|plaintext| RecordPlaintext {
        record_type: APPLICATION_DATA,
        plaintext,
    })
}

/// Returns records as the null cipher makes them: a header each, and zeros for the rest.
fn wire(size: usize, records: usize) -> Vec<u8> {
    let mut sealer = sealer();
    let data = vec![7; size * records];
    let mut out = vec![0; (size + sealer.overhead()) * records];
    let written = sealer.seal_batch(pieces(&data, size), &mut out, |_| {});
    assert_eq!(written, Ok(out.len()));
    out
}
