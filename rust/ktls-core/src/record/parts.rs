//! Batches cut into parts, which threads may seal or open in any order and at the same time.

use std::iter::{Skip, Take};
use std::mem;
use std::ops::{ControlFlow, Range};

use crate::error::Error;
use crate::key::TrafficKey;
use crate::record::group::{GroupOpener, GroupSize, OpenedGroup, RecordSpan, seal_group};
use crate::record::open::OpenBatch;
use crate::record::{BatchEnd, MAX_GROUP, OpenedRecord, Opener, RecordPlaintext, Sealer};

/// Records of a batch, to be sealed. Their sequence numbers are taken already.
#[must_use]
#[derive(Debug)]
pub struct SealPart<'a, I> {
    key: &'a TrafficKey,
    numbers: Range<u64>,
    pieces: Take<Skip<I>>,
    out: &'a mut [u8],
}

impl<'p, I: Iterator<Item = RecordPlaintext<'p>>> SealPart<'_, I> {
    /// Seals the records. Nothing can fail.
    pub fn seal(self) {
        seal_group(self.key, self.numbers, self.pieces, self.out, |_| {});
    }
}

impl Sealer {
    /// Takes the sequence numbers of all `pieces`, or of none, and returns about `count` parts;
    /// fewer if there are few records. `out` holds the records once every part is sealed. See
    /// [`Sealer::seal_batch`].
    ///
    /// # Errors
    /// Returns the errors of [`Sealer::seal_batch`], and [`Error::NoMemory`] if there is no memory
    /// for the parts. No sequence number is spent then.
    pub fn seal_parts<'s, 'p, I>(
        &'s mut self,
        pieces: I,
        out: &'s mut [u8],
        count: usize,
    ) -> Result<Vec<SealPart<'s, I>>, Error>
    where
        I: ExactSizeIterator<Item = RecordPlaintext<'p>> + Clone,
    {
        let size = part_size(pieces.len(), count);
        let mut parts = try_with_capacity(pieces.len().div_ceil(size))?;
        let numbers = self.take_numbers(pieces.clone(), out.len())?;

        // Nothing below may fail: the sequence numbers are spent.
        let (key, overhead) = (self.key(), self.overhead());
        let mut rest = out;
        let starts = (0..pieces.len()).step_by(size);
        for (start, first) in starts.zip(numbers.clone().step_by(size)) {
            let pieces = pieces.clone().skip(start).take(size);
            let lengths = pieces.clone().map(|piece| piece.plaintext.len() + overhead);
            let (out, later) = mem::take(&mut rest).split_at_mut(lengths.sum());
            rest = later;
            parts.push(SealPart {
                key,
                numbers: first..first.saturating_add(size as u64).min(numbers.end),
                pieces,
                out,
            });
        }
        Ok(parts)
    }
}

/// Records of a batch, to be opened. An [`Opener`] then decides how many of them it accepts.
#[derive(Debug)]
pub struct OpenPart<'a> {
    opener: GroupOpener<'a>,
    wire: &'a [u8],
    out: &'a mut [u8],
    spans: &'a mut [RecordSpan],
    opened: usize,
}

impl<'a> OpenPart<'a> {
    /// Opens the records up to the first bad one.
    pub fn open(&mut self) {
        self.opened = self.opener.open_all(self.wire, self.out, self.spans);
    }

    /// Cuts the records of `spans`, which are at the start of `wire`, into parts of `size` records.
    fn cut(
        mut opener: GroupOpener<'a>,
        mut wire: &'a [u8],
        mut out: &'a mut [u8],
        spans: &'a mut [RecordSpan],
        size: usize,
    ) -> Result<Vec<Self>, Error> {
        let mut parts = try_with_capacity(spans.len().div_ceil(size))?;
        for spans in spans.chunks_mut(size) {
            let sum = |of: fn(&RecordSpan) -> usize| spans.iter().map(of).sum();
            let (now, later) = wire.split_at(sum(|span| span.wire_len));
            let (room, rest) = mem::take(&mut out).split_at_mut(sum(|span| span.room));
            (wire, out) = (later, rest);
            let next = opener.next.after(spans.len() as u64);
            parts.push(Self {
                opener,
                wire: now,
                out: room,
                spans,
                opened: 0,
            });
            opener.next = next;
        }
        Ok(parts)
    }
}

impl Opener {
    /// Opens all whole records in `wire`, in parts that may run on several threads. See
    /// [`Opener::open_batch`].
    ///
    /// `run` must open every part that it is called with, about `count` of them. While every record
    /// is good it is called again, with twice as many records each time. The number of records that
    /// are opened uselessly behind a KeyUpdate or a bad record is therefore at most the number
    /// opened before it, plus one first window.
    ///
    /// # Errors
    /// Returns the errors of [`Opener::open_batch`].
    pub fn open_parts(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        count: usize,
        mut run: impl FnMut(&mut [OpenPart<'_>]),
        done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.check_ready()?;
        let mut batch = OpenBatch::new(wire, out, done);
        let mut window = GroupSize::unlimited(count.max(1) * WINDOW);
        while self
            .open_window(count, &mut batch, &mut window, &mut run)
            .is_continue()
        {}
        Ok(self.go_on(usize::MAX, batch))
    }

    /// Opens the next records, up to `window`, in about `count` parts. Continues if all of them
    /// were good. Otherwise, or without memory for the parts, the rest of the batch is to be opened
    /// without parts.
    fn open_window<F: FnMut(OpenedRecord)>(
        &mut self,
        count: usize,
        batch: &mut OpenBatch<'_, F>,
        window: &mut GroupSize,
        run: &mut impl FnMut(&mut [OpenPart<'_>]),
    ) -> ControlFlow<()> {
        let (wire, out, progress) = batch.split();
        let Ok(Some(first)) = self.framing().deframe(wire) else {
            return ControlFlow::Break(());
        };
        let opener = self.group_opener();
        let mut spans = opener.find_up_to(window.most(), first, out.len());
        if spans.len() <= MAX_GROUP {
            return ControlFlow::Break(());
        }
        let size = part_size(spans.len(), count);
        let Ok(mut parts) = OpenPart::cut(opener, wire, &mut *out, &mut spans, size) else {
            return ControlFlow::Break(());
        };
        run(&mut parts);
        let opened = count_opened(&parts);
        drop(parts);
        let group = OpenedGroup::new(out, &spans, opened, opener.type_len(), window);
        let accepted = self.accept(group, progress, |_| true);
        if accepted == spans.len() && progress.end.stop.is_none() {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(())
    }
}

/// Returns the number of records in all parts that were opened before the first bad one.
fn count_opened(parts: &[OpenPart<'_>]) -> usize {
    let mut opened = 0;
    for part in parts {
        opened += part.opened;
        if part.opened < part.spans.len() {
            break;
        }
    }
    opened
}

/// Returns an empty vector with room for `len` items.
fn try_with_capacity<T>(len: usize) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    items.try_reserve_exact(len).map_err(|_| Error::NoMemory {
        bytes: len.saturating_mul(size_of::<T>()),
    })?;
    Ok(items)
}

/// Records of each part in the first window.
const WINDOW: usize = 4 * MAX_GROUP;

/// Returns the number of records in a part: a multiple of [`MAX_GROUP`], so that every group is
/// full.
fn part_size(records: usize, parts: usize) -> usize {
    records
        .div_ceil(parts.max(1))
        .next_multiple_of(MAX_GROUP)
        .max(MAX_GROUP)
}
