//! A lingering close: from the last sealed byte to the close of the descriptor.

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

/// How the peer learns that the stream has ended, after everything that is delivered first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndSignal {
    /// With a FIN.
    Fin,
    /// With a reset, after the peer has received everything and has closed or been silent for some
    /// time. The peer learns that the stream was truncated.
    Reset,
}

/// The state of one lingering close.
pub(super) struct LingeringClose {
    unsent: Fifo,
    ending: EndSignal,
    stage: LingerStage,
    /// Whether the peer's FIN has arrived. After that, closing cannot cause a reset.
    peer_done: bool,
    /// The number of bytes that TCP had not got acknowledged at the last look.
    unacknowledged: u64,
    /// The last time that TCP accepted bytes or got some acknowledged. In the last stage, the last
    /// time that the peer sent something.
    progress: Instant,
    /// The number of bytes of the peer that may still be discarded before there is progress.
    patience: usize,
    /// The time to the next look at what is acknowledged, which no event reports.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LingerStage {
    /// TCP has no room for all bytes.
    Sending,
    /// The peer has not acknowledged all bytes.
    Delivering,
    /// Only the peer's FIN is missing.
    Listening { since: Instant },
}

/// What a turn gets from its caller.
pub(super) struct LingerContext<'a> {
    pub(super) fd: &'a Arc<OwnedFd>,
    /// The buffer for discarded bytes.
    pub(super) sink: &'a mut [u8],
    pub(super) now: Instant,
    pub(super) limits: TaskLimits,
    /// Whether the descriptor is still in use elsewhere.
    pub(super) shared: bool,
}

/// The connection is gone or given up.
struct LingerOver;

/// The first and the longest pause between two looks.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
/// The most bytes that are discarded without progress: more than TCP's buffers hold. Reading from a
/// peer that never stops sending must end.
const MOST_DISCARDED: usize = 16 << 20;
/// The most reads in one turn, so that other tasks get theirs.
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

    /// Does what can be done without waiting. After [`AfterTurn::Done`] the descriptor has to be
    /// closed.
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

    /// Returns the time at which the close will be given up if nothing happens.
    pub(super) fn deadline(&self, limits: TaskLimits) -> Instant {
        match self.stage {
            LingerStage::Sending | LingerStage::Delivering => self.progress + limits.stalled,
            // The peer has sent more than is discarded: it is given up at once.
            LingerStage::Listening { since } if self.patience == 0 => since,
            LingerStage::Listening { since } => {
                (self.progress + limits.silent).min(since + limits.stalled.max(limits.silent))
            }
        }
    }

    /// Gives up: bytes that TCP has not accepted are lost. A reset tells the peer that the stream
    /// is incomplete.
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
                // ENOTCONN means that the connection is gone already.
                let _gone = shutdown(around.fd, Shutdown::Write);
            }
        }
        Ok(())
    }

    fn look_at_acknowledgements(&mut self, around: &LingerContext<'_>) {
        // If the system cannot tell, the count is taken as 0: the system delivers the rest by
        // itself.
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
            // Wakes threads that wait to read; they read the end of the stream. Not done earlier,
            // since late bytes would then cause a reset.
            let _gone = shutdown(around.fd, Shutdown::Both);
        }
    }

    /// Returns `true` if nothing that the peer does can make the system drop bytes that we have
    /// sent.
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
