//! Several records opened or sealed in one call of the AEAD.
//!
//! # Theory of operation
//!
//! A key that implements [`Interleaved`](crate::aead::Interleaved) processes several records at
//! once, which takes far less time per record than one after the other. Records that are processed
//! together are a *group*, of at most [`MAX_GROUP`]. Sealing a group is simple: its sequence
//! numbers are taken first, and nothing can fail after that. Opening is more difficult: the type,
//! padding and authenticity of a record are known only after it was opened, and its receiver may
//! not want it yet.
//!
//! **Opening.** [`GroupOpener::open`] finds whole records by their headers alone, and opens them
//! side by side into the caller's buffer, where each takes the room of its inner plaintext. It
//! consumes nothing: no sequence number is spent and no byte of the wire is taken. `saves_time`
//! decides whether a group is opened at all.
//!
//! **The cursor.** [`OpenedGroup`] returns the opened records in order. Its user only decides for
//! each record whether it is wanted now. [`GroupRecord::accept`] leaves the plaintext in the
//! buffer, behind the plaintext accepted before; [`GroupRecord::move_out`] moves it elsewhere. The
//! user spends the sequence number of each such record and takes the record off the wire. At the
//! first record that is not wanted, the user drops the cursor: for example because a KeyUpdate was
//! read, because the call may return only one type, or because the record is too long. The records
//! from there on stay sealed on the wire, and are opened again when they are wanted. The result is
//! the same as if the records had been opened one by one. The cursor also ends at a record that is
//! all padding, which is then opened alone and reported as an error.
//!
//! **Padding.** If padding lies between two plaintexts, the cursor moves the later plaintext down
//! to the end of the earlier one. The content type of TLS 1.3 leaves no such gap: the AEAD stores
//! the last byte of each inner plaintext separately (see [`InnerJob`](crate::aead::InnerJob)).
//!
//! **Wiping.** After that, the caller's buffer holds bytes that the caller must not see: padding,
//! and plaintext that was opened and not accepted, whose record still counts as unread. Behind a
//! KeyUpdate it would even be data of a key that is no longer valid. Dropping the cursor overwrites
//! everything behind the accepted plaintext with zeros. Only `Drop` does this, so that no early
//! return can forget it.
//!
//! **Group size.** Records that are opened and not wanted cost time: a peer that alternates record
//! types could make each record be opened up to 16 times. Dropping the cursor therefore adapts the
//! [`GroupSize`]. After a group with unwanted records, the next group is one record; after a group
//! in which every record was wanted, the next may be twice as large.

mod open;
mod seal;
mod size;

use std::slice;

use crate::key::InnerPlaintext;
use crate::wiped_memory::{WipedBytes, wipe};

pub(crate) use open::GroupOpener;
pub(crate) use seal::seal_group;
pub(crate) use size::GroupSize;

/// The most records that an interleaved key processes in one call.
pub(crate) const MAX_GROUP: usize = 16;

/// The lengths of a record in a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordSpan {
    /// Bytes on the wire.
    pub(crate) wire_len: usize,
    /// Bytes of inner plaintext, without the content type of an unpadded record of TLS 1.3.
    pub(crate) room: usize,
    /// The content type. In TLS 1.3 it is the last byte of the inner plaintext, which is 0 if the
    /// record is padded.
    record_type: u8,
}

/// A cursor over the records of a group that were opened into a caller's buffer.
///
/// Dropping it wipes everything behind the accepted plaintext, and adapts the size of the next
/// group.
#[derive(Debug)]
pub(crate) struct OpenedGroup<'g> {
    /// The inner plaintexts of all records, side by side, and nothing else.
    out: &'g mut [u8],
    /// The records that were not returned yet.
    spans: slice::Iter<'g, RecordSpan>,
    /// Records of the group that were neither accepted nor moved out.
    left: usize,
    /// Bytes of a content type in an inner plaintext: 0 in TLS 1.2.
    type_len: usize,
    /// Where the next inner plaintext starts.
    start: usize,
    /// Bytes of accepted plaintext at the start of `out`.
    accepted: usize,
    size: &'g mut GroupSize,
}

/// A record of a group, to be accepted or moved out. Dropping it means that it is not wanted.
#[derive(Debug)]
pub(crate) struct GroupRecord<'c, 'g> {
    group: &'c mut OpenedGroup<'g>,
    /// Bytes on the wire.
    pub(crate) wire_len: usize,
    /// Its content type and lengths.
    pub(crate) inner: InnerPlaintext,
}

impl<'g> OpenedGroup<'g> {
    /// Starts at the first of `spans`, of which the first `opened` were opened into `out`, side by
    /// side.
    ///
    /// All their room in `out` that is not accepted will be wiped.
    #[inline]
    pub(crate) fn new(
        out: &'g mut [u8],
        spans: &'g [RecordSpan],
        opened: usize,
        type_len: usize,
        size: &'g mut GroupSize,
    ) -> Self {
        let room = spans.iter().map(|span| span.room).sum::<usize>();
        Self {
            out: &mut out[..room],
            left: spans.len(),
            spans: spans[..opened].iter(),
            type_len,
            start: 0,
            accepted: 0,
            size,
        }
    }

