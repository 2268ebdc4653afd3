//! One batch in parts, which may be worked on in any order and at the same time.

use std::iter::{Skip, Take};
use std::ops::Range;

use crate::error::Error;
use crate::key::TrafficKey;
use crate::record::group::{RecordGroup, RecordSpan};
use crate::record::seal::seal_numbered;
use crate::record::{BatchEnd, MAX_GROUP, OpenedRecord, Opener, RecordPlaintext, Sealer};

/// Records of a batch that are to be sealed, their numbers taken already.
#[must_use]
#[derive(Debug)]
pub struct SealPart<'a, I> {
    key: &'a TrafficKey,
    numbers: Range<u64>,
    pieces: Take<Skip<I>>,
    out: &'a mut [u8],
}

impl<'p, I: Iterator<Item = RecordPlaintext<'p>>> SealPart<'_, I> {
    /// Seals them. Nothing can fail.
    pub fn seal(self) {
        seal_numbered(self.key, self.numbers, self.pieces, self.out, |_| {});
    }
}

impl Sealer {
    /// As [`Sealer::seal_batch`], but it only takes the numbers: the records are there once every
    /// part was sealed.
    ///
    /// Makes about `count` parts, fewer for few records.
    ///
    /// # Errors
    /// As [`Sealer::seal_batch`], and [`Error::NoMemory`]; no number is spent then.
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
            let (out, later) = std::mem::take(&mut rest).split_at_mut(lengths.sum());
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

/// Records of a batch that are to be opened, for an [`Opener`] to judge afterwards.
#[derive(Debug)]
pub struct OpenPart<'a> {
    group: RecordGroup<'a>,
    wire: &'a [u8],
    out: &'a mut [u8],
    places: &'a mut [RecordSpan],
    opened: usize,
}

impl OpenPart<'_> {
    /// Opens them, as far as they are good.
    pub fn open(&mut self) {
        self.opened = self.group.open(self.wire, self.out, self.places);
    }
}

impl Opener {
    /// As [`Opener::open_batch`]; `run` opens all of the parts that it is given, about `count`. It is
    /// called again while that goes well, for twice as many records each time: what is opened in vain
    /// behind a KeyUpdate or a bad record is no more than what was opened for good, and one window.
    ///
    /// # Errors
    /// As [`Opener::open_batch`].
    pub fn open_parts(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        count: usize,
        mut run: impl FnMut(&mut [OpenPart<'_>]),
        mut done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.check_ready()?;
        let mut end = BatchEnd::default();
        let mut window = count.max(1) * WINDOW;
        while self.open_window(wire, out, (count, window), &mut run, &mut end, &mut done) {
            window *= 2;
        }
        Ok(self.go_on(usize::MAX, wire, out, end, &mut done))
    }

    /// True if it went well and there may be more. Without memory for the parts nothing is opened.
    fn open_window(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        (count, window): (usize, usize),
        run: &mut impl FnMut(&mut [OpenPart<'_>]),
        end: &mut BatchEnd,
        done: &mut impl FnMut(OpenedRecord),
    ) -> bool {
        let mut from = end.written;
        let mut places = self
            .group()
            .find_up_to(window, &wire[end.consumed..], out.len() - from);
        if places.len() <= MAX_GROUP {
            return false;
        }
        let size = part_size(places.len(), count);
        let (wire, room) = (&wire[end.consumed..], &mut out[from..]);
        let Ok(mut opened) = try_with_capacity(places.len().div_ceil(size)) else {
            return false;
        };
        let Ok(mut parts) = self.open_jobs(wire, room, &mut places, size) else {
            return false;
        };
        run(&mut parts);
        opened.extend(parts.iter().map(|part| part.opened));

        let mut going = true;
        for (places, opened) in places.chunks(size).zip(opened) {
            let room = places.iter().map(|place| place.room).sum::<usize>();
            if going {
                let taken = self.accept(&places[..opened], out, from, end, done);
                going = taken == places.len() && end.stop.is_none();
            }
            from += room;
        }
        // Padding, and what was opened behind a KeyUpdate or a bad record, is not the caller's.
        out[end.written..from].fill(0);
        going
    }

    fn open_jobs<'a>(
        &'a self,
        wire: &'a [u8],
        out: &'a mut [u8],
        places: &'a mut [RecordSpan],
        size: usize,
    ) -> Result<Vec<OpenPart<'a>>, Error> {
        let mut parts = try_with_capacity(places.len().div_ceil(size))?;
        let mut next = self.group();
        let (mut wire, mut out) = (wire, out);
        for places in places.chunks_mut(size) {
            let sum = |of: fn(&RecordSpan) -> usize| places.iter().map(of).sum();
            let (now, later) = wire.split_at(sum(|place| place.record));
            let (room, rest) = std::mem::take(&mut out).split_at_mut(sum(|place| place.room));
            (wire, out) = (later, rest);
            let group = next;
            next.next = next.next.after(places.len() as u64);
            parts.push(OpenPart {
                group,
                wire: now,
                out: room,
                places,
                opened: 0,
            });
        }
        Ok(parts)
    }
}

/// An empty vector with room for `len` items.
fn try_with_capacity<T>(len: usize) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    items.try_reserve_exact(len).map_err(|_| Error::NoMemory {
        bytes: len.saturating_mul(size_of::<T>()),
    })?;
    Ok(items)
}

/// Records for each part to begin with.
const WINDOW: usize = 4 * MAX_GROUP;

/// Records of a part: whole groups, for the AEAD gains by them.
fn part_size(records: usize, parts: usize) -> usize {
    records
        .div_ceil(parts.max(1))
        .next_multiple_of(MAX_GROUP)
        .max(MAX_GROUP)
}
