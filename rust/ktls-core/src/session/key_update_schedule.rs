//! The schedule of our own KeyUpdates: due after a number of bytes, but not before an interval has
//! passed.

use std::time::Duration;

use crate::session::KeyUpdatePolicy;

/// Counts plaintext and time under the key in use, for [`KeyUpdatePolicy::rekey_bytes`] and
/// [`KeyUpdatePolicy::rekey_interval`]. The sealer counts records for the limit of the AEAD, which
/// does not wait for the interval.
#[derive(Debug)]
pub(super) struct RekeySchedule {
    /// The most bytes of plaintext under one key.
    limit: u64,
    interval: Duration,
    /// Bytes of plaintext under this key so far.
    bytes: u64,
    /// The time that the caller has set last.
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

    /// Makes a schedule for keys that cannot be changed: no key is ever due.
    pub(super) fn never() -> Self {
        Self::new(&KeyUpdatePolicy {
            rekey_bytes: None,
            ..KeyUpdatePolicy::default()
        })
    }

    /// Sets the time to `now`, on any clock that does not go back.
    pub(super) const fn set_time(&mut self, now: Duration) {
        self.now = now;
    }

    /// Counts `count` bytes of sealed plaintext.
    pub(super) const fn note_sealed(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count);
    }

    /// Starts counting again, for the key that a KeyUpdate has put in use.
    pub(super) const fn note_key_update(&mut self) {
        self.bytes = 0;
        self.updated = Some(self.now);
    }

    /// Returns the bytes of plaintext that are left until the next key is due: 0 if it is due now,
    /// and `u64::MAX` until the interval has passed.
    pub(super) fn bytes_left(&self) -> u64 {
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
        schedule.note_sealed(40);
        assert_eq!(schedule.bytes_left(), 60);
        schedule.note_sealed(70);
        assert_eq!(schedule.bytes_left(), 0);
    }

    #[test]
    fn a_later_key_is_not_due_before_the_interval_has_passed() {
        let mut schedule = schedule(100, 150 * MS);
        schedule.set_time(1000 * MS);
        schedule.note_key_update();
        schedule.note_sealed(1 << 40);
        for (now, left) in [(1000, u64::MAX), (1149, u64::MAX), (1150, 0), (9000, 0)] {
            schedule.set_time(now * MS);
            assert_eq!(schedule.bytes_left(), left, "at {now} ms");
        }
    }

    #[test]
    fn without_an_interval_each_key_is_due_by_its_bytes() {
        let mut schedule = schedule(100, Duration::ZERO);
        schedule.note_key_update();
        assert_eq!(schedule.bytes_left(), 100);
        schedule.note_sealed(100);
        assert_eq!(schedule.bytes_left(), 0);
    }

    #[test]
    fn a_key_without_a_limit_is_never_due() {
        let mut schedule = RekeySchedule::never();
        schedule.note_sealed(u64::MAX - 1);
        assert_eq!(schedule.bytes_left(), 1);
    }
}
