//! Record sequence numbers.

use std::ops::Range;

use crate::error::Error;

/// The 64-bit record sequence number of one direction. It stops; it never wraps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecSeq(u64);

impl RecSeq {
    /// The number of the next record.
    #[must_use]
    pub const fn new(next: u64) -> Self {
        Self(next)
    }

    /// The number of the next record.
    #[must_use]
    pub const fn next(self) -> u64 {
        self.0
    }

    /// Takes the next `count` numbers, all of them or none.
    ///
    /// # Errors
    /// [`Error::SeqExhausted`] when fewer are left; 2^64 - 1 is never given out.
    pub fn reserve(&mut self, count: u64) -> Result<Range<u64>, Error> {
        let start = self.0;
        self.0 = start.checked_add(count).ok_or(Error::SeqExhausted)?;
        Ok(start..self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_none_when_too_few_are_left() {
        let mut seq = RecSeq::new(u64::MAX - 2);
        assert_eq!(seq.reserve(3), Err(Error::SeqExhausted));
        assert_eq!(seq.reserve(2), Ok(u64::MAX - 2..u64::MAX));
        assert_eq!(seq.reserve(1), Err(Error::SeqExhausted));
        assert_eq!(seq.next(), u64::MAX);
    }
}
