//! A lingering close: one socket on its way from the last byte sealed to the end of its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ktls_core::Fifo;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::{Limits, Next, reset_when_closed};
use crate::NetError;
use crate::wait::{read_now, write_now};

/// How the peer learns that no more will come, behind everything that is delivered first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// FIN.
    Fin,
    /// A reset, once the peer has everything and has closed, or has been silent for some time: what was
    /// delivered is not all there was.
    Reset,
}

/// The state of one lingering close.
pub(super) struct LingeringClose {
    unsent: Fifo,
    ending: Ending,
    stage: Stage,
    /// The peer's FIN has come: no reset can be caused any more.
    peer_done: bool,
    /// What TCP had not got acknowledged at the last look.
    unacknowledged: u64,
    /// When TCP accepted bytes or got some acknowledged; in the last stage, when the peer said something.
    progress: Instant,
    /// Bytes of the peer that are still read and discarded, until there is progress.
    patience: usize,
    /// Time to the next look at what is acknowledged, of which no event tells.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// TCP has no room for all.
    Sending,
    /// The peer has not acknowledged all.
    Delivering,
    /// Only the peer's FIN is missing.
    Listening { since: Instant },
}

/// What a turn needs of its caller.
pub(super) struct Surroundings<'a> {
    pub(super) fd: &'a Arc<OwnedFd>,
    /// Memory for what is discarded.
    pub(super) sink: &'a mut [u8],
    pub(super) now: Instant,
    pub(super) limits: Limits,
    /// Somebody else still uses the descriptor.
    pub(super) shared: bool,
}

/// The connection is gone, or given up.
struct Over;

/// The first and the longest pause between two looks.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
/// A peer that goes on sending is not read from for ever: more than TCP's buffers hold.
const MOST_DISCARDED: usize = 16 << 20;
/// Reads in one turn: others want theirs.
const READS: usize = 16;

impl LingeringClose {
    pub(super) fn new(unsent: Fifo, ending: Ending, now: Instant) -> Self {
        Self {
            unsent,
            ending,
            stage: Stage::Sending,
            peer_done: false,
            unacknowledged: 0,
            progress: now,
            patience: MOST_DISCARDED,
            pause: PAUSES[0],
        }
    }

    /// Does what can be done now. After [`Next::Done`] the descriptor is to be closed.
    pub(super) fn turn(&mut self, around: &mut Surroundings<'_>) -> Next {
        match self.go_on(around) {
            Err(Over) => Next::Done,
            Ok(()) if self.is_done() => {
                self.tell_end(around.fd);
                Next::Done
            }
            Ok(()) if around.now >= self.deadline(around.limits) => {
                self.give_up(around.fd);
                Next::Done
            }
            Ok(()) => self.next(around.now, around.limits),
        }
    }

    /// When it will be given up if nothing happens.
    pub(super) fn deadline(&self, limits: Limits) -> Instant {
        match self.stage {
            Stage::Sending | Stage::Delivering => self.progress + limits.stalled,
            // Whoever never stops talking is not listened to for ever.
            Stage::Listening { since } if self.patience == 0 => since,
            Stage::Listening { since } => {
                (self.progress + limits.silent).min(since + limits.stalled.max(limits.silent))
            }
        }
    }

    /// Loses what TCP does not have: then the peer must not take what it got for all there was.
    pub(super) fn give_up(&self, fd: &OwnedFd) {
        if self.stage == Stage::Sending || self.ending == Ending::Reset {
            reset_when_closed(fd);
        }
    }

    fn go_on(&mut self, around: &mut Surroundings<'_>) -> Result<(), Over> {
        self.discard_incoming(around)?;
        self.send_unsent(around)?;
        self.look_at_acknowledgements(around);
        Ok(())
    }

    fn discard_incoming(&mut self, around: &mut Surroundings<'_>) -> Result<(), Over> {
        for _ in 0..READS {
            if !self.reads() {
                break;
            }
            match read_now(around.fd.as_fd(), around.sink) {
                Ok(0) => self.peer_done = true,
                Ok(count) => {
                    self.patience = self.patience.saturating_sub(count);
                    if matches!(self.stage, Stage::Listening { .. }) {
                        self.progress = around.now;
                    }
                }
                Err(NetError::Interrupted) => {}
                Err(NetError::Io(Errno::AGAIN)) => break,
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }

    fn send_unsent(&mut self, around: &Surroundings<'_>) -> Result<(), Over> {
        while !self.unsent.is_empty() {
            match write_now(around.fd.as_fd(), self.unsent.bytes()) {
                Ok(count) => {
                    self.unsent.consume(count);
                    self.advance(around.now);
                }
                Err(NetError::Interrupted) => {}
                Err(NetError::Io(Errno::AGAIN)) => return Ok(()),
                Err(_) => return Err(Over),
            }
        }
        if self.stage == Stage::Sending {
            self.stage = Stage::Delivering;
            self.unsent = Fifo::default();
            if self.ending == Ending::Fin {
                // ENOTCONN says that the connection is gone already.
                let _gone = shutdown(around.fd, Shutdown::Write);
            }
        }
        Ok(())
    }

    fn look_at_acknowledgements(&mut self, around: &Surroundings<'_>) {
        // Where the system cannot tell, it goes on by itself with what it has.
        let waiting = ktls_sys::unacknowledged(around.fd).unwrap_or(0);
        if waiting < self.unacknowledged {
            self.advance(around.now);
        }
        self.unacknowledged = waiting;
        if self.stage == Stage::Delivering && waiting == 0 {
            self.listen(around);
        }
    }

    fn advance(&mut self, now: Instant) {
        self.progress = now;
        self.patience = MOST_DISCARDED;
        self.pause = PAUSES[0];
    }

    const fn reads(&self) -> bool {
        !self.peer_done && self.patience > 0
    }

    fn listen(&mut self, around: &Surroundings<'_>) {
        self.advance(around.now);
        self.stage = Stage::Listening { since: around.now };
        if around.shared {
            // Whoever waits to read shall see the end. Not before: it makes late bytes a reset.
            let _gone = shutdown(around.fd, Shutdown::Both);
        }
    }

    /// Nothing that the peer may still do can make the system drop what we have sent.
    fn is_done(&self) -> bool {
        self.peer_done
            && match self.ending {
                Ending::Fin => self.stage != Stage::Sending,
                Ending::Reset => matches!(self.stage, Stage::Listening { .. }),
            }
    }

    fn tell_end(&self, fd: &OwnedFd) {
        if self.ending == Ending::Reset {
            reset_when_closed(fd);
        }
    }

    fn next(&mut self, now: Instant, limits: Limits) -> Next {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.reads());
        events.set(PollFlags::OUT, self.stage == Stage::Sending);
        let deadline = self.deadline(limits);
        let look_at = match self.stage {
            Stage::Sending | Stage::Delivering => deadline.min(now + self.pause),
            Stage::Listening { .. } => deadline,
        };
        self.pause = (self.pause * 2).min(PAUSES[1]);
        Next::Wait { events, look_at }
    }
}

#[cfg(test)]
mod tests;
