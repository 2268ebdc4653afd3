//! Sealing from C.

use std::ffi::c_int;

use ktls_aead::PROVIDER;
use ktls_core::record::RecordPlaintext;
use ktls_core::wire::MAX_PLAINTEXT;
use ktls_core::{Errno, Sealer};

use super::{CRefusal, check_apart, count, info_of, owned, slice, slice_mut, status};
use crate::lock::guard;
use crate::shared_sealer::SharedSealer;

/// `ktls_sealer`
pub(super) struct CSealer(SharedSealer);

/// `ktls_piece`
#[repr(C)]
pub(super) struct CPiece {
    data: *const u8,
    len: usize,
    record_type: u8,
}

pub(super) unsafe extern "C" fn sealer_new(info: *const u8, len: usize) -> *mut CSealer {
    let made = || -> Result<CSealer, CRefusal> {
        // SAFETY: the header requires that `len` bytes can be read at `info`.
        let sealer = Sealer::new(unsafe { info_of(info, len) }?, &PROVIDER)?;
        Ok(CSealer(SharedSealer::new(sealer)))
    };
    owned(made())
}

pub(super) unsafe extern "C" fn sealer_free(sealer: *mut CSealer) {
    if !sealer.is_null() {
        // SAFETY: `sealer_new` made it by a box, and the caller does not use it again.
        drop(unsafe { Box::from_raw(sealer) });
    }
}

pub(super) unsafe extern "C" fn sealer_rekey(
    sealer: *mut CSealer,
    info: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: a sealer that was not freed; all access to what changes in it is by its lock.
    let sealer = unsafe { &*sealer };
    let rekey = || -> Result<(), CRefusal> {
        let call = sealer.0.begin_call()?;
        // SAFETY: the header requires that `len` bytes can be read at `info`.
        let info = unsafe { info_of(info, len) }?;
        Ok(guard(call.sealer).rekey(info, &PROVIDER)?)
    };
    status(rekey())
}

pub(super) unsafe extern "C" fn sealer_overhead(sealer: *const CSealer) -> usize {
    // SAFETY: as in `sealer_rekey`.
    unsafe { &*sealer }.0.overhead()
}

pub(super) unsafe extern "C" fn seal_batch(
    sealer: *mut CSealer,
    pieces: *const CPiece,
    len: usize,
    out: *mut u8,
    room: usize,
    lengths: *mut usize,
) -> i64 {
    // SAFETY: as in `sealer_rekey`; the header requires that `len` pieces can be read.
    let (sealer, pieces) = unsafe { (&*sealer, slice(pieces, len)) };
    let seal = || -> Result<usize, CRefusal> {
        let call = sealer.0.begin_call()?;
        for piece in pieces {
            piece.check(&sealer.0)?;
            check_apart(piece.data, piece.len, out, room)?;
        }
        // SAFETY: the header requires that these lengths can be written at `out` and, unless NULL,
        // at `lengths`, which shares memory with nothing else; `out` overlaps no piece, as just
        // checked.
        let (out, lengths) = unsafe { (slice_mut(out, room), slice_mut(lengths, len)) };
        let mut places = lengths.iter_mut();
        let sealed = guard(call.sealer).seal_batch(pieces.iter().map(CPiece::get), out, |at| {
            if let Some(length) = places.next() {
                *length = at.len();
            }
        });
        Ok(sealed?)
    };
    count(seal())
}

impl CPiece {
    /// Must be called before a reference is made from its pointer.
    fn check(&self, sealer: &SharedSealer) -> Result<(), CRefusal> {
        sealer.check_type(self.record_type)?;
        let (len, max) = (self.len, MAX_PLAINTEXT);
        if len > max {
            return Err(ktls_core::Error::FragmentTooLong { len, max }.into());
        }
        if len > 0 && self.data.is_null() {
            let text = format!("a piece of {len} bytes is at NULL");
            return Err(CRefusal::new(Errno::Inval, text));
        }
        Ok(())
    }

    fn get(&self) -> RecordPlaintext<'_> {
        RecordPlaintext {
            record_type: self.record_type,
            // SAFETY: the header requires that `len` bytes can be read at `data` during the call.
            plaintext: unsafe { slice(self.data, self.len) },
        }
    }
}
