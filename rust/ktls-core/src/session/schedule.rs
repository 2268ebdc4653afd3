//! When `rekey_bytes` asks for the next key of ours, and how soon after the last one it may.

use std::time::Duration;

use crate::session::KeyUpdatePolicy;

/// Counts plaintext and time under the key in use. The limit of the AEAD is the sealer's business,
/// and is not subject to the interval.
#[derive(Debug)]
pub(super) struct RekeySchedule {
    /// Plaintext under one key.
    limit: u64,
    interval: Duration,
    /// Plaintext under this key so far.
    bytes: u64,
    /// The last time that was told.
    now: Duration,
    /// When our last KeyUpdate was sealed.
    updated: Option<Duration>,
}

impl RekeySchedule {
    pub(super) fn new(policy: &KeyUpdatePolicy) -> Self {
        Self {
            limit: policy.rekey_bytes.unwrap_or(u64::MAX).max(1),
            interval: policy.rekey_interval,
            bytes: 0,
            now: Duration::ZERO,
            updated: None,
        }
    }

    /// A schedule for keys that cannot be renewed.
    pub(super) fn never() -> Self {
        Self::new(&KeyUpdatePolicy {
            rekey_bytes: None,
            ..KeyUpdatePolicy::default()
        })
    }

    /// It is `now`, a time on any clock that does not go back.
    pub(super) const fn tell_time(&mut self, now: Duration) {
        self.now = now;
    }

    /// `count` bytes of plaintext were sealed.
    pub(super) const fn sealed(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count);
    }

    /// A KeyUpdate was sealed and the next key is in use.
    pub(super) const fn renewed(&mut self) {
        self.bytes = 0;
        self.updated = Some(self.now);
    }

    /// Plaintext until the next key is due: none if it is due now.
    pub(super) fn left(&self) -> u64 {
        if self.is_too_soon() {
            u64::MAX
        } else {
            self.limit.saturating_sub(self.bytes)
        }
    }

    fn is_too_soon(&self) -> bool {
        self.updated
            .is_some_and(|updated| self.now.saturating_sub(updated) < self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn schedule(limit: u64, interval: Duration) -> RekeySchedule {
        RekeySchedule::new(&KeyUpdatePolicy {
            rekey_bytes: Some(limit),
            rekey_interval: interval,
            ..KeyUpdatePolicy::default()
        })
    }

    #[test]
    fn the_first_key_is_due_by_its_bytes_alone() {
        let mut schedule = schedule(100, 150 * MS);
        schedule.sealed(40);
        assert_eq!(schedule.left(), 60);
        schedule.sealed(70);
        assert_eq!(schedule.left(), 0);
    }

    #[test]
    fn a_later_key_is_not_due_before_the_interval_has_passed() {
        let mut schedule = schedule(100, 150 * MS);
        schedule.tell_time(1000 * MS);
        schedule.renewed();
        schedule.sealed(1 << 40);
        for (now, left) in [(1000, u64::MAX), (1149, u64::MAX), (1150, 0), (9000, 0)] {
            schedule.tell_time(now * MS);
            assert_eq!(schedule.left(), left, "at {now} ms");
        }
    }

    #[test]
    fn without_an_interval_each_key_is_due_by_its_bytes() {
        let mut schedule = schedule(100, Duration::ZERO);
        schedule.renewed();
        assert_eq!(schedule.left(), 100);
        schedule.sealed(100);
        assert_eq!(schedule.left(), 0);
    }

    #[test]
    fn a_key_that_nothing_asks_to_renew_is_never_due() {
        let mut schedule = RekeySchedule::never();
        schedule.sealed(u64::MAX - 1);
        assert_eq!(schedule.left(), 1);
    }
}
