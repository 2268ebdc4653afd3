//! Bytes on their way in or out.

use std::fmt;

/// A queue of bytes in one piece; memory is kept and never cleared twice.
#[derive(Default)]
pub struct Fifo {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Fifo {
    /// What is queued.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// What is queued, to be worked on in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Bytes queued.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when nothing is queued.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory that it keeps.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Room for `len` more bytes behind what is queued, of any contents; [`Fifo::commit`] queues them.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < len {
            self.make_room(len);
        }
        &mut self.bytes[self.end..self.end + len]
    }

    /// Queues the first `len` bytes of the space last given.
    pub fn commit(&mut self, len: usize) {
        debug_assert!(self.end + len <= self.bytes.len());
        self.end += len;
    }

    /// Drops the first `len` bytes.
    pub fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.start += len;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves what is queued to the front, and grows if that is not enough.
    fn make_room(&mut self, len: usize) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.len());
        if self.bytes.len() - self.end < len {
            let want = (self.end + len).next_multiple_of(PAGE);
            self.bytes.resize(want, 0);
        }
    }
}

impl fmt::Debug for Fifo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fifo({} bytes)", self.len())
    }
}

/// Memory grows in steps of this.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(fifo: &mut Fifo, bytes: &[u8]) {
        fifo.space(bytes.len()).copy_from_slice(bytes);
        fifo.commit(bytes.len());
    }

    #[test]
    fn bytes_come_out_in_order_whatever_the_pieces() {
        let (mut fifo, mut want) = (Fifo::default(), Vec::new());
        for n in 0..200_usize {
            let piece: Vec<u8> = (0..n * 7).map(|i| (i + n) as u8).collect();
            push(&mut fifo, &piece);
            want.extend_from_slice(&piece);
            assert_eq!(fifo.bytes(), want);
            let taken = fifo.len() / 3;
            fifo.consume(taken);
            want.drain(..taken);
        }
        assert_eq!(fifo.bytes(), want);
    }

    #[test]
    fn a_part_of_the_space_may_be_committed() {
        let mut fifo = Fifo::default();
        fifo.space(10)[..2].copy_from_slice(b"ab");
        fifo.commit(2);
        push(&mut fifo, b"cd");
        assert_eq!(fifo.bytes(), b"abcd");
    }
}
