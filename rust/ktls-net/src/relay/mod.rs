//! Copies bytes between two sockets in both directions; at least one of the sockets uses TLS.

mod flow;
mod inbox;
mod job;
mod ktls;
mod pair;
mod pool;
mod pump;
mod side;
mod worker;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::wait::timespec;
use crate::{Connection, NetError, Wait};
use flow::{PumpProgress, SpareBuffers};
use pump::{GRACE, PairPump};

pub use ktls::KtlsSide;
pub use pair::{OnClose, PairEnd, PairOptions, RelayPair, TruncationPolicy};
pub use pool::{PoolTally, RelayPool};
pub use side::RelaySide;

/// A relay between a connection and a plain socket, which runs in the calling thread.
pub struct Relay {
    pump: PairPump,
    spare: SpareBuffers,
    stop: Option<OwnedFd>,
    idle: Option<Duration>,
}

/// The number of steps between two checks of the stop descriptor while both sides are busy.
const STEPS_BETWEEN_SIGNAL_CHECKS: u64 = 64;
/// [`Relay::run`] returns at least this often, so that its caller checks for signals.
const SIGNALS: Duration = Duration::from_millis(100);
/// How long empty memory is kept for the next bytes.
const KEEP_MEMORY: Duration = Duration::from_secs(1);

impl Relay {
    /// Joins the two sides. `stop` ends the relay when it becomes readable.
    ///
    /// # Errors
    /// EBADF if the connection is closed.
    pub fn new(
        connection: Arc<Connection>,
        plain: OwnedFd,
        stop: Option<OwnedFd>,
        options: PairOptions,
    ) -> Result<Self, NetError> {
        Ok(Self {
            pump: PairPump::new(
                [RelaySide::tls(connection)?, RelaySide::Plain(plain)],
                options.truncation,
            ),
            spare: SpareBuffers::default(),
            stop,
            idle: options.idle,
        })
    }

    /// Runs until both directions have ended. Returns the number of plaintext bytes from the peer
    /// and to the peer.
    ///
    /// # Errors
    /// - The errors of reading and writing on either side.
    /// - [`NetError::TimedOut`] if nothing has moved for the idle time.
    /// - [`NetError::Interrupted`] from time to time: call again.
    ///
    /// After any error but the last, both sides are ended so that neither can mistake the bytes
    /// that it received for the whole stream.
    pub fn run(&mut self) -> Result<(u64, u64), NetError> {
        let _turns = self.pump.take_turns(Wait::Forever)?;
        match self.pump_on() {
            Err(NetError::Interrupted) => Err(NetError::Interrupted),
            Err(error) => {
                self.pump.abort();
                Err(error)
            }
            Ok(()) => Ok(self.totals()),
        }
    }

    /// Returns the number of plaintext bytes from the peer and to the peer so far.
    #[must_use]
    pub const fn totals(&self) -> (u64, u64) {
        let [received, sent] = self.pump.totals();
        (received, sent)
    }

    fn pump_on(&mut self) -> Result<(), NetError> {
        let started = Instant::now();
        self.pump.borrow_memory(&mut self.spare);
        let mut step = 0_u64;
        loop {
            step += 1;
            let progress = self.pump.pump_both(&mut self.spare);
            if let Some(ending) = self.pump.ending() {
                return ending.map(drop);
            }
            if self.pump.is_time_up(Instant::now()) {
                return self.pump.end_stopped().map(drop);
            }
            // Even if both sides are busy, a stop and the caller's signals have to be noticed.
            if progress == PumpProgress::Stalled
                || step.is_multiple_of(STEPS_BETWEEN_SIGNAL_CHECKS)
                || self.pump.take_pause_request()
            {
                self.wait(progress)?;
                self.pump.borrow_memory(&mut self.spare);
                if started.elapsed() > SIGNALS {
                    return Err(NetError::Interrupted);
                }
            }
        }
    }

    /// Checks the stop descriptor. If nothing has moved, waits until something can.
    fn wait(&mut self, progress: PumpProgress) -> Result<(), NetError> {
        let mut spare = std::mem::take(&mut self.spare);
        let block = progress == PumpProgress::Stalled;
        if block {
            self.pump.return_memory(&mut spare);
        }
        let [tls, plain] = self.pump.sides();
        let watched = [
            (tls.as_fd(), self.pump.events(0)),
            (plain.as_fd(), self.pump.events(1)),
            (self.stop_fd(), self.stop_events()),
        ];
        let wanted = watched.iter().filter(|(_, events)| !events.is_empty());
        let mut fds: Vec<PollFd<'_>> = wanted
            .map(|&(fd, events)| PollFd::from_borrowed_fd(fd, events))
            .collect();
        let timeout = if block {
            self.timeout()
        } else {
            Some(Duration::ZERO)
        };
        let seen = poll_and_free(&mut fds, timeout, &mut spare)?;
        let stop = fds.last().is_some_and(|last| !last.revents().is_empty());
        if stop && !self.stop_events().is_empty() {
            self.pump.stop(GRACE);
        } else if block && seen == 0 && self.pump.give_up().is_none() {
            return Err(self.pump.expire());
        }
        self.spare = spare;
        Ok(())
    }

    /// Returns how long a wait may last, or `None` for no limit.
    fn timeout(&self) -> Option<Duration> {
        match self.pump.give_up() {
            Some(end) => Some(end.saturating_duration_since(Instant::now())),
            None => self.idle.into_iter().chain(self.pump.patience()).min(),
        }
    }

    /// Returns the stop descriptor, or any other if there is none: no event is waited for there.
    fn stop_fd(&self) -> BorrowedFd<'_> {
        let unused = self.pump.sides()[0].as_fd();
        self.stop.as_ref().map_or(unused, AsFd::as_fd)
    }

    /// Returns the events of the stop descriptor to wait for: none without a descriptor, or once
    /// the relay was stopped.
    fn stop_events(&self) -> PollFlags {
        let watched = self.stop.is_some() && self.pump.give_up().is_none();
        if watched {
            PollFlags::IN
        } else {
            PollFlags::empty()
        }
    }
}

/// Waits for one of `fds`. Frees the spare memory if the wait takes longer than [`KEEP_MEMORY`].
/// Returns the number of descriptors that are ready; 0 if `timeout` is over. Without a `timeout`,
/// waits forever.
fn poll_and_free(
    fds: &mut [PollFd<'_>],
    timeout: Option<Duration>,
    spare: &mut SpareBuffers,
) -> Result<usize, NetError> {
    let short = timeout.map_or(KEEP_MEMORY, |timeout| timeout.min(KEEP_MEMORY));
    let seen = poll(fds, Some(&timespec(short)))?;
    if seen > 0 || timeout == Some(short) {
        return Ok(seen);
    }
    *spare = SpareBuffers::default();
    let left = timeout.map(|timeout| timespec(timeout.saturating_sub(short)));
    Ok(poll(fds, left.as_ref())?)
}
