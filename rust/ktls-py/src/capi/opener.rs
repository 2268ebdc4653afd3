//! Opening and scanning from C.

use std::ffi::c_int;
use std::sync::Mutex;

use ktls_aead::PROVIDER;
use ktls_core::record::{BatchStop, OpenedRecord};
use ktls_core::rekey::{FoundKeyUpdate, KeyUpdateFault, KeyUpdateScanner};
use ktls_core::{Errno, Opener};

use super::{CRefusal, check_apart, count, info_of, owned, slice, slice_mut, status};
use crate::lock::guard;

/// `ktls_opener`
pub(super) struct COpener(Mutex<Opener>);

/// `ktls_record`
#[repr(C)]
pub(super) struct CRecord {
    offset: usize,
    len: usize,
    record_type: u8,
}

/// `ktls_batch_end`
#[repr(C)]
pub(super) struct CBatchEnd {
    consumed: usize,
    written: usize,
    records: usize,
    stop: c_int,
}

/// `ktls_key_update`
#[repr(C)]
pub(super) struct CKeyUpdate {
    record: usize,
    update_requested: u8,
    fault: u8,
}

/// `KTLS_STOP_KEY_UPDATE`
const KEY_UPDATE: c_int = 1;
/// `KTLS_STOP_FULL`
const FULL: c_int = 2;

pub(super) unsafe extern "C" fn opener_new(info: *const u8, len: usize) -> *mut COpener {
    let made = || -> Result<COpener, CRefusal> {
        // SAFETY: the header requires that `len` bytes can be read at `info`.
        let inner = Opener::new(unsafe { info_of(info, len) }?, &PROVIDER)?;
        Ok(COpener(Mutex::new(inner)))
    };
    owned(made())
}

pub(super) unsafe extern "C" fn opener_free(opener: *mut COpener) {
    if !opener.is_null() {
        // SAFETY: `opener_new` made it by a box, and the caller does not use it again.
        drop(unsafe { Box::from_raw(opener) });
    }
}

pub(super) unsafe extern "C" fn opener_rekey(
    opener: *mut COpener,
    info: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: an opener that was not freed; all access to what is in it is by its lock.
    let opener = unsafe { &*opener };
    let rekey = || -> Result<(), CRefusal> {
        // SAFETY: the header requires that `len` bytes can be read at `info`.
        let info = unsafe { info_of(info, len) }?;
        Ok(guard(&opener.0).rekey(info, &PROVIDER)?)
    };
    status(rekey())
}

pub(super) unsafe extern "C" fn open_batch(
    opener: *mut COpener,
    wire: *const u8,
    wire_len: usize,
    out: *mut u8,
    room: usize,
    records: *mut CRecord,
    max_records: usize,
    end: *mut CBatchEnd,
) -> i64 {
    // SAFETY: as in `opener_rekey`.
    let opener = unsafe { &*opener };
    let open = || -> Result<usize, CRefusal> {
        check_apart(wire, wire_len, out, room)?;
        // SAFETY: the header requires that these lengths can be read and written at these places;
        // wire and output do not overlap, as just checked, and `records` shares memory with nothing
        // else.
        let (wire, out, records) = unsafe {
            (
                slice(wire, wire_len),
                slice_mut(out, room),
                slice_mut(records, max_records),
            )
        };
        let (found, how_far) = open_into(&mut guard(&opener.0), wire, out, records)?;
        // SAFETY: the header requires that `end` can be written, unless it is NULL.
        if let Some(end) = unsafe { end.as_mut() } {
            *end = how_far;
        }
        Ok(found)
    };
    count(open())
}

fn open_into(
    opener: &mut Opener,
    wire: &[u8],
    out: &mut [u8],
    records: &mut [CRecord],
) -> Result<(usize, CBatchEnd), CRefusal> {
    let mut found = 0;
    let end = opener.open_up_to(records.len(), wire, out, |one| {
        if let Some(place) = records.get_mut(found) {
            *place = one.into();
        }
        found += 1;
    })?;
    let stop = match end.stop {
        Some(BatchStop::Bad(error)) if found == 0 => return Err(error.into()),
        // The message is kept for `last_error`.
        Some(BatchStop::Bad(error)) => CRefusal::from(error).keep_message(),
        Some(BatchStop::KeyUpdate) => KEY_UPDATE,
        Some(BatchStop::Full) => FULL,
        None if found == records.len() && end.consumed < wire.len() => FULL,
        None => 0,
    };
    let (consumed, written) = (end.consumed, end.written);
    Ok((
        found,
        CBatchEnd {
            consumed,
            written,
            records: found,
            stop,
        },
    ))
}

impl From<OpenedRecord> for CRecord {
    fn from(one: OpenedRecord) -> Self {
        Self {
            offset: one.offset,
            len: one.len,
            record_type: one.record_type,
        }
    }
}

pub(super) unsafe extern "C" fn scan_key_updates(
    data: *const u8,
    data_len: usize,
    records: *const CRecord,
    len: usize,
    found: *mut CKeyUpdate,
    max_found: usize,
) -> i64 {
    // SAFETY: the header requires that these lengths can be read and written at these places.
    let (data, records, found) = unsafe {
        (
            slice(data, data_len),
            slice(records, len),
            slice_mut(found, max_found),
        )
    };
    count(scan(data, records, found))
}

fn scan(data: &[u8], records: &[CRecord], found: &mut [CKeyUpdate]) -> Result<usize, CRefusal> {
    let (mut scanner, mut seen) = (KeyUpdateScanner::default(), 0);
    for record in records {
        let end = record.offset.checked_add(record.len);
        let plaintext = end
            .and_then(|end| data.get(record.offset..end))
            .ok_or_else(|| {
                let (offset, len, all) = (record.offset, record.len, data.len());
                let text = format!("a record of {len} bytes at {offset} is not inside {all} bytes");
                CRefusal::new(Errno::Inval, text)
            })?;
        scanner.feed(record.record_type, plaintext, |one| {
            if let Some(place) = found.get_mut(seen) {
                *place = one.into();
            }
            seen += 1;
        });
    }
    Ok(seen)
}

impl From<FoundKeyUpdate> for CKeyUpdate {
    fn from(one: FoundKeyUpdate) -> Self {
        Self {
            record: one.record as usize,
            update_requested: one.update_requested.into(),
            fault: one.fault.map_or(0, |fault| match fault {
                KeyUpdateFault::DataAfter => 1,
                KeyUpdateFault::Interleaved => 2,
                KeyUpdateFault::BadLength => 3,
                KeyUpdateFault::BadValue => 4,
            }),
        }
    }
}
