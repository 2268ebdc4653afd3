//! Opens the wire with an [`Opener`], record by record and in batches.

use ktls_aead::Aead;
use ktls_core::record::{BatchEnd, BatchStop};
use ktls_core::{Error, Opener};

use super::script::{ALONE, MAX_ROOM, PeerScript, ScriptRecord, ScriptSetup, TOGETHER};

/// The byte that outputs are filled with before they are written.
const STALE: u8 = 0xa5;

/// The records that were opened, and the error that ended the opening, if any.
#[derive(Debug, Eq, PartialEq)]
struct OpenerOutcome {
    records: Vec<ScriptRecord>,
    error: Option<Error>,
    /// The number of the next record, and the generation of the key.
    at: (u64, u64),
}

/// Checks that batches have the same outcome as single records, wherever the wire is split and for
/// any size of the output.
pub(super) fn check(script: &PeerScript) {
    let want = one_by_one(script);
    for (record, sent) in want.records.iter().zip(&script.sent) {
        assert_eq!(record, sent, "the opened record equals the sealed one");
    }
    assert!(
        want.records.len() <= script.sent.len(),
        "a forged record was opened"
    );
    assert_eq!(batches(script, &ALONE), want, "each record alone");
    assert_eq!(batches(script, &TOGETHER), want, "records together");
}

fn one_by_one(script: &PeerScript) -> OpenerOutcome {
    let mut opener = opener(&script.setup, &ALONE);
    let (mut rest, mut records) = (&*script.wire, Vec::new());
    let mut out = vec![STALE; MAX_ROOM];
    let error = loop {
        let frame = match opener.framing().deframe(rest) {
            Ok(Some(frame)) => frame,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let record = frame.bytes();
        rest = frame.rest();
        let part = &record[..script.pieces[0] % record.len()];
        let refused = opener.open(part, &mut out);
        assert_eq!(refused, Err(Error::NotOneRecord { len: part.len() }));
        match opener.open(record, &mut out) {
            Ok(inner) => records.push(ScriptRecord {
                record_type: inner.record_type,
                text: out[..inner.len].to_vec(),
            }),
            Err(error) => break Some(error),
        }
        resume(&script.setup, &mut opener, &ALONE);
    };
    outcome(&opener, records, error)
}

/// Opens the wire in batches. It arrives piece by piece, as from a socket.
fn batches(script: &PeerScript, provider: &'static Aead) -> OpenerOutcome {
    let mut opener = opener(&script.setup, provider);
    let mut pieces = script.pieces.iter().cycle();
    let mut rooms = script.rooms.iter().cycle();
    let (mut at, mut have, mut records) = (0, 0, Vec::new());
    let mut room = 0;
    let error = loop {
        let end = batch(&mut opener, &script.wire[at..have], room, &mut records);
        at += end.consumed;
        room = *rooms.next().expect("the cycle never ends");
        match end.stop {
            Some(BatchStop::Bad(error)) => break Some(error),
            Some(BatchStop::KeyUpdate) => resume(&script.setup, &mut opener, provider),
            Some(BatchStop::Full) if end.consumed == 0 => room = MAX_ROOM,
            Some(BatchStop::Full) => {}
            None if have == script.wire.len() => break None,
            None => {
                let piece = pieces.next().expect("the cycle never ends");
                have = script.wire.len().min(have + piece);
            }
        }
    };
    outcome(&opener, records, error)
}

/// Opens one batch and appends its plaintexts to `records`. Checks that no other plaintext is left
/// in the output.
fn batch(
    opener: &mut Opener,
    wire: &[u8],
    room: usize,
    records: &mut Vec<ScriptRecord>,
) -> BatchEnd {
    let (mut out, mut found) = (vec![STALE; room], Vec::new());
    let end = opener
        .open_batch(wire, &mut out, |one| found.push(one))
        .expect("the opener is not paused");
    let (texts, rest) = out.split_at(end.written);
    records.extend(found.iter().map(|one| ScriptRecord {
        record_type: one.record_type,
        text: texts[one.offset..][..one.len].to_vec(),
    }));
    assert!(
        rest.iter().all(|byte| [0, STALE].contains(byte)),
        "plaintext is left in the output"
    );
    end
}

fn opener(setup: &ScriptSetup, provider: &'static Aead) -> Opener {
    Opener::with_framing(setup.info(0), provider, setup.framing())
        .expect("the provider has every cipher")
}

/// Installs the next key if the opener is paused by a KeyUpdate, as user space does.
fn resume(setup: &ScriptSetup, opener: &mut Opener, provider: &'static Aead) {
    if opener.is_paused() {
        let next = setup.info(opener.generation() + 1);
        opener
            .rekey(next, provider)
            .expect("the next key is accepted");
    }
}

fn outcome(opener: &Opener, records: Vec<ScriptRecord>, error: Option<Error>) -> OpenerOutcome {
    let at = (opener.rec_seq(), opener.generation());
    OpenerOutcome { records, error, at }
}
