//! Pumping between a TLS connection and a plain socket, without anyone else's help.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};

use crate::connection::Now;
use crate::wait::{read_now, timespec, write_now};
use crate::{Connection, Error, Opened, Patience};

/// Both directions between a connection and a plain socket. Memory is bounded, a slow side slows
/// the other down, and the end of one direction is passed on while the other goes on.
pub struct Relay<'a> {
    connection: &'a Connection,
    tls: Opened,
    plain: OwnedFd,
    stop: Option<OwnedFd>,
    idle: Option<Duration>,
    /// From the peer to the plain side.
    inward: Flow,
    /// From the plain side to the peer.
    outward: Flow,
    /// Sealed bytes wait for the peer.
    unsent: bool,
    /// Much was read and no data among it: see at once whether it is to stop.
    look_up: bool,
    /// The plain side takes no more of what the peer sends.
    refused: Option<Errno>,
    /// After a stop: when to give up on what is in flight.
    give_up: Option<Instant>,
}

/// One direction: bytes read and not yet written.
struct Flow {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// No more will be read.
    ended: bool,
    /// And its receiver was told.
    told: bool,
    total: u64,
}

/// Plaintext held in each direction.
const BUFFER: usize = 64 << 10;
/// Steps between two looks at the stop descriptor while there is always something to do.
const LOOK_UP: u64 = 64;
/// Signals are seen at least this often.
const SIGNALS: Duration = Duration::from_millis(100);
/// What is in flight gets this long after a stop.
const GRACE: Duration = Duration::from_secs(1);

impl<'a> Relay<'a> {
    /// Joins the two sides. `stop` ends the relay when it becomes readable; `idle` when nothing moves for so long.
    ///
    /// # Errors
    /// EBADF when the connection is closed.
    pub fn new(
        connection: &'a Connection,
        plain: OwnedFd,
        stop: Option<OwnedFd>,
        idle: Option<Duration>,
    ) -> Result<Self, Error> {
        Ok(Self {
            connection,
            tls: connection.socket()?,
            plain,
            stop,
            idle,
            inward: Flow::new(),
            outward: Flow::new(),
            unsent: false,
            look_up: false,
            refused: None,
            give_up: None,
        })
    }

