//! The buffers of one send call.

use crate::socket::{KeptBytes, QueuedPlaintext};

/// The buffers of one send call, and how much of them was taken.
#[derive(Debug)]
pub struct SendBuffers<'a> {
    slices: &'a [&'a [u8]],
    /// For each slice, the same bytes if they outlive the call. Empty if no bytes do.
    kept: &'a [Option<KeptBytes>],
    index: usize,
    offset: usize,
    pub(super) left: usize,
    pub(super) taken: usize,
}

impl<'a> SendBuffers<'a> {
    /// Starts at the first byte of `slices`.
    #[must_use]
    pub fn new(slices: &'a [&'a [u8]]) -> Self {
        let left = slices.iter().map(|slice| slice.len()).sum();
        Self {
            slices,
            kept: &[],
            index: 0,
            offset: 0,
            left,
            taken: 0,
        }
    }

    /// Sets which slices stay unchanged after the call, so that a queue needs no copy of them.
    /// `kept` has an entry for each slice, or is empty.
    #[must_use]
    pub const fn keeping(mut self, kept: &'a [Option<KeptBytes>]) -> Self {
        self.kept = kept;
        self
    }

    /// Returns the number of bytes not taken yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Returns the number of bytes taken, which is the result of the call.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Returns the rest of the current slice, or an empty slice after the last one.
    pub fn rest(&mut self) -> &'a [u8] {
        while let Some(slice) = self.slices.get(self.index) {
            if self.offset < slice.len() {
                return &slice[self.offset..];
            }
            self.index += 1;
            self.offset = 0;
        }
        &[]
    }

    /// Takes `len` bytes and calls `each` with each contiguous piece of them.
    ///
    /// # Panics
    /// Panics if fewer bytes are left, which is a bug of the caller.
    pub fn take(&mut self, len: usize, mut each: impl FnMut(&'a [u8])) {
        assert!(
            len <= self.left,
            "{len} bytes asked for, {} left",
            self.left
        );
        let mut want = len;
        while want > 0 {
            let rest = self.rest();
            let piece = &rest[..rest.len().min(want)];
            each(piece);
            self.offset += piece.len();
            want -= piece.len();
        }
        self.left -= len;
        self.taken += len;
    }

    /// Returns the next `len` bytes if they are contiguous.
    pub(super) fn piece(&mut self, len: usize) -> Option<&'a [u8]> {
        self.rest().get(..len)
    }

    /// Returns `true` if exactly `bytes` are left, contiguous or not.
    pub(super) fn remaining_equals(&self, bytes: &[u8]) -> bool {
        if self.left != bytes.len() {
            return false;
        }
        let rest = self.slices[self.index..].iter().copied().flatten();
        rest.skip(self.offset).eq(bytes)
    }

    /// Returns the next `len` bytes, which must be contiguous, if they outlive the call.
    pub(super) fn kept(&self, len: usize) -> Option<QueuedPlaintext> {
        let kept = self.kept.get(self.index)?.as_ref()?;
        let bytes = kept.skip(self.offset);
        Some(QueuedPlaintext::Kept { bytes, len })
    }

    /// Subtracts `len` bytes from [`SendBuffers::taken`], because sealing their record failed.
    pub(super) fn untake(&mut self, len: usize) {
        self.taken -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_bytes_are_compared_across_pieces() {
        for slices in [
            &[&b"abcd"[..]][..],
            &[b"", b"a", b"bcd", b""],
            &[b"ab", b"cd"],
        ] {
            let mut source = SendBuffers::new(slices);
            assert!(source.remaining_equals(b"abcd"));
            assert!(
                !source.remaining_equals(b"abc")
                    && !source.remaining_equals(b"abcde")
                    && !source.remaining_equals(b"abcx")
            );
            source.take(1, |_| {});
            assert!(source.remaining_equals(b"bcd"));
            source.take(3, |_| {});
            assert!(source.remaining_equals(b""));
        }
        assert!(SendBuffers::new(&[]).remaining_equals(b""));
    }

    #[test]
    fn bytes_are_taken_in_order_for_any_pieces() {
        let slices: &[&[u8]] = &[b"ab", b"", b"cdefg", b"h"];
        for step in 1..=8 {
            let (mut source, mut got) = (SendBuffers::new(slices), Vec::new());
            while source.left() > 0 {
                let len = step.min(source.left());
                source.take(len, |piece| got.extend_from_slice(piece));
            }
            assert_eq!((got.as_slice(), source.taken()), (&b"abcdefgh"[..], 8));
        }
    }
}
