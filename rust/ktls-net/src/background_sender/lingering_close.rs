//! A lingering close: one socket on its way from the last byte sealed to the end of its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ktls_core::Fifo;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::{AfterTurn, TaskLimits, reset_when_closed};
use crate::NetError;
use crate::wait::{read_now, write_now};

/// How the peer learns that no more will come, behind everything that is delivered first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndSignal {
    /// FIN.
    Fin,
    /// A reset, once the peer has everything and has closed, or has been silent for some time: what was
    /// delivered is not all there was.
    Reset,
}

/// The state of one lingering close.
pub(super) struct LingeringClose {
    unsent: Fifo,
    ending: EndSignal,
    stage: LingerStage,
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
enum LingerStage {
    /// TCP has no room for all.
    Sending,
    /// The peer has not acknowledged all.
    Delivering,
    /// Only the peer's FIN is missing.
    Listening { since: Instant },
}

/// What a turn needs of its caller.
pub(super) struct LingerContext<'a> {
    pub(super) fd: &'a Arc<OwnedFd>,
    /// Memory for what is discarded.
    pub(super) sink: &'a mut [u8],
    pub(super) now: Instant,
    pub(super) limits: TaskLimits,
    /// Somebody else still uses the descriptor.
    pub(super) shared: bool,
}

/// The connection is gone, or given up.
struct LingerOver;

/// The first and the longest pause between two looks.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
/// A peer that goes on sending is not read from for ever: more than TCP's buffers hold.
const MOST_DISCARDED: usize = 16 << 20;
/// Reads in one turn: others want theirs.
const READS: usize = 16;

impl LingeringClose {
    pub(super) fn new(unsent: Fifo, ending: EndSignal, now: Instant) -> Self {
        Self {
            unsent,
            ending,
            stage: LingerStage::Sending,
            peer_done: false,
            unacknowledged: 0,
            progress: now,
            patience: MOST_DISCARDED,
            pause: PAUSES[0],
        }
    }

    /// Does what can be done now. After [`AfterTurn::Done`] the descriptor is to be closed.
    pub(super) fn turn(&mut self, around: &mut LingerContext<'_>) -> AfterTurn {
        match self.go_on(around) {
            Err(LingerOver) => AfterTurn::Done,
            Ok(()) if self.is_done() => {
                self.tell_end(around.fd);
                AfterTurn::Done
            }
            Ok(()) if around.now >= self.deadline(around.limits) => {
                self.give_up(around.fd);
                AfterTurn::Done
            }
            Ok(()) => self.next(around.now, around.limits),
        }
    }

    /// When it will be given up if nothing happens.
    pub(super) fn deadline(&self, limits: TaskLimits) -> Instant {
        match self.stage {
            LingerStage::Sending | LingerStage::Delivering => self.progress + limits.stalled,
            // Whoever never stops talking is not listened to for ever.
            LingerStage::Listening { since } if self.patience == 0 => since,
            LingerStage::Listening { since } => {
                (self.progress + limits.silent).min(since + limits.stalled.max(limits.silent))
            }
        }
    }

    /// Loses what TCP does not have: then the peer must not take what it got for all there was.
    pub(super) fn give_up(&self, fd: &OwnedFd) {
        if self.stage == LingerStage::Sending || self.ending == EndSignal::Reset {
            reset_when_closed(fd);
        }
    }

    fn go_on(&mut self, around: &mut LingerContext<'_>) -> Result<(), LingerOver> {
        self.discard_incoming(around)?;
        self.send_unsent(around)?;
        self.look_at_acknowledgements(around);
        Ok(())
    }

    fn discard_incoming(&mut self, around: &mut LingerContext<'_>) -> Result<(), LingerOver> {
        for _ in 0..READS {
            if !self.reads() {
                break;
            }
            match read_now(around.fd.as_fd(), around.sink) {
                Ok(0) => self.peer_done = true,
                Ok(count) => {
                    self.patience = self.patience.saturating_sub(count);
                    if matches!(self.stage, LingerStage::Listening { .. }) {
                        self.progress = around.now;
                    }
                }
                Err(NetError::Interrupted) => {}
                Err(NetError::Io(Errno::AGAIN)) => break,
                Err(_) => return Err(LingerOver),
            }
        }
        Ok(())
    }

    fn send_unsent(&mut self, around: &LingerContext<'_>) -> Result<(), LingerOver> {
        while !self.unsent.is_empty() {
            match write_now(around.fd.as_fd(), self.unsent.bytes()) {
                Ok(count) => {
                    self.unsent.consume(count);
                    self.advance(around.now);
                }
                Err(NetError::Interrupted) => {}
                Err(NetError::Io(Errno::AGAIN)) => return Ok(()),
                Err(_) => return Err(LingerOver),
            }
        }
        if self.stage == LingerStage::Sending {
            self.stage = LingerStage::Delivering;
            self.unsent = Fifo::default();
            if self.ending == EndSignal::Fin {
                // ENOTCONN says that the connection is gone already.
                let _gone = shutdown(around.fd, Shutdown::Write);
            }
        }
        Ok(())
    }

    fn look_at_acknowledgements(&mut self, around: &LingerContext<'_>) {
        // Where the system cannot tell, it goes on by itself with what it has.
        let waiting = ktls_sys::unacknowledged(around.fd).unwrap_or(0);
        if waiting < self.unacknowledged {
            self.advance(around.now);
        }
        self.unacknowledged = waiting;
        if self.stage == LingerStage::Delivering && waiting == 0 {
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

    fn listen(&mut self, around: &LingerContext<'_>) {
        self.advance(around.now);
        self.stage = LingerStage::Listening { since: around.now };
        if around.shared {
            // Whoever waits to read shall see the end. Not before: it makes late bytes a reset.
            let _gone = shutdown(around.fd, Shutdown::Both);
        }
    }

    /// Nothing that the peer may still do can make the system drop what we have sent.
    fn is_done(&self) -> bool {
        self.peer_done
            && match self.ending {
                EndSignal::Fin => self.stage != LingerStage::Sending,
                EndSignal::Reset => matches!(self.stage, LingerStage::Listening { .. }),
            }
    }

    fn tell_end(&self, fd: &OwnedFd) {
        if self.ending == EndSignal::Reset {
            reset_when_closed(fd);
        }
    }

    fn next(&mut self, now: Instant, limits: TaskLimits) -> AfterTurn {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.reads());
        events.set(PollFlags::OUT, self.stage == LingerStage::Sending);
        let deadline = self.deadline(limits);
        let look_at = match self.stage {
            LingerStage::Sending | LingerStage::Delivering => deadline.min(now + self.pause),
            LingerStage::Listening { .. } => deadline,
        };
        self.pause = (self.pause * 2).min(PAUSES[1]);
        AfterTurn::Wait { events, look_at }
    }
}

#[cfg(test)]
mod tests;
