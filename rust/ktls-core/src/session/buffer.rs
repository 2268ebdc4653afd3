//! A byte queue of fixed size over one allocation, made when first used.

/// Bytes between `start` and `end` wait to be taken.
#[derive(Debug)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    capacity: usize,
}

impl Queue {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            capacity,
        }
    }

    /// What waits.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `count` bytes off the front.
    pub(super) fn take(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Free space behind what waits, moved together when less than `wanted` is left.
    pub(super) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes.resize(self.capacity, 0);
        }
        if self.start > 0 && self.capacity - self.end < wanted {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes of the room were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// How many bytes still fit.
    pub(super) const fn free(&self) -> usize {
        self.capacity - (self.end - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_through_every_wrap() {
        let mut queue = Queue::new(8);
        let (mut next_in, mut next_out, mut total) = (0_u8, 0_u8, 0);
        for step in 1..200_usize {
            let room = queue.room(3);
            let count = room.len().min(step % 4);
            for byte in &mut room[..count] {
                *byte = next_in;
                next_in = next_in.wrapping_add(1);
            }
            queue.filled(count);
            let taken = queue.waiting().len().min(step % 3 + 1);
            for &byte in &queue.waiting()[..taken] {
                assert_eq!(byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            queue.take(taken);
            total += taken;
            assert_eq!(queue.free(), 8 - queue.waiting().len());
        }
        assert!(total > 100);
    }
}