    /// Runs until both directions have ended: plaintext bytes from the peer and to the peer.
    ///
    /// # Errors
    /// Those of reading and writing on either side, [`Error::TimedOut`] when idle; then neither side can
    /// take what it got for all there was. [`Error::Interrupted`]: call again.
    pub fn run(&mut self) -> Result<(u64, u64), Error> {
        let _turns = self.connection.turns(Patience::Endless)?;
        match self.pump() {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) => {
                self.abort();
                Err(error)
            }
            Ok(()) => Ok(self.totals()),
        }
    }

    fn pump(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        for step in 1_u64.. {
            let moved = self.pump_inward()? | self.pump_outward()?;
            let done = self.inward.told && self.outward.told && !self.unsent;
            if done || self.is_over() {
                break;
            }
            // Busy sides must not keep us from seeing a stop, or our caller from seeing a signal.
            if !moved || step.is_multiple_of(LOOK_UP) || std::mem::take(&mut self.look_up) {
                self.wait(!moved)?;
                if started.elapsed() > SIGNALS {
                    return Err(Error::Interrupted);
                }
            }
        }
        self.refused
            .map_or(Ok(()), |errno| Err(Error::Plain(errno)))
    }

    /// Ends both directions so that nobody takes a part for the whole: an alert, and a reset.
    fn abort(&mut self) {
        self.connection.abort(&self.tls);
        if !self.inward.told {
            // A socket that does not linger resets its peer when it is closed. It may be gone already.
            let _gone = set_socket_linger(&self.plain, Some(Duration::ZERO));
        }
    }

    /// Plaintext bytes from the peer and to the peer so far.
    #[must_use]
    pub const fn totals(&self) -> (u64, u64) {
        (self.inward.total, self.outward.total)
    }

    fn pump_inward(&mut self) -> Result<bool, Error> {
        let flow = &mut self.inward;
        let mut moved = false;
        if flow.is_empty() && !flow.ended {
            match self.connection.read_now(&self.tls, &mut flow.buffer)? {
                Now::Data(count) => moved = flow.filled(count),
                Now::Busy => (moved, self.look_up) = (true, true),
                Now::NotYet => self.unsent = self.connection.unsent() > 0,
            }
        }
        moved |= self.write_plain()?;
        let flow = &mut self.inward;
        if flow.finished() {
            end(&self.plain);
            flow.told = true;
            moved = true;
        }
        Ok(moved)
    }

    /// What the plain side refuses is read on and dropped: its answer may be on its way to the peer.
    fn write_plain(&mut self) -> Result<bool, Error> {
        let flow = &mut self.inward;
        if self.refused.is_some() {
            return Ok(flow.discard());
        }
        match flow.write(|bytes| write_now(self.plain.as_fd(), bytes)) {
            Err(Error::Io(errno @ (Errno::PIPE | Errno::CONNRESET))) => {
                self.refused = Some(errno);
                Ok(self.inward.discard())
            }
            done => done.map_err(plain_side),
        }
    }

    fn pump_outward(&mut self) -> Result<bool, Error> {
        let flow = &mut self.outward;
        let mut moved = false;
        if flow.is_empty() && !flow.ended && !self.unsent {
            moved = match read_now(self.plain.as_fd(), &mut flow.buffer[..BUFFER]) {
                Ok(count) => flow.filled(count),
                Err(Error::Io(Errno::AGAIN)) => false,
                Err(error) => return Err(plain_side(error)),
            };
        }
        if !flow.is_empty() || self.unsent {
            let (count, flushed) = self.connection.write_now(&self.tls, flow.waiting())?;
            flow.wrote(count);
            moved |= count > 0 || (self.unsent && flushed);
            self.unsent = !flushed;
        }
        if flow.finished() && !self.unsent {
            self.connection.close_notify(Patience::None)?;
            self.unsent = self.connection.unsent() > 0;
            flow.told = true;
            moved = true;
            // Nobody waits for the rest of what the plain side has refused.
            if self.refused.is_some() && self.give_up.is_none() {
                self.give_up = Some(Instant::now() + GRACE);
            }
        }
        Ok(moved)
    }

    /// Sees whether it is to stop; with `block` waits until something can move.
    fn wait(&mut self, block: bool) -> Result<(), Error> {
        let watched = [
            (self.tls.as_fd(), self.tls_events()),
            (self.plain.as_fd(), self.plain_events()),
            (self.stop_fd(), self.stop_events()),
        ];
        // A side that nothing is wanted of would wake us for ever once it has hung up.
        let wanted = watched.iter().filter(|(_, events)| !events.is_empty());
        let mut fds: Vec<PollFd<'_>> = wanted
            .map(|&(fd, events)| PollFd::from_borrowed_fd(fd, events))
            .collect();
        let timeout = if block {
            self.timeout()
        } else {
            Some(Duration::ZERO)
        };
        let seen = poll(&mut fds, timeout.map(timespec).as_ref())?;
        let stop = fds.last().is_some_and(|last| !last.revents().is_empty());
        if stop && !self.stop_events().is_empty() {
            self.give_up = Some(Instant::now() + GRACE);
            self.outward.ended = true;
        } else if block && seen == 0 && self.give_up.is_none() {
            return Err(Error::TimedOut);
        }
        Ok(())
    }

    /// True when time is up after a stop.
    fn is_over(&self) -> bool {
        self.give_up.is_some_and(|end| Instant::now() >= end)
    }

    fn timeout(&self) -> Option<Duration> {
        match self.give_up {
            Some(end) => Some(end.saturating_duration_since(Instant::now())),
            None => self.idle,
        }
    }

    fn stop_fd(&self) -> BorrowedFd<'_> {
        self.stop.as_ref().map_or(self.tls.as_fd(), AsFd::as_fd)
    }

    /// Empty without a descriptor for it, and once it was seen.
    fn stop_events(&self) -> PollFlags {
        let watched = self.stop.is_some() && self.give_up.is_none();
        if watched {
            PollFlags::IN
        } else {
            PollFlags::empty()
        }
    }

    fn tls_events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.inward.is_empty() && !self.inward.ended);
        events.set(PollFlags::OUT, self.unsent);
        events
    }

    fn plain_events(&self) -> PollFlags {
        let mut events = PollFlags::empty();
        events.set(
            PollFlags::IN,
            self.outward.is_empty() && !self.outward.ended && !self.unsent,
        );
        events.set(PollFlags::OUT, !self.inward.is_empty());
        events
    }
}

impl Flow {
    fn new() -> Self {
        Self {
            // One more than whole records hold: the content type that follows the last.
            buffer: vec![0; BUFFER + 1],
            start: 0,
            end: 0,
            ended: false,
            told: false,
            total: 0,
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Ended, all passed on, and the receiver does not know yet.
    fn finished(&self) -> bool {
        self.ended && self.is_empty() && !self.told
    }

    /// `count` bytes were read into the buffer; none is the end.
    fn filled(&mut self, count: usize) -> bool {
        (self.start, self.end) = (0, count);
        self.ended = count == 0;
        true
    }

    /// Forgets what waits.
    fn discard(&mut self) -> bool {
        let waited = !self.is_empty();
        self.start = self.end;
        waited
    }

    fn wrote(&mut self, count: usize) {
        self.start += count;
        self.total += count as u64;
    }

    /// Writes what waits as far as it goes.
    fn write(&mut self, to: impl FnOnce(&[u8]) -> Result<usize, Error>) -> Result<bool, Error> {
        if self.is_empty() {
            return Ok(false);
        }
        match to(self.waiting()) {
            Ok(count) => {
                self.wrote(count);
                Ok(true)
            }
            Err(Error::Io(Errno::AGAIN)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Who reads the error shall know which of the two connections it is about.
fn plain_side(error: Error) -> Error {
    match error {
        Error::Io(errno) => Error::Plain(errno),
        error => error,
    }
}

/// FIN to the plain side.
fn end(plain: &OwnedFd) {
    // ENOTCONN says that it is gone already, which the other direction will notice.
    let _gone = shutdown(plain, Shutdown::Write);
}
