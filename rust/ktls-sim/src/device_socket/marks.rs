//! Records what a device did to the bytes that are not opened yet (D-12).

use std::collections::VecDeque;

use ktls_core::key::TrafficKey;
use ktls_core::slot::SlotId;
use ktls_core::wire::TAG_LEN;

use crate::device::SegmentMark;
use crate::nic::framed::keystream;
use crate::nic::xor;

/// Ranges of the stream with their marks, from the first byte that is not opened.
#[derive(Debug, Default)]
pub(super) struct StreamMarks {
    /// The offset where the first range starts.
    head: u64,
    /// The offset where each range ends, and its mark.
    stretches: VecDeque<(u64, SegmentMark)>,
}

/// What the device did to one record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DeviceTouch {
    /// Nothing.
    None,
    /// All of it was opened with the key of this slot.
    All(SlotId),
    /// A part of it was decrypted, or all of it without success or with several keys.
    Some,
}

impl StreamMarks {
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// Appends `len` bytes with a mark.
    pub(super) fn push(&mut self, len: usize, mark: SegmentMark) {
        let end = self.stretches.back().map_or(self.head, |last| last.0) + len as u64;
        self.stretches.push_back((end, mark));
    }

    /// Removes the first `len` bytes, which were opened.
    pub(super) fn consume(&mut self, len: usize) {
        self.head += len as u64;
        while self
            .stretches
            .front()
            .is_some_and(|(end, _)| *end <= self.head)
        {
            self.stretches.pop_front();
        }
    }

    /// Returns what the device did to the next `len` bytes.
    pub(super) fn touch(&self, len: usize) -> DeviceTouch {
        let mut marks = self.stretches_of(len).map(|(_, _, mark)| mark);
        let Some(first) = marks.next() else {
            return DeviceTouch::None;
        };
        let same = marks.all(|mark| mark == first);
        match first {
            SegmentMark::Untouched if same => DeviceTouch::None,
            SegmentMark::Opened(slot) if same => DeviceTouch::All(slot),
            SegmentMark::Untouched | SegmentMark::Opened(_) | SegmentMark::Failed(_) => {
                DeviceTouch::Some
            }
        }
    }

    /// Restores the ciphertext of a record range by range. `keys` returns the key that a slot held
    /// and the record's number under it. Returns the number of bytes that were encrypted again.
    pub(super) fn restore_ciphertext<'k>(
        &mut self,
        record: &mut [u8],
        keys: impl Fn(SlotId) -> Option<(&'k TrafficKey, u64)>,
    ) -> usize {
        let mut worked = 0;
        let pieces: Vec<_> = self.stretches_of(record.len()).collect();
        for (from, to, mark) in pieces {
            if let Some((key, seq)) = mark.slot().and_then(&keys) {
                worked += encrypt_again(key, seq, record, from, to);
            }
        }
        self.forget(record.len());
        worked
    }

    /// Marks the next `len` bytes as untouched.
    fn forget(&mut self, len: usize) {
        let end = self.head + len as u64;
        while self
            .stretches
            .front()
            .is_some_and(|(stretch, _)| *stretch <= end)
        {
            self.stretches.pop_front();
        }
        self.stretches.push_front((end, SegmentMark::Untouched));
    }

    /// Returns the ranges of the next `len` bytes as start, end and mark, relative to the head.
    fn stretches_of(&self, len: usize) -> impl Iterator<Item = (usize, usize, SegmentMark)> + '_ {
        let mut from = 0;
        self.stretches.iter().map_while(move |&(end, mark)| {
            let to = len.min((end - self.head) as usize);
            let piece = (from < len).then_some((from, to, mark));
            from = to;
            piece
        })
    }
}

/// Encrypts the part of `from..to` that is neither header nor tag, which undoes the device's
/// decryption. Returns its length.
fn encrypt_again(key: &TrafficKey, seq: u64, record: &mut [u8], from: usize, to: usize) -> usize {
    let (head, body_end) = (key.prepend(), record.len() - TAG_LEN);
    let (from, to) = (from.max(head), to.min(body_end));
    if from >= to {
        return 0;
    }
    let (prepend, body) = record.split_at_mut(head);
    let stream = keystream(key, seq, prepend, to - head);
    xor(&mut body[from - head..to - head], &stream[from - head..]);
    to - from
}
