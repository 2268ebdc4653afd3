//! Readiness (`docs/kernel-rules.md`, S3.6 and K-13), also while plaintext waits in the engine or
//! half a record in TCP.
//!
//! Bytes are read from TCP only while they can change the answer. Half a record is read into the
//! engine, so that TCP becomes readable only with the bytes behind it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ktls_core::socket::SocketRx;
use rustix::event::{PollFd, PollFlags};
use rustix::io::ioctl_fionread;

use super::recv::PullOutcome;
use super::tx_queue::RingRoom;
use super::{FdSocket, poll_now};
use crate::bell::ReadinessBell;
use crate::mutex::lock;
use crate::wait::{PEER_DONE, ProgressDeadline, wait_for_any};
use crate::{NetError, Wait};

/// The result of a poll, and where a later change will show.
#[derive(Clone, Copy, Debug)]
pub struct SocketReadiness {
    /// The events that are ready now: those that were asked for, ERR and HUP.
    pub now: u16,
    /// The events to wait for at the descriptor of TCP. Other changes ring the bell.
    pub watch: u16,
}

/// What decides about POLLIN of the receiving direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PollInState {
    /// The direction has no key: TCP decides.
    Plain,
    /// A record can be delivered.
    Ready,
    /// More bytes of TCP are needed.
    NeedsBytes,
    /// More bytes change nothing: a KeyUpdate is pending, a header was bad, or another reader takes
    /// them.
    Held,
}

impl FdSocket {
    /// Waits for one of `events`, an error or a hang-up. Returns the events that are ready; 0 if
    /// `limit` ends before.
    ///
    /// # Errors
    /// [`NetError::Interrupted`], also without a signal: call again. EBADF if the socket is closed.
    pub fn poll(&self, events: u16, limit: &mut ProgressDeadline) -> Result<u16, NetError> {
        let now = self.readiness(events)?.now;
        if now != 0 || limit.patience() == Wait::Never {
            return Ok(now);
        }
        let bell = Arc::new(ReadinessBell::new()?);
        self.watch(&bell);
        loop {
            bell.silence();
            let ready = self.readiness(events)?;
            if ready.now != 0 {
                return Ok(ready.now);
            }
            let fd = self.fd.open()?;
            let watch = PollFlags::from_bits_retain(ready.watch);
            let bell = PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN);
            let mut fds = [PollFd::new(&fd, watch), bell];
            match limit.wait(limit.patience(), |patience| {
                wait_for_any(&mut fds, patience)?;
                Ok(fds[0].revents())
            }) {
                Err(NetError::TimedOut) => return Ok(0),
                seen => seen?,
            };
        }
    }

    /// Returns which of `events` are ready now.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn readiness(&self, events: u16) -> Result<SocketReadiness, NetError> {
        let events = PollFlags::from_bits_retain(events);
        let fd = self.fd.open()?;
        let reading = self.poll_in(&fd);
        let mut seen = poll_now(&fd, events | READ | PollFlags::OUT | PEER_DONE);
        let ended = seen.intersects(PEER_DONE | PollFlags::HUP);
        let open = !ended && !self.tx.is_shut();
        if open && reading != PollInState::Plain {
            seen.set(READ, reading == PollInState::Ready);
        } else if !ended && reading != PollInState::Plain {
            seen.set(READ, self.has_ciphertext(&fd)?);
        }
        if self.shared.error.peek().is_some() {
            seen.insert(PollFlags::ERR);
        }
        let full = match self.tx.ring_room() {
            Some(room) => {
                seen.set(WRITE, room == RingRoom::Free);
                room == RingRoom::Full
            }
            None => !self.tx.state().socket.wire().is_empty(),
        };
        if full {
            seen.remove(WRITE);
        }
        let mut watch = events;
        watch.set(WRITE, !full && events.intersects(WRITE));
        if open {
            // Watched whatever was asked for: the end of the stream and a bad header end a poll.
            let bytes = match reading {
                PollInState::Plain => events.intersects(READ),
                PollInState::NeedsBytes => true,
                PollInState::Ready | PollInState::Held => false,
            };
            watch.set(READ, bytes);
            watch.insert(PEER_DONE);
        }
        Ok(SocketReadiness {
            now: (seen & (events | PollFlags::ERR | PollFlags::HUP)).bits(),
            watch: watch.bits(),
        })
    }

    /// Registers `bell`, which rings after every change that the descriptor does not show.
    pub fn watch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.add(bell);
    }

    /// Removes `bell`, so that it no longer rings.
    pub fn unwatch(&self, bell: &Arc<ReadinessBell>) {
        self.watchers.remove(bell);
    }

    /// Returns how the receiving direction decides about POLLIN, after reading bytes that it needs.
    fn poll_in(&self, fd: &OwnedFd) -> PollInState {
        let low_water = self.low_water.load(Ordering::Relaxed);
        let mut side = lock(&self.rx);
        let Some(rx) = side.keyed_now() else {
            return PollInState::Plain;
        };
        let needs_bytes = poll_in_state(rx, low_water) == PollInState::NeedsBytes;
        // A reader that waits at the descriptor would not notice bytes that are read here. A reader
        // that begins now needs the lock first.
        if needs_bytes && self.reader.is_taken() {
            return PollInState::Held;
        }
        if needs_bytes && let PullOutcome::Failed(errno) = side.pull(fd, &self.shared) {
            self.tx.tcp_failed(errno);
        }
        match side.keyed_now() {
            None => PollInState::Plain,
            Some(rx) => poll_in_state(rx, low_water),
        }
    }

    /// Returns `true` if ciphertext is unread, in TCP or in the engine: after a shutdown, TCP is
    /// readable then.
    fn has_ciphertext(&self, fd: &OwnedFd) -> Result<bool, NetError> {
        let taken = lock(&self.rx).keyed_now().map_or(0, |rx| rx.unopened());
        let queued = usize::try_from(ioctl_fionread(fd)?).unwrap_or(usize::MAX);
        Ok(taken.saturating_add(queued) >= self.low_water.load(Ordering::Relaxed))
    }
}

/// Returns how a direction with a key decides about POLLIN.
fn poll_in_state(rx: &SocketRx, low_water: usize) -> PollInState {
    let below_the_mark = !rx.is_paused() && rx.unopened() < low_water;
    if rx.is_readable(low_water) {
        PollInState::Ready
    } else if rx.needs_bytes() || !rx.is_stopped() && below_the_mark {
        PollInState::NeedsBytes
    } else {
        PollInState::Held
    }
}

const READ: PollFlags = PollFlags::IN.union(PollFlags::RDNORM);
const WRITE: PollFlags = PollFlags::OUT.union(PollFlags::WRNORM);
