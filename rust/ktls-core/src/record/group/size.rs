//! The size of the next group.

use super::MAX_GROUP;

/// The most records that the next group opens.
///
/// It falls to one after a group of which a record was opened in vain, and doubles after each group
/// that was delivered whole. A peer that mixes record types therefore cannot make this side open
/// many more records than it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSize {
    most: usize,
    limit: usize,
}

impl Default for GroupSize {
    fn default() -> Self {
        Self::at_most(MAX_GROUP)
    }
}

impl GroupSize {
    /// Starts with groups of up to `records`, and never goes beyond [`MAX_GROUP`].
    pub(crate) fn at_most(records: usize) -> Self {
        Self {
            most: records.min(MAX_GROUP),
            limit: MAX_GROUP,
        }
    }

    /// Starts with `records`, and doubles without a limit.
    pub(crate) const fn unlimited(records: usize) -> Self {
        Self {
            most: records,
            limit: usize::MAX,
        }
    }

    /// Returns the most records that the next group opens.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Doubles the size: every record that was opened was wanted.
    pub(crate) fn speed_up(&mut self) {
        self.most = self.most.saturating_mul(2).min(self.limit);
    }

    /// Sets the size to one: a record was opened in vain.
    pub(crate) const fn slow_down(&mut self) {
        self.most = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_record_opened_in_vain_groups_grow_from_one_record() {
        let mut size = GroupSize::default();
        assert_eq!(size.most(), MAX_GROUP);
        size.slow_down();
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(size.most());
            size.speed_up();
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 16]);
    }
}
