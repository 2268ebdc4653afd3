//! Rings of bounded depth.

use std::collections::VecDeque;

/// A queue with room for `depth` entries.
#[derive(Debug)]
pub(super) struct BoundedRing<T> {
    entries: VecDeque<T>,
    depth: usize,
}

impl<T> BoundedRing<T> {
    /// Makes an empty ring.
    pub(super) const fn new(depth: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            depth,
        }
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// The entry, if every place is taken.
    pub(super) fn submit(&mut self, entry: T) -> Result<(), T> {
        if self.is_full() {
            return Err(entry);
        }
        self.entries.push_back(entry);
        Ok(())
    }

    /// Removes the oldest entry and returns it.
    pub(super) fn acquire(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_returns_the_item_and_keeps_the_order() {
        let mut ring = BoundedRing::new(2);
        assert_eq!((ring.submit(1), ring.submit(2)), (Ok(()), Ok(())));
        assert_eq!(ring.submit(3), Err(3));
        assert_eq!(ring.acquire(), Some(1));
        assert_eq!(ring.submit(3), Ok(()));
        assert_eq!((ring.acquire(), ring.acquire()), (Some(2), Some(3)));
        assert_eq!(ring.acquire(), None);
    }
}
