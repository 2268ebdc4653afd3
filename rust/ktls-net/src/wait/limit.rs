//! How long a call that sends much may wait, however often it does.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::Patience;
use crate::Error;
use crate::descriptor::LOOK_UP;

/// To one end, or from each time on that the other side takes something.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    patience: Patience,
    each: Option<Duration>,
    look_up: LookUp,
}

/// Whether the caller has to look for signals before a long wait: one that came while records were
/// sealed has interrupted nothing, and would not end the wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LookUp {
    /// The caller would take an interruption for the end of its call.
    Never,
    Due,
    Done,
}

impl Limit {
    /// As patient as that from the first wait to the last, for a call that returns what it could send.
    #[must_use]
    pub const fn once(patience: Patience) -> Self {
        Self {
            patience,
            each: None,
            look_up: LookUp::Never,
        }
    }

    /// The same for a call that goes on after an interruption.
    #[must_use]
    pub const fn whole(patience: Patience) -> Self {
        Self {
            look_up: LookUp::Due,
            ..Self::once(patience)
        }
    }

    /// `timeout` counts from the last time that the other side took something.
    #[must_use]
    pub fn while_stalled(timeout: Option<Duration>) -> Self {
        Self {
            each: timeout.filter(|timeout| !timeout.is_zero()),
            ..Self::whole(Patience::from_timeout(timeout))
        }
    }

    /// What a wait that begins now gets.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        self.patience
    }

    /// True when it makes a difference that the other side takes something.
    pub(crate) const fn is_renewed(&self) -> bool {
        self.each.is_some()
    }

    /// The other side has taken something.
    pub(crate) fn renew(&mut self) {
        if self.is_renewed() {
            self.patience = Patience::from_timeout(self.each);
        }
    }

    /// Waits by `wait`, at most as patiently as `longest`; the first wait after some work is short if the
    /// caller has to look up.
    ///
    /// # Errors
    /// Those of `wait`; [`Error::Interrupted`] to be called again.
    pub(crate) fn wait(
        &mut self,
        longest: Patience,
        wait: impl FnOnce(Patience) -> Result<PollFlags, Error>,
    ) -> Result<(), Error> {
        let short = Instant::now() + LOOK_UP;
        let may_be_short = match longest {
            Patience::None => false,
            Patience::Until(end) => end > short,
            Patience::Endless => true,
        };
        if self.look_up != LookUp::Due || !may_be_short {
            wait(longest)?;
            self.worked();
            return Ok(());
        }
        match wait(Patience::Until(short)) {
            Err(Error::TimedOut) => {
                self.look_up = LookUp::Done;
                Err(Error::Interrupted)
            }
            waited => waited.map(drop),
        }
    }

    fn worked(&mut self) {
        if self.look_up == LookUp::Done {
            self.look_up = LookUp::Due;
        }
    }
}
