//! How far to open ahead of what is known to be wanted.

use crate::record::MAX_GROUP;

/// How many records to open in one call of the AEAD: one after some were opened in vain, then twice as
/// many each time it goes well. A peer that mixes types cannot make us open much more than it sends.
#[derive(Debug)]
pub(crate) struct GroupSize(usize);

impl Default for GroupSize {
    fn default() -> Self {
        Self(MAX_GROUP)
    }
}

impl GroupSize {
    /// At most so many.
    pub(crate) const fn most(&self) -> usize {
        self.0
    }

    /// All that were opened were wanted.
    pub(crate) fn speed_up(&mut self) {
        self.0 = (self.0 * 2).min(MAX_GROUP);
    }

    /// Some were not.
    pub(crate) fn slow_down(&mut self) {
        self.0 = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_vain_group_they_grow_from_one_record_to_the_most() {
        let mut pace = GroupSize::default();
        assert_eq!(pace.most(), MAX_GROUP);
        pace.slow_down();
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(pace.most());
            pace.speed_up();
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 16]);
    }
}
