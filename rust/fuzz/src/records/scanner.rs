//! Scans handshake records for KeyUpdates, whole and one byte at a time.

use ktls_core::rekey::{FoundKeyUpdate, KeyUpdateFault, KeyUpdateScanner, Reply};
use ktls_core::wire::ContentType;

use super::script::ScriptRecord;

/// Checks that the same KeyUpdates are found however the handshake is split into records.
pub(super) fn check(records: &[ScriptRecord]) {
    let whole = || records.iter().enumerate();
    let cut = whole().flat_map(|(i, record)| {
        let cut = record.record_type == ContentType::HANDSHAKE.0;
        let size = if cut { 1 } else { record.text.len().max(1) };
        // An empty record of another type is kept, since it matters; an empty handshake record
        // cannot be split.
        let empty = (!cut && record.text.is_empty()).then_some(&[][..]);
        let pieces = record.text.chunks(size).chain(empty);
        pieces.map(move |text| (i, record.record_type, text))
    });
    let whole = whole().map(|(i, record)| (i, record.record_type, &*record.text));
    assert_eq!(scan(whole), scan(cut));
}

/// Returns the replies that the KeyUpdates request, up to the first KeyUpdate that the RFC forbids.
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

/// Returns the KeyUpdates, each with the index of its whole record, and whether the end is a
/// message boundary.
fn scan<'a>(
    records: impl Iterator<Item = (usize, u8, &'a [u8])>,
) -> (Vec<(usize, FoundKeyUpdate)>, bool) {
    let (mut scanner, mut all) = (KeyUpdateScanner::default(), Vec::new());
    for (i, record_type, text) in records {
        scanner.feed(record_type, text, |found| all.push((i, cut_apart(found))));
    }
    (all, scanner.at_boundary())
}

/// Returns `found` as it would be if each byte were a record: without the index of the record, and
/// without the fault of data after the message in its record.
fn cut_apart(found: FoundKeyUpdate) -> FoundKeyUpdate {
    FoundKeyUpdate {
        record: 0,
        fault: found
            .fault
            .filter(|&fault| fault != KeyUpdateFault::DataAfter),
        ..found
    }
}