    /// Moves the plaintext of the next record behind the plaintext accepted before, and returns the
    /// record.
    ///
    /// Returns `None` at the end of the group, and at a record without a content type.
    #[inline]
    pub(crate) fn next_record(&mut self) -> Option<GroupRecord<'_, 'g>> {
        let span = self.spans.next()?;
        let (start, end) = (self.start, self.start + span.room);
        let (record_type, len) = self.strip(span, &self.out[start..end])?;
        if start != self.accepted {
            self.out.copy_within(start..start + len, self.accepted);
        }
        self.start = end;
        Some(GroupRecord {
            wire_len: span.wire_len,
            inner: InnerPlaintext {
                record_type,
                len,
                inner_len: span.room + self.type_len,
            },
            group: self,
        })
    }

    /// Returns how many bytes of plaintext were accepted.
    pub(crate) const fn accepted(&self) -> usize {
        self.accepted
    }

    /// Returns the content type and the length without padding, or `None` if all of it is padding.
    #[inline]
    fn strip(&self, span: &RecordSpan, inner: &[u8]) -> Option<(u8, usize)> {
        if span.record_type != 0 || self.type_len == 0 {
            return Some((span.record_type, span.room));
        }
        let len = inner.iter().rposition(|&byte| byte != 0)?;
        Some((inner[len], len))
    }
}

impl Drop for OpenedGroup<'_> {
    #[inline]
    fn drop(&mut self) {
        // The caller must not see padding, nor plaintext that was opened and not delivered.
        wipe(&mut self.out[self.accepted..]);
        if self.left == 0 {
            self.size.speed_up();
        } else {
            self.size.slow_down();
        }
    }
}

impl GroupRecord<'_, '_> {
    /// Returns the plaintext.
    #[inline]
    pub(crate) fn plaintext(&self) -> &[u8] {
        &self.group.out[self.group.accepted..][..self.inner.len]
    }

    /// Leaves the plaintext in the caller's buffer.
    #[inline]
    pub(crate) fn accept(self) {
        self.group.accepted += self.inner.len;
        self.group.left -= 1;
    }

    /// Copies the plaintext out of the caller's buffer, to be delivered by a later call.
    pub(crate) fn move_out(self) -> WipedBytes {
        self.group.left -= 1;
        WipedBytes::from(self.plaintext())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four records of TLS 1.3, and a byte behind them. The second and the third are padded.
    const OUT: &[u8] = b"one two\x17\0\0\x17\0fourB";
    const SPANS: [(usize, u8); 4] = [(4, 23), (6, 0), (2, 0), (4, 22)];

    fn spans() -> [RecordSpan; 4] {
        SPANS.map(|(room, record_type)| RecordSpan {
            wire_len: room + 22,
            room,
            record_type,
        })
    }

    /// Walks over the first `opened` records as `walk` does; returns the buffer, and the next
    /// group's size.
    fn walked(opened: usize, walk: impl FnOnce(&mut OpenedGroup<'_>)) -> (Vec<u8>, usize) {
        let (mut out, spans, mut size) = (OUT.to_vec(), spans(), GroupSize::at_most(8));
        walk(&mut OpenedGroup::new(
            &mut out, &spans, opened, 1, &mut size,
        ));
        (out, size.most())
    }

    fn accept(count: usize) -> impl FnOnce(&mut OpenedGroup<'_>) {
        move |group| (0..count).for_each(|_| group.next_record().unwrap().accept())
    }

    fn kept(plaintext: &[u8]) -> Vec<u8> {
        let mut want = plaintext.to_vec();
        want.resize(OUT.len() - 1, 0);
        want.push(b'B');
        want
    }

    #[test]
    fn padding_and_records_that_were_not_accepted_are_wiped() {
        for (count, plaintext) in [
            (0, &b""[..]),
            (1, b"one "),
            (2, b"one two"),
            (3, b"one two"),
            (4, b"one twofour"),
        ] {
            let (out, _) = walked(4, accept(count));
            assert_eq!(out, kept(plaintext), "{count} accepted");
        }
    }

    #[test]
    fn a_record_that_was_seen_and_not_accepted_is_wiped() {
        let (out, size) = walked(4, |group| {
            accept(1)(group);
            assert_eq!(group.next_record().unwrap().plaintext(), b"two");
        });
        assert_eq!((out, size), (kept(b"one "), 1));
    }

    #[test]
    fn a_record_that_was_moved_out_is_wiped_and_counts_as_wanted() {
        let (out, size) = walked(4, |group| {
            assert_eq!(*group.next_record().unwrap().move_out(), *b"one ");
            accept(3)(group);
        });
        assert_eq!((out, size), (kept(b"twofour"), MAX_GROUP));
    }

    #[test]
    fn records_behind_a_bad_one_are_wiped_and_not_returned() {
        let (out, size) = walked(2, |group| {
            accept(2)(group);
            assert!(group.next_record().is_none());
        });
        assert_eq!((out, size), (kept(b"one two"), 1));
    }

    #[test]
    fn a_record_of_padding_alone_ends_the_group() {
        let (mut out, mut size) = (vec![0; 3], GroupSize::default());
        let spans = [RecordSpan {
            wire_len: 25,
            room: 3,
            record_type: 0,
        }];
        for (type_len, is_returned) in [(1, false), (0, true)] {
            let mut group = OpenedGroup::new(&mut out, &spans, 1, type_len, &mut size);
            assert_eq!(group.next_record().is_some(), is_returned);
        }
    }
}
