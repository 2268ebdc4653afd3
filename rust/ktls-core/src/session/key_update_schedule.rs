//! The schedule of our own KeyUpdates: due after a number of bytes or a time, but not before an
//! interval has passed.

use std::time::Duration;

use crate::session::KeyUpdatePolicy;
use crate::stats::Counter;

/// Counts plaintext and time under the key in use, for [`KeyUpdatePolicy::rekey_bytes`],
/// [`KeyUpdatePolicy::rekey_age`] and [`KeyUpdatePolicy::rekey_interval`]. The sealer counts records for the limit of the AEAD, which
/// does not wait for the interval.
#[derive(Debug)]
pub(super) struct RekeySchedule {
    /// The most bytes of plaintext under one key.
    limit: u64,
    /// The longest time from the first data under one key.
    max_age: Option<Duration>,
    interval: Duration,
    /// When the first data under this key was sealed.
    first_data: Option<Duration>,
    /// Whether the interval has postponed the next key before.
    is_postponed: bool,
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
            max_age: policy.rekey_age,
            interval: policy.rekey_interval,
            first_data: None,
            is_postponed: false,
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
    pub(super) fn note_sealed(&mut self, count: u64) {
        self.first_data.get_or_insert(self.now);
        self.bytes = self.bytes.saturating_add(count);
    }

    /// Starts counting again, for the key that a KeyUpdate has put in use.
    pub(super) const fn note_key_update(&mut self) {
        self.bytes = 0;
        self.first_data = None;
        self.is_postponed = false;
        self.updated = Some(self.now);
    }

    /// Returns the bytes of plaintext that are left until the next key is due: 0 if it is due now,
    /// and `u64::MAX` until the interval has passed.
    pub(super) fn bytes_left(&self) -> u64 {
        match (self.is_too_soon(), self.reason()) {
            (true, _) => u64::MAX,
            (false, Some(_)) => 0,
            (false, None) => self.limit.saturating_sub(self.bytes),
        }
    }

    /// Returns the counter for the reason why the next key is due, if it is due now.
    pub(super) fn due(&self) -> Option<Counter> {
        self.reason().filter(|_| !self.is_too_soon())
    }

    /// Returns `true` if the interval postpones the next key: once for each key.
    pub(super) fn is_newly_postponed(&mut self) -> bool {
        let is_postponed = self.is_too_soon() && self.reason().is_some();
        let is_new = is_postponed && !self.is_postponed;
        self.is_postponed |= is_postponed;
        is_new
    }

    /// Returns the counter for the reason why the next key would be due without the interval.
    fn reason(&self) -> Option<Counter> {
        let age = self.first_data.map(|first| self.now.saturating_sub(first));
        if self.bytes >= self.limit {
            Some(Counter::TlsTxRekeyBytes)
        } else if age.zip(self.max_age).is_some_and(|(age, most)| age >= most) {
            Some(Counter::TlsTxRekeySeconds)
        } else {
            None
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
    fn a_key_with_data_is_due_by_its_age() {
        let mut schedule = RekeySchedule::new(&KeyUpdatePolicy {
            rekey_age: Some(1000 * MS),
            ..KeyUpdatePolicy::default()
        });
        schedule.set_time(5000 * MS);
        assert_eq!(schedule.due(), None, "no data yet");
        schedule.note_sealed(1);
        for (now, due) in [
            (5000, None),
            (5999, None),
            (6000, Some(Counter::TlsTxRekeySeconds)),
        ] {
            schedule.set_time(now * MS);
            schedule.note_sealed(1);
            assert_eq!(schedule.due(), due, "at {now} ms");
        }
        assert_eq!(schedule.bytes_left(), 0);
        schedule.note_key_update();
        schedule.set_time(9000 * MS);
        assert_eq!(schedule.due(), None, "no data under this key");
    }

    #[test]
    fn a_key_is_postponed_once_by_the_interval() {
        let mut schedule = schedule(10, 150 * MS);
        schedule.note_sealed(10);
        assert!(!schedule.is_newly_postponed(), "the first key is due");
        assert_eq!(schedule.due(), Some(Counter::TlsTxRekeyBytes));
        schedule.note_key_update();
        schedule.note_sealed(10);
        let told: Vec<_> = (0..3).map(|_| schedule.is_newly_postponed()).collect();
        assert_eq!((told, schedule.due()), (vec![true, false, false], None));
        schedule.set_time(150 * MS);
        assert!(!schedule.is_newly_postponed());
        assert_eq!(schedule.due(), Some(Counter::TlsTxRekeyBytes));
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
