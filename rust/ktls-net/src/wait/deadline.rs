//! The time that a call with several waits may take, and when its caller checks for signals.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::{SIGNAL_CHECK_INTERVAL, Wait};
use crate::NetError;

/// The deadline of a call: fixed, or renewed each time that the other side takes something.
#[derive(Clone, Copy, Debug)]
pub struct ProgressDeadline {
    patience: Wait,
    renewal: Option<Duration>,
    /// How long a wait lasts before the caller checks for signals. A signal that arrived just
    /// before a wait has interrupted nothing and would not end the wait. Each check doubles the
    /// time to the next, so no handler is delayed by more than the call has lasted. `None` for a
    /// caller that would end its call after an interruption.
    signal_check: Option<Duration>,
    /// Whether the checks for signals stop once something was taken: the call would return early
    /// with that.
    until_taken: bool,
}

impl ProgressDeadline {
    /// A fixed deadline for a call that returns what it has sent when it is interrupted.
    #[must_use]
    pub const fn once(patience: Wait) -> Self {
        Self {
            patience,
            renewal: None,
            signal_check: None,
            until_taken: false,
        }
    }

    /// A fixed deadline for a call that continues after an interruption, as long as it has taken
    /// nothing.
    #[must_use]
    pub const fn until_taken(patience: Wait) -> Self {
        Self {
            signal_check: Some(SIGNAL_CHECK_INTERVAL),
            until_taken: true,
            ..Self::once(patience)
        }
    }

    /// A fixed deadline for a call that continues after an interruption.
    #[must_use]
    pub const fn whole(patience: Wait) -> Self {
        Self {
            signal_check: Some(SIGNAL_CHECK_INTERVAL),
            ..Self::once(patience)
        }
    }

    /// A deadline that is `timeout` after the last time that the other side took something.
    #[must_use]
    pub fn while_stalled(timeout: Option<Duration>) -> Self {
        Self {
            renewal: timeout.filter(|timeout| !timeout.is_zero()),
            ..Self::whole(Wait::from_timeout(timeout))
        }
    }

    /// Returns how long a wait that begins now may last.
    #[must_use]
    pub const fn patience(&self) -> Wait {
        self.patience
    }

    /// Sets how long later waits may last.
    pub(crate) const fn set_patience(&mut self, patience: Wait) {
        self.patience = patience;
    }

    /// Returns `true` if the deadline is renewed when the other side takes something.
    pub(crate) const fn is_renewed(&self) -> bool {
        self.renewal.is_some()
    }

    /// Renews the deadline, since the other side has taken something.
    pub(crate) fn renew(&mut self) {
        if self.is_renewed() {
            self.patience = Wait::from_timeout(self.renewal);
        }
    }

    /// Notes that the call has taken bytes that it cannot give back.
    pub(crate) fn note_taken(&mut self) {
        self.signal_check = self.signal_check.filter(|_| !self.until_taken);
    }

    /// Calls `wait` with the time that it may last: up to `longest`, but not beyond the next check
    /// for signals.
    ///
    /// # Errors
    /// - The errors of `wait`.
    /// - [`NetError::Interrupted`] if it is time to check for signals. Call again.
    pub(crate) fn wait(
        &mut self,
        longest: Wait,
        wait: impl FnOnce(Wait) -> Result<PollFlags, NetError>,
    ) -> Result<PollFlags, NetError> {
        let look = self
            .signal_check
            .map(|after| (after, Instant::now() + after));
        let Some((after, look_at)) = look.filter(|(_, look_at)| longest.is_longer(*look_at)) else {
            let seen = wait(longest)?;
            self.reset_signal_check();
            return Ok(seen);
        };
        match wait(Wait::Until(look_at)) {
            Err(NetError::TimedOut) => {
                self.signal_check = Some(after.saturating_mul(2));
                Err(NetError::Interrupted)
            }
            waited => {
                self.reset_signal_check();
                waited
            }
        }
    }

    fn reset_signal_check(&mut self) {
        self.signal_check = self.signal_check.map(|_| SIGNAL_CHECK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_in_vain(limit: &mut ProgressDeadline) -> Result<PollFlags, NetError> {
        limit.wait(limit.patience(), |_| Err(NetError::TimedOut))
    }

    #[test]
    fn waits_between_looks_for_signals_grow_with_the_call() {
        let mut limit = ProgressDeadline::whole(Wait::Forever);
        for number in 0..12 {
            let earliest = Instant::now() + SIGNAL_CHECK_INTERVAL * (1 << number);
            let waited = limit.wait(Wait::Forever, |patience| {
                assert!(matches!(patience, Wait::Until(end) if end >= earliest));
                Err(NetError::TimedOut)
            });
            assert!(matches!(waited, Err(NetError::Interrupted)));
        }
    }

    #[test]
    fn what_comes_in_between_makes_the_next_look_early() {
        for come in [Ok(PollFlags::IN), Err(NetError::Interrupted)] {
            let mut limit = ProgressDeadline::whole(Wait::Forever);
            for _ in 0..4 {
                assert!(matches!(
                    wait_in_vain(&mut limit),
                    Err(NetError::Interrupted)
                ));
            }
            assert!(limit.signal_check > Some(SIGNAL_CHECK_INTERVAL));
            let told = come.is_ok();
            let waited = limit.wait(Wait::Forever, |_| come);
            assert_eq!(waited.is_ok(), told);
            assert_eq!(limit.signal_check, Some(SIGNAL_CHECK_INTERVAL));
        }
    }

    #[test]
    fn who_cannot_be_interrupted_waits_in_one_piece() {
        let mut limit = ProgressDeadline::once(Wait::Forever);
        let waited = limit.wait(Wait::Forever, |patience| {
            assert_eq!(patience, Wait::Forever);
            Ok(PollFlags::IN)
        });
        assert_eq!(waited.ok(), Some(PollFlags::IN));
    }

    #[test]
    fn who_has_taken_something_waits_in_one_piece() {
        let mut limit = ProgressDeadline::until_taken(Wait::Forever);
        assert!(matches!(
            wait_in_vain(&mut limit),
            Err(NetError::Interrupted)
        ));
        limit.note_taken();
        assert!(matches!(wait_in_vain(&mut limit), Err(NetError::TimedOut)));
        let mut goes_on = ProgressDeadline::whole(Wait::Forever);
        goes_on.note_taken();
        assert!(matches!(
            wait_in_vain(&mut goes_on),
            Err(NetError::Interrupted)
        ));
    }

    #[test]
    fn a_timeout_that_is_over_before_the_look_is_told() {
        let mut limit = ProgressDeadline::whole(Wait::Until(Instant::now()));
        assert!(matches!(wait_in_vain(&mut limit), Err(NetError::TimedOut)));
        let mut limit = ProgressDeadline::whole(Wait::Never);
        assert!(matches!(wait_in_vain(&mut limit), Err(NetError::TimedOut)));
    }
}
