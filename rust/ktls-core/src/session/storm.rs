//! KeyUpdate storms: each one costs us more than it costs the peer.

use std::time::Duration;

use crate::error::Error;
use crate::wire::MAX_PLAINTEXT;

/// At most so many KeyUpdates of the peer in a window; there is no limit over a connection's life.
///
/// One that follows a full record's worth of data since the last is ordinary use and is not counted.
#[derive(Clone, Copy, Debug)]
pub struct KeyUpdateLimit {
    /// KeyUpdates tolerated in one window.
    pub count: u32,
    /// The window.
    pub window: Duration,
}

/// Counts against a [`KeyUpdateLimit`].
#[derive(Debug)]
pub(super) struct StormGuard {
    limit: KeyUpdateLimit,
    window_start: Duration,
    count: u32,
    data: usize,
}

impl StormGuard {
    pub(super) fn new(limit: KeyUpdateLimit) -> Self {
        Self {
            limit,
            window_start: Duration::ZERO,
            count: 0,
            data: 0,
        }
    }

    /// Application data came in.
    pub(super) fn data(&mut self, len: usize) {
        self.data = self.data.saturating_add(len);
    }

    /// A KeyUpdate came in at `now`, a time on any clock that does not go back.
    pub(super) fn key_update(&mut self, now: Duration) -> Result<(), Error> {
        if std::mem::take(&mut self.data) >= MAX_PLAINTEXT {
            return Ok(());
        }
        if now.saturating_sub(self.window_start) >= self.limit.window {
            self.window_start = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.count <= self.limit.count {
            return Ok(());
        }
        let window_ms = u64::try_from(self.limit.window.as_millis()).unwrap_or(u64::MAX);
        Err(Error::KeyUpdateStorm {
            count: self.count,
            window_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> StormGuard {
        StormGuard::new(KeyUpdateLimit {
            count: 2,
            window: Duration::from_secs(1),
        })
    }

    #[test]
    fn one_too_many_in_a_window_is_a_storm() {
        let mut storm = guard();
        let now = Duration::from_millis(900);
        assert_eq!(storm.key_update(now), Ok(()));
        assert_eq!(storm.key_update(now), Ok(()));
        let want = Err(Error::KeyUpdateStorm {
            count: 3,
            window_ms: 1000,
        });
        assert_eq!(storm.key_update(now), want);
    }

    #[test]
    fn a_new_window_starts_from_zero_for_ever() {
        let mut storm = guard();
        for second in 1..1000 {
            let now = Duration::from_secs(second);
            assert_eq!(storm.key_update(now), Ok(()));
            assert_eq!(storm.key_update(now), Ok(()));
        }
    }

    #[test]
    fn an_update_after_a_full_record_of_data_is_not_counted() {
        let mut storm = guard();
        for _ in 0..100 {
            storm.data(MAX_PLAINTEXT);
            assert_eq!(storm.key_update(Duration::ZERO), Ok(()));
        }
    }
}
