//! The list of records that a device seals, until they are acknowledged (D-6, D-7, D-9).

use std::collections::VecDeque;

use ktls_core::WipedBytes;

/// A list of the framed records of one key, in the order of the stream.
#[derive(Debug, Default)]
pub struct RecordList {
    /// The offset where the device's records start. In the kernel it is the end of the zero-length
    /// start marker.
    start: u64,
    /// The number of the first record in `records`.
    unacked_seq: u64,
    /// The offset where the first record in `records` starts.
    unacked: u64,
    records: VecDeque<ListedRecord>,
}

#[derive(Debug)]
struct ListedRecord {
    end: u64,
    /// The record, most of which is plaintext; it is wiped on drop.
    framed: WipedBytes,
}

/// A record with its number and its offset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocatedRecord<'a> {
    /// Its number under the key of the list.
    pub seq: u64,
    /// The offset where it starts in the stream.
    pub start: u64,
    /// Header, plaintext, and room for the tag.
    pub framed: &'a [u8],
}

impl RecordList {
    /// Creates an empty list, whose first record will start at `start` and have the number `seq`.
    #[must_use]
    pub const fn new(start: u64, seq: u64) -> Self {
        Self {
            start,
            unacked_seq: seq,
            unacked: start,
            records: VecDeque::new(),
        }
    }

    /// Returns the offset where the device's records start.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Appends the next record.
    pub fn push(&mut self, framed: WipedBytes) {
        let start = self.records.back().map_or(self.unacked, |last| last.end);
        let end = start + framed.len() as u64;
        self.records.push_back(ListedRecord { end, framed });
    }

    /// Drops the records that lie wholly below `acked`, and returns their number.
    pub fn trim(&mut self, acked: u64) -> usize {
        let count = self.records.partition_point(|record| record.end <= acked);
        for record in self.records.drain(..count) {
            self.unacked = record.end;
        }
        self.unacked_seq = self.unacked_seq.wrapping_add(count as u64);
        count
    }

    /// Returns the record that contains the byte at `offset`, if it is in the list.
    #[must_use]
    pub fn record(&self, offset: u64) -> Option<LocatedRecord<'_>> {
        let index = self.records.partition_point(|record| record.end <= offset);
        let record = self.records.get(index)?;
        let start = record.end - record.framed.len() as u64;
        (start <= offset).then(|| LocatedRecord {
            seq: self.unacked_seq.wrapping_add(index as u64),
            start,
            framed: &record.framed,
        })
    }

    /// Returns the number of records in the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns `true` if all records are acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-6, D-7, D-9.
    #[test]
    fn a_record_is_found_by_offset_until_it_is_acknowledged() {
        let mut list = RecordList::new(100, 7);
        for len in [10, 1, 20] {
            list.push(vec![len; len.into()].into());
        }
        let place = |list: &RecordList, offset| list.record(offset).map(|r| (r.seq, r.start));
        for (acked, dropped, seen) in [
            (
                100,
                0,
                [None, Some((7, 100)), Some((8, 110)), Some((9, 111)), None],
            ),
            (
                109,
                0,
                [None, Some((7, 100)), Some((8, 110)), Some((9, 111)), None],
            ),
            (110, 1, [None, None, Some((8, 110)), Some((9, 111)), None]),
            (130, 1, [None, None, None, Some((9, 111)), None]),
            (131, 1, [None; 5]),
        ] {
            assert_eq!(list.trim(acked), dropped, "acknowledged {acked}");
            assert_eq!(
                [99, 109, 110, 130, 131].map(|offset| place(&list, offset)),
                seen
            );
        }
        assert!(list.is_empty());
        list.push(WipedBytes::zeros(5));
        assert_eq!(place(&list, 131), Some((10, 131)));
    }
}
