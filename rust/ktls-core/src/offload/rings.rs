//! Rings of bounded depth.

use std::collections::VecDeque;

/// A queue with room for `depth` entries.
#[derive(Debug)]
pub struct BoundedRing<T> {
    entries: VecDeque<T>,
    depth: usize,
}

impl<T> BoundedRing<T> {
    /// An empty ring.
    #[must_use]
    pub const fn new(depth: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            depth,
        }
    }

    /// Puts an entry in.
    ///
    /// # Errors
    /// The entry, when every place is taken.
    pub fn submit(&mut self, entry: T) -> Result<(), T> {
        if self.is_full() {
            return Err(entry);
        }
        self.entries.push_back(entry);
        Ok(())
    }

    /// Takes the oldest entry out.
    pub fn acquire(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    /// True when every place is taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() == self.depth
    }

    /// Entries inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when no place is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_gives_back_what_does_not_fit_and_keeps_the_order() {
        let mut ring = BoundedRing::new(2);
        assert_eq!((ring.submit(1), ring.submit(2)), (Ok(()), Ok(())));
        assert_eq!(ring.submit(3), Err(3));
        assert_eq!(ring.acquire(), Some(1));
        assert_eq!(ring.submit(3), Ok(()));
        assert_eq!((ring.acquire(), ring.acquire()), (Some(2), Some(3)));
        assert_eq!((ring.acquire(), ring.is_empty()), (None, true));
    }
}
