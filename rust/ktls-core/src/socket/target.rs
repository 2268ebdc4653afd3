//! The buffers of one receive call.

/// How the bytes behind the plaintext in a caller's buffer are treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BehindPlaintext {
    /// The memory was made for this call. The bytes may be overwritten, and must not be read.
    Fresh,
    /// The memory belongs to the caller. The bytes are kept, or set to zero where a record was
    /// opened that is not delivered.
    Kept,
}

/// The buffers of one receive call, and how much of them is filled.
#[derive(Debug)]
pub struct ReceiveBuffers<'call, 'buf> {
    slices: &'call mut [&'buf mut [u8]],
    /// The index of the slice that is being filled.
    index: usize,
    /// The number of bytes that are filled in it.
    offset: usize,
    room: usize,
    behind: BehindPlaintext,
}

impl<'call, 'buf> ReceiveBuffers<'call, 'buf> {
    /// Fills `slices` in order.
    pub fn new(slices: &'call mut [&'buf mut [u8]]) -> Self {
        let room = slices.iter().map(|slice| slice.len()).sum();
        Self {
            slices,
            index: 0,
            offset: 0,
            room,
            behind: BehindPlaintext::Kept,
        }
    }

    /// Fills new memory with up to `room` bytes of plaintext. The memory behind them may be
    /// overwritten.
    pub fn fresh(slices: &'call mut [&'buf mut [u8]], room: usize) -> Self {
        let behind = BehindPlaintext::Fresh;
        Self {
            room,
            behind,
            ..Self::new(slices)
        }
    }

    /// Returns how many more bytes fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Returns how the bytes behind the plaintext are treated.
    #[must_use]
    pub const fn behind(&self) -> BehindPlaintext {
        self.behind
    }

    /// Returns the contiguous memory for the next bytes. In new memory it may be longer than
    /// [`ReceiveBuffers::room`].
    pub fn next_piece(&mut self) -> &mut [u8] {
        while self
            .slices
            .get(self.index)
            .is_some_and(|slice| slice.len() == self.offset)
        {
            self.index += 1;
            self.offset = 0;
        }
        match self.slices.get_mut(self.index) {
            Some(slice) => &mut slice[self.offset..],
            None => &mut [],
        }
    }

    /// Counts the first `len` bytes of [`ReceiveBuffers::next_piece`] as filled.
    pub fn advance(&mut self, len: usize) {
        debug_assert!(len <= self.room);
        self.offset += len;
        self.room -= len;
    }

    /// Copies as many of `bytes` as fit. Returns how many.
    pub fn copy(&mut self, bytes: &[u8]) -> usize {
        let total = bytes.len().min(self.room);
        let mut rest = &bytes[..total];
        while !rest.is_empty() {
            let piece = self.next_piece();
            let len = piece.len().min(rest.len());
            piece[..len].copy_from_slice(&rest[..len]);
            self.advance(len);
            rest = &rest[len..];
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_run_over_the_slices_and_stop_at_the_end() {
        let (mut a, mut b, mut c) = ([0; 3], [0; 0], [0; 4]);
        let slices: &mut [&mut [u8]] = &mut [&mut a, &mut b, &mut c];
        let mut target = ReceiveBuffers::new(slices);
        assert_eq!(target.copy(b"hello"), 5);
        assert_eq!(target.room(), 2);
        assert_eq!(target.copy(b"world"), 2);
        assert_eq!(target.copy(b"!"), 0);
        assert!(target.next_piece().is_empty());
        assert_eq!((&a, &c), (b"hel", b"lowo"));
    }

    #[test]
    fn fresh_memory_is_filled_up_to_its_room_only() {
        let mut bytes = [0; 8];
        let slices: &mut [&mut [u8]] = &mut [&mut bytes];
        let mut target = ReceiveBuffers::fresh(slices, 3);
        assert_eq!(target.next_piece().len(), 8);
        assert_eq!(target.copy(b"hello"), 3);
        assert_eq!(&bytes, b"hel\0\0\0\0\0");
    }
}
