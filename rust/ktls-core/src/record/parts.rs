//! One batch in parts, which may be worked on in any order and at the same time.

use std::iter::{Skip, Take};
use std::ops::Range;

use crate::error::Error;
use crate::key::TrafficKey;
use crate::record::group::{Group, Place};
use crate::record::seal::seal_numbered;
use crate::record::{BatchEnd, Opened, Opener, Piece, Sealer, TOGETHER};

/// Records of a batch that are to be sealed, their numbers taken already.
#[must_use]
#[derive(Debug)]
pub struct SealPart<'a, I> {
    key: &'a TrafficKey,
    numbers: Range<u64>,
    pieces: Take<Skip<I>>,
    out: &'a mut [u8],
}

impl<'p, I: Iterator<Item = Piece<'p>>> SealPart<'_, I> {
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
    /// As [`Sealer::seal_batch`].
    pub fn seal_parts<'s, 'p, I>(
        &'s mut self,
        pieces: I,
        out: &'s mut [u8],
        count: usize,
    ) -> Result<Vec<SealPart<'s, I>>, Error>
    where
        I: ExactSizeIterator<Item = Piece<'p>> + Clone,
    {
        let numbers = self.take_numbers(pieces.clone(), out.len())?;
        let size = part_size(pieces.len(), count);
        let (key, overhead) = (self.key(), self.overhead());
        let mut rest = out;
        let starts = (0..pieces.len()).step_by(size);
        let parts = starts
            .zip(numbers.clone().step_by(size))
            .map(|(start, first)| {
                let pieces = pieces.clone().skip(start).take(size);
                let lengths = pieces.clone().map(|piece| piece.plaintext.len() + overhead);
                let (out, later) = std::mem::take(&mut rest).split_at_mut(lengths.sum());
                rest = later;
                SealPart {
                    key,
                    numbers: first..first.saturating_add(size as u64).min(numbers.end),
                    pieces,
                    out,
                }
            });
        Ok(parts.collect())
    }
}

/// Records of a batch that are to be opened, for an [`Opener`] to judge afterwards.
#[derive(Debug)]
pub struct OpenPart<'a> {
    group: Group<'a>,
    wire: &'a [u8],
    out: &'a mut [u8],
    places: Vec<Place>,
    opened: usize,
}

impl OpenPart<'_> {
    /// Opens them, as far as they are good.
    pub fn open(&mut self) {
        self.opened = self.group.open(self.wire, self.out, &mut self.places);
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
        mut done: impl FnMut(Opened),
    ) -> Result<BatchEnd, Error> {
        self.check_ready()?;
        let mut end = BatchEnd::default();
        let mut window = count.max(1) * WINDOW;
        while self.open_window(wire, out, (count, window), &mut run, &mut end, &mut done) {
            window *= 2;
        }
        Ok(self.go_on(wire, out, end, &mut done))
    }

    /// True if it went well and there may be more.
    fn open_window(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        (count, window): (usize, usize),
        run: &mut impl FnMut(&mut [OpenPart<'_>]),
        end: &mut BatchEnd,
        done: &mut impl FnMut(Opened),
    ) -> bool {
        let mut from = end.written;
        let places = self
            .group()
            .find_up_to(window, &wire[end.consumed..], out.len() - from);
        if places.len() <= TOGETHER {
            return false;
        }
        let mut parts = self.open_jobs(&wire[end.consumed..], &mut out[from..], &places, count);
        run(&mut parts);
        let opened: Vec<_> = parts
            .into_iter()
            .map(|part| (part.places, part.opened))
            .collect();

        let mut going = true;
        for (places, opened) in opened {
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
        places: &[Place],
        count: usize,
    ) -> Vec<OpenPart<'a>> {
        let mut next = self.group();
        let (mut wire, mut out) = (wire, out);
        let parts = places.chunks(part_size(places.len(), count)).map(|places| {
            let sum = |of: fn(&Place) -> usize| places.iter().map(of).sum();
            let (now, later) = wire.split_at(sum(|place| place.record));
            let (room, rest) = std::mem::take(&mut out).split_at_mut(sum(|place| place.room));
            (wire, out) = (later, rest);
            let group = next;
            next.next = next.next.after(places.len() as u64);
            OpenPart {
                group,
                wire: now,
                out: room,
                places: places.to_vec(),
                opened: 0,
            }
        });
        parts.collect()
    }
}

/// Records for each part to begin with.
const WINDOW: usize = 4 * TOGETHER;

/// Records of a part: whole groups, for the AEAD gains by them.
fn part_size(records: usize, parts: usize) -> usize {
    records
        .div_ceil(parts.max(1))
        .next_multiple_of(TOGETHER)
        .max(TOGETHER)
}
