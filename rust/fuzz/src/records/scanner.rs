//! KeyUpdates in handshake records, whole and one byte at a time.

use ktls_core::rekey::{FoundKeyUpdate, KeyUpdateFault, KeyUpdateScanner, Reply};
use ktls_core::wire::ContentType;

use super::script::ScriptRecord;

/// However the handshake is cut into records, the same KeyUpdates are found.
pub(super) fn check(records: &[ScriptRecord]) {
    let whole = || records.iter().enumerate();
    let cut = whole().flat_map(|(i, record)| {
        let cut = record.record_type == ContentType::HANDSHAKE.0;
        let size = if cut { 1 } else { record.text.len().max(1) };
        // Another type counts although it is empty; a handshake record without bytes cannot be cut.
        let empty = (!cut && record.text.is_empty()).then_some(&[][..]);
        let pieces = record.text.chunks(size).chain(empty);
        pieces.map(move |text| (i, record.record_type, text))
    });
    let whole = whole().map(|(i, record)| (i, record.record_type, &*record.text));
    assert_eq!(scan(whole), scan(cut));
}

/// The answers that the KeyUpdates ask for, up to the first that the RFC forbids.
pub(super) fn replies(records: &[ScriptRecord]) -> Vec<Reply> {
    let (mut scanner, mut all) = (KeyUpdateScanner::default(), Vec::new());
    for ScriptRecord { record_type, text } in records {
        scanner.feed(*record_type, text, |found| all.push(found));
    }
    let good = all.iter().take_while(|found| found.fault.is_none());
    let reply = |found: &FoundKeyUpdate| match found.update_requested {
        true => Reply::Requested,
        false => Reply::NotRequested,
    };
    good.map(reply).collect()
}

/// What is found, each in which of the whole records, and whether the end is a boundary.
fn scan<'a>(
    records: impl Iterator<Item = (usize, u8, &'a [u8])>,
) -> (Vec<(usize, FoundKeyUpdate)>, bool) {
    let (mut scanner, mut all) = (KeyUpdateScanner::default(), Vec::new());
    for (i, record_type, text) in records {
        scanner.feed(record_type, text, |found| all.push((i, cut_apart(found))));
    }
    (all, scanner.at_boundary())
}

/// Where each byte is a record, none lies behind a KeyUpdate in the same.
fn cut_apart(found: FoundKeyUpdate) -> FoundKeyUpdate {
    FoundKeyUpdate {
        record: 0,
        fault: found
            .fault
            .filter(|&fault| fault != KeyUpdateFault::DataAfter),
        ..found
    }
}
