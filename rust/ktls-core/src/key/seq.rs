//! Record sequence numbers.

use std::ops::Range;

use crate::error::Error;

/// The 64-bit record sequence number of one direction. It ends at its maximum and never wraps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecSeq {
    next: u64,
    /// Whether 2^64 - 1 was taken.
    exhausted: bool,
}

impl RecSeq {
    /// Starts at the number `next`.
    #[must_use]
    pub const fn new(next: u64) -> Self {
        Self {
            next,
            exhausted: false,
        }
    }

    /// Returns the number of the next record.
    #[must_use]
    pub const fn next(self) -> u64 {
        self.next
    }

    /// Takes the next `count` numbers, for records that we seal. Takes all of them or none.
    ///
    /// # Errors
    /// Returns [`Error::SeqExhausted`] if fewer are left. The number 2^64 - 1 is never used: the
    /// kernel does not send that record either (`docs/kernel-rules.md`, S2.3-1).
    pub fn reserve(&mut self, count: u64) -> Result<Range<u64>, Error> {
        let start = self.next;
        self.next = start.checked_add(count).ok_or(Error::SeqExhausted)?;
        Ok(start..self.next)
    }

    /// Returns the sequence after `count` numbers were taken. That many must have been left.
    #[must_use]
    pub(crate) const fn after(self, count: u64) -> Self {
        let (next, exhausted) = self.next.overflowing_add(count);
        Self {
            next: if exhausted { u64::MAX } else { next },
            exhausted: self.exhausted | exhausted,
        }
    }

    /// Takes the next number, for a record of the peer, which may have used 2^64 - 1
    /// (`docs/kernel-rules.md`, S2.3-2).
    ///
    /// # Errors
    /// Returns [`Error::SeqExhausted`] if 2^64 - 1 was taken before.
    pub fn take(&mut self) -> Result<u64, Error> {
        if self.exhausted {
            return Err(Error::SeqExhausted);
        }
        let number = self.next;
        match number.checked_add(1) {
            Some(next) => self.next = next,
            None => self.exhausted = true,
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_returned_once_and_none_if_too_few_are_left() {
        let mut seq = RecSeq::new(u64::MAX - 2);
        assert_eq!(seq.reserve(3), Err(Error::SeqExhausted));
        assert_eq!(seq.reserve(2), Ok(u64::MAX - 2..u64::MAX));
        assert_eq!(seq.reserve(1), Err(Error::SeqExhausted));
        assert_eq!(seq.next(), u64::MAX);
    }

    #[test]
    fn numbers_taken_together_leave_the_same_rest_as_one_by_one() {
        for start in [0, 5, u64::MAX - 3] {
            let mut alone = RecSeq::new(start);
            for count in 1..=4 {
                alone.take().unwrap();
                assert_eq!(
                    RecSeq::new(start).after(count),
                    alone,
                    "{count} from {start}"
                );
            }
        }
    }

    #[test]
    fn a_receiver_takes_the_last_number_once() {
        let mut seq = RecSeq::new(u64::MAX - 1);
        assert_eq!(seq.take(), Ok(u64::MAX - 1));
        assert_eq!(seq.take(), Ok(u64::MAX));
        assert_eq!(seq.take(), Err(Error::SeqExhausted));
    }
}
