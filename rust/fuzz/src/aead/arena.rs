//! Records in one buffer, with bytes between them that must not be written.

use std::ops::Range;

/// The byte that an arena is filled with before it is written.
const STALE: u8 = 0xa5;

/// A buffer with a slot for each record, each after a gap of any length.
#[derive(Eq, PartialEq)]
pub(super) struct RecordArena {
    bytes: Vec<u8>,
    slots: Vec<Range<usize>>,
}

impl RecordArena {
    /// Creates an arena with a slot for each pair of gap and length, filled with `STALE`.
    pub(super) fn new(slots: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut end = 0;
        let place = |(gap, len)| {
            let start = end + gap;
            end = start + len;
            start..end
        };
        let slots: Vec<_> = slots.map(place).collect();
        Self {
            bytes: vec![STALE; end + 64],
            slots,
        }
    }

    /// Creates an arena with a slot for each pair of gap and contents.
    pub(super) fn holding<'a>(slots: impl Iterator<Item = (usize, &'a [u8])> + Clone) -> Self {
        let mut arena = Self::new(slots.clone().map(|(gap, bytes)| (gap, bytes.len())));
        for (slot, (_, bytes)) in arena.slots_mut().into_iter().zip(slots) {
            slot.copy_from_slice(bytes);
        }
        arena
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().map(|slot| &self.bytes[slot.clone()])
    }

    pub(super) fn slots_mut(&mut self) -> Vec<&mut [u8]> {
        let (mut rest, mut at) = (&mut self.bytes[..], 0);
        let take = |slot: &Range<usize>| {
            let (_, from) = std::mem::take(&mut rest).split_at_mut(slot.start - at);
            let (bytes, after) = from.split_at_mut(slot.len());
            (rest, at) = (after, slot.end);
            bytes
        };
        self.slots.iter().map(take).collect()
    }

    /// # Panics
    /// Panics if the arenas differ, in a slot or between two. `ours` names the arena in the
    /// message.
    pub(super) fn assert_same(&self, theirs: &Self, ours: &str) {
        assert!(self.slots == theirs.slots, "{ours}: the slots differ");
        let both = self.bytes.iter().zip(&theirs.bytes);
        let Some(at) = both.into_iter().position(|(a, b)| a != b) else {
            return;
        };
        let slot = self.slots.iter().position(|slot| at < slot.end);
        let (a, b) = (self.bytes[at], theirs.bytes[at]);
        panic!(
            "{ours}: byte {at} is {a:#04x}, not {b:#04x}; slot {slot:?} of {:?}",
            self.slots
        );
    }
}
