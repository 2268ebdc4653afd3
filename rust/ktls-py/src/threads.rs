//! The argument `threads` of batches.

use ktls_core::record::{BatchEnd, OpenPart, OpenedRecord, RecordPlaintext, SealPart};
use ktls_core::{Errno, Error, Opener, Sealer};
use ktls_net::spread;
use pyo3::prelude::*;

use crate::errors::refused;

/// A number of threads, including the caller's; at least 1.
#[derive(Clone, Copy)]
pub(crate) struct ThreadCount(usize);

/// Guards against typos: no machine has this many cores.
const MOST: usize = 1024;
/// The number of parts per thread, so that threads which finish early take over work of others.
const PARTS: usize = 4;

impl ThreadCount {
    pub(crate) fn new(count: usize) -> PyResult<Self> {
        match count {
            1..=MOST => Ok(Self(count)),
            _ => {
                let text = format!("{count} threads are not 1 to {MOST}");
                Err(refused(Errno::Inval, text))
            }
        }
    }

    pub(crate) fn seal<'p>(
        self,
        sealer: &mut Sealer,
        pieces: impl ExactSizeIterator<Item = RecordPlaintext<'p>> + Clone + Send,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if self.0 == 1 {
            return sealer.seal_batch(pieces, out, |_| {});
        }
        let need = sealer.measure(pieces.clone())?.1;
        let parts = sealer.seal_parts(pieces, out, self.parts())?;
        let threads = self.0.min(parts.len());
        spread(parts.into_iter(), threads, SealPart::seal);
        Ok(need)
    }

    pub(crate) fn open(
        self,
        opener: &mut Opener,
        wire: &[u8],
        out: &mut [u8],
        done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        if self.0 == 1 {
            return opener.open_batch(wire, out, done);
        }
        let run = |parts: &mut [OpenPart<'_>]| {
            let threads = self.0.min(parts.len());
            spread(parts.iter_mut(), threads, OpenPart::open);
        };
        opener.open_parts(wire, out, self.parts(), run, done)
    }

    const fn parts(self) -> usize {
        self.0 * PARTS
    }
}
