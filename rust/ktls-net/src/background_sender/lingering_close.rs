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
    discard_budget: usize,
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

/// The first pause between two looks. Each pause is twice as long as the one before.
const MIN_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause between two looks.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The most bytes that are discarded without progress: more than TCP's buffers hold. Reading from a
/// peer that never stops sending must end.
const MAX_DISCARDED: usize = 16 << 20;
/// The most reads in one turn, so that other tasks get theirs.
const MAX_READS: usize = 16;

impl LingeringClose {
    pub(super) fn new(unsent: Fifo, ending: EndSignal, now: Instant) -> Self {
        Self {
            unsent,
            ending,
            stage: LingerStage::Sending,
            peer_done: false,
            unacknowledged: 0,
            progress: now,
            discard_budget: MAX_DISCARDED,
            pause: MIN_PAUSE,
        }
    }

    /// Does what can be done without waiting. After [`AfterTurn::Done`] the descriptor has to be
    /// closed.
    pub(super) fn turn(&mut self, context: &mut LingerContext<'_>) -> AfterTurn {
        match self.step(context) {
            Err(LingerOver) => AfterTurn::Done,
            Ok(()) if self.is_done() => {
                self.reset_if_truncated(context.fd);
                AfterTurn::Done
            }
            Ok(()) if context.now >= self.deadline(context.limits) => {
                self.give_up(context.fd);
                AfterTurn::Done
            }
            Ok(()) => self.next_wait(context.now, context.limits),
        }
    }

    /// Returns the time at which the close will be given up if nothing happens.
    pub(super) fn deadline(&self, limits: TaskLimits) -> Instant {
        match self.stage {
            LingerStage::Sending | LingerStage::Delivering => self.progress + limits.stalled,
            // The peer has sent more than is discarded: it is given up at once.
            LingerStage::Listening { since } if self.discard_budget == 0 => since,
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

    fn step(&mut self, context: &mut LingerContext<'_>) -> Result<(), LingerOver> {
        self.discard_incoming(context)?;
        self.send_unsent(context)?;
        self.look_at_acknowledgements(context);
        Ok(())
    }

    fn discard_incoming(&mut self, context: &mut LingerContext<'_>) -> Result<(), LingerOver> {
        for _ in 0..MAX_READS {
            if !self.is_reading() {
                break;
            }
            match read_now(context.fd.as_fd(), context.sink) {
                Ok(0) => self.peer_done = true,
                Ok(count) => {
                    self.discard_budget = self.discard_budget.saturating_sub(count);
                    if matches!(self.stage, LingerStage::Listening { .. }) {
                        self.progress = context.now;
                    }
                }
                Err(NetError::Interrupted) => {}
                Err(NetError::Io(Errno::AGAIN)) => break,
                Err(_) => return Err(LingerOver),
            }
        }
        Ok(())
    }

    fn send_unsent(&mut self, context: &LingerContext<'_>) -> Result<(), LingerOver> {
        while !self.unsent.is_empty() {
            match write_now(context.fd.as_fd(), self.unsent.bytes()) {
                Ok(count) => {
                    self.unsent.consume(count);
                    self.note_progress(context.now);
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
                let _gone = shutdown(context.fd, Shutdown::Write);
            }
        }
        Ok(())
    }

    fn look_at_acknowledgements(&mut self, context: &LingerContext<'_>) {
        // If the system cannot tell, the count is taken as 0: the system delivers the rest by
        // itself.
        let waiting = ktls_sys::unacknowledged(context.fd).unwrap_or(0);
        if waiting < self.unacknowledged {
            self.note_progress(context.now);
        }
        self.unacknowledged = waiting;
        if self.stage == LingerStage::Delivering && waiting == 0 {
            self.start_listening(context);
        }
    }

    fn note_progress(&mut self, now: Instant) {
        self.progress = now;
        self.discard_budget = MAX_DISCARDED;
        self.pause = MIN_PAUSE;
    }

    const fn is_reading(&self) -> bool {
        !self.peer_done && self.discard_budget > 0
    }

    fn start_listening(&mut self, context: &LingerContext<'_>) {
        self.note_progress(context.now);
        self.stage = LingerStage::Listening { since: context.now };
        if context.shared {
            // Wakes threads that wait to read; they read the end of the stream. Not done earlier,
            // since late bytes would then cause a reset.
            let _gone = shutdown(context.fd, Shutdown::Both);
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

    fn reset_if_truncated(&self, fd: &OwnedFd) {
        if self.ending == EndSignal::Reset {
            reset_when_closed(fd);
        }
    }

    fn next_wait(&mut self, now: Instant, limits: TaskLimits) -> AfterTurn {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, self.is_reading());
        events.set(PollFlags::OUT, self.stage == LingerStage::Sending);
        let deadline = self.deadline(limits);
        let look_at = match self.stage {
            LingerStage::Sending | LingerStage::Delivering => deadline.min(now + self.pause),
            LingerStage::Listening { .. } => deadline,
        };
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        AfterTurn::Wait { events, look_at }
    }
}

#[cfg(test)]
mod tests;
