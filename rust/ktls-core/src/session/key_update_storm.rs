//! A limit for KeyUpdate storms, because a KeyUpdate costs this side more than the peer.
//!
//! KeyUpdates with application data between them are ordinary use at any rate: the data costs the
//! peer as much as this side. Only KeyUpdates without data between them are counted, as in rustls
//! and BoringSSL. The limit grows with time, so that a peer that changes its key now and then on an
//! idle connection is never cut off.
//!
//! The time is measured in favour of the peer. A reader that resumes after a pause finds records
//! whose time of arrival is unknown; they only came after the data that was read before the pause.
//! The time is therefore measured from the last data, not from the first KeyUpdate, so that a
//! backlog that is read at once is not mistaken for a storm.

use std::time::Duration;

use crate::error::Error;

/// The limit on the peer's KeyUpdates in a row, without application data between them.
#[derive(Clone, Copy, Debug)]
pub struct KeyUpdateLimit {
    /// KeyUpdates tolerated in a row.
    pub count: u32,
    /// Each time this passes without data, `count` more are tolerated. Zero means no limit.
    pub window: Duration,
}

impl Default for KeyUpdateLimit {
    /// 32 in a row, as in rustls and BoringSSL, and 32 more each second.
    fn default() -> Self {
        Self {
            count: 32,
            window: Duration::from_secs(1),
        }
    }
}

/// Counts the peer's KeyUpdates against a [`KeyUpdateLimit`].
#[derive(Debug)]
pub(super) struct StormGuard {
    limit: KeyUpdateLimit,
    /// KeyUpdates since the last data.
    in_row: u32,
    /// When the last data was read.
    last_data: Duration,
}

impl StormGuard {
    pub(super) const fn new(limit: KeyUpdateLimit) -> Self {
        Self {
            limit,
            in_row: 0,
            last_data: Duration::ZERO,
        }
    }

    /// Notes `len` bytes of application data read at `now`. The clock may be any that does not go
    /// back.
    pub(super) const fn note_data(&mut self, len: usize, now: Duration) {
        // An empty record costs the peer nothing, so it does not excuse a KeyUpdate.
        if len > 0 {
            self.in_row = 0;
            self.last_data = now;
        }
    }

    /// Counts a KeyUpdate read at `now`.
    ///
    /// # Errors
    /// [`Error::KeyUpdateStorm`] if it exceeds the limit.
    pub(super) fn count_key_update(&mut self, now: Duration) -> Result<(), Error> {
        self.in_row = self.in_row.saturating_add(1);
        if u128::from(self.in_row) <= self.tolerated(now) {
            return Ok(());
        }
        Err(Error::KeyUpdateStorm { count: self.in_row })
    }

    /// Removes the last KeyUpdate from the count: the peer had to send it, to answer our request.
    pub(super) const fn excuse_key_update(&mut self) {
        self.in_row = self.in_row.saturating_sub(1);
    }

    fn tolerated(&self, now: Duration) -> u128 {
        let passed = now.saturating_sub(self.last_data).as_nanos();
        match passed.checked_div(self.limit.window.as_nanos()) {
            Some(windows) => u128::from(self.limit.count) * (1 + windows),
            None => u128::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn guard(count: u32, window: Duration) -> StormGuard {
        StormGuard::new(KeyUpdateLimit { count, window })
    }

    /// Counts up to a thousand KeyUpdates at `now`, and returns how many are tolerated.
    fn tolerated(storm: &mut StormGuard, now: Duration) -> usize {
        (0..1000)
            .take_while(|_| storm.count_key_update(now).is_ok())
            .count()
    }

    #[test]
    fn thirty_two_in_a_row_are_tolerated_and_one_more_is_a_storm() {
        let mut storm = StormGuard::new(KeyUpdateLimit::default());
        let now = Duration::from_millis(900);
        assert_eq!(tolerated(&mut storm, now), 32);
        let want = Err(Error::KeyUpdateStorm { count: 34 });
        assert_eq!(storm.count_key_update(now), want);
    }

    #[test]
    fn one_byte_between_them_is_enough_however_often_they_come() {
        let mut storm = guard(1, SECOND);
        for _ in 0..100_000 {
            storm.note_data(1, Duration::ZERO);
            assert_eq!(storm.count_key_update(Duration::ZERO), Ok(()));
        }
    }

    #[test]
    fn a_record_without_data_does_not_count_as_data() {
        let mut storm = guard(2, SECOND);
        let tolerated: Vec<_> = (0..3)
            .map(|_| {
                storm.note_data(0, Duration::ZERO);
                storm.count_key_update(Duration::ZERO).is_ok()
            })
            .collect();
        assert_eq!(tolerated, [true, true, false]);
    }

    #[test]
    fn slow_key_updates_of_an_idle_peer_are_tolerated_forever() {
        let mut storm = guard(2, SECOND);
        for second in 0..10_000 {
            let now = Duration::from_secs(second);
            assert_eq!(storm.count_key_update(now), Ok(()), "after {second} s");
            assert_eq!(storm.count_key_update(now), Ok(()), "after {second} s");
        }
    }

    #[test]
    fn a_backlog_read_at_once_is_measured_by_the_time_since_the_last_data() {
        let mut storm = guard(2, SECOND);
        storm.note_data(1, 5 * SECOND);
        assert_eq!(tolerated(&mut storm, 15 * SECOND), 22);
        storm.note_data(1, 15 * SECOND);
        assert_eq!(tolerated(&mut storm, 15 * SECOND), 2);
    }

    #[test]
    fn an_answer_to_our_own_request_is_not_counted() {
        let mut storm = guard(2, SECOND);
        for _ in 0..100 {
            assert_eq!(storm.count_key_update(Duration::ZERO), Ok(()));
            storm.excuse_key_update();
        }
        assert_eq!(tolerated(&mut storm, Duration::ZERO), 2);
    }

    #[test]
    fn a_window_of_no_time_is_no_limit() {
        let mut storm = guard(0, Duration::ZERO);
        assert_eq!(tolerated(&mut storm, Duration::ZERO), 1000);
    }
}
