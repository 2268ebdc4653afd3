//! The cursor over opened records, which wipes what its user does not accept.

use std::slice;

use super::{GroupSize, RecordSpan};
use crate::key::InnerPlaintext;
use crate::wiped_memory::{WipedBytes, wipe};

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
    use super::super::MAX_GROUP;
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
