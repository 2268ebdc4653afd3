//! Receiving (`docs/kernel-rules.md`, section 3).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::TryLockError;

use ktls_core::crypto_info::CryptoInfo;
use ktls_core::key::TrafficKey;
use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{
    NoBytesReason, NoPad, ReceiveBuffers, ReceiveCall, ReceiveResult, ReceiveStep, SocketRx,
    SocketShared, options,
};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::rx_queue::RxQueue;
use super::{FdSocket, poll_now, tcp_error, wait_to_receive};
use crate::mutex::lock;
use crate::wait::{PEER_DONE, read_now};
use crate::{NetError, ProgressDeadline, Wait};

/// The receiving direction: plain TCP until it has a key.
#[derive(Debug, Default)]
pub(crate) struct FdSocketRx {
    pub(super) rx: Option<SocketRx>,
    /// How much to ask TCP for: grows while it has that much.
    ask: usize,
    /// Bytes that came from TCP.
    pub(super) pulled: u64,
    /// A reader waits at the descriptor: nobody else takes bytes from there.
    pub(super) waits: bool,
    pub(super) queued: Option<RxQueue>,
}

/// The least and the most that one read asks TCP for. The most is what the engine holds per socket.
const LEAST_ASK: usize = 32 << 10;
const MOST_ASK: usize = 256 << 10;

impl FdSocket {
    /// Receives into `out`; `control` is the room for control messages.
    ///
    /// # Errors
    /// As `docs/kernel-rules.md`, S3.3 and S3.4 say; EAGAIN, [`NetError::TimedOut`] and
    /// [`NetError::Interrupted`] as `limit` says; the last also comes without a
    /// signal, to be called again.
    pub fn recv(
        &self,
        out: &mut ReceiveBuffers<'_, '_>,
        control: usize,
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<ReceiveResult, NetError> {
        let fd = self.fd.open()?;
        let wanted = RecvFlags::new(flags);
        let mut at_once = ProgressDeadline::once(Wait::Never);
        let limit = if wanted.dont_wait {
            &mut at_once
        } else {
            limit
        };
        let mut call = ReceiveCall::new(
            wanted,
            ControlRoom::new(control),
            out.room(),
            self.low_water()?,
        );
        let _ring = self.watchers.ring_later();
        if !lock(&self.rx).is_keyed() {
            let _turn = self.reader.take(limit.patience())?;
            return self.recv_plain(&fd, out, flags, limit, call);
        }
        if wanted.error_queue {
            return Err(NetError::Io(Errno::AGAIN));
        }
        let _turn = self.reader.take(limit.patience())?;
        let received = self.recv_records(&fd, &mut call, out, limit);
        self.drop_outdated_error(&fd);
        self.update_device();
        received?;
        Ok(call.received())
    }

    fn recv_records(
        &self,
        fd: &OwnedFd,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        limit: &mut ProgressDeadline,
    ) -> Result<(), NetError> {
        let mut step = lock(&self.rx).keyed()?.start(call, out, &self.shared)?;
        let (mut tcp_may_have_more, mut system) = (true, None);
        loop {
            step = match step {
                ReceiveStep::Done => return Ok(()),
                ReceiveStep::NeedBytes if call.satisfied() && !tcp_may_have_more => return Ok(()),
                ReceiveStep::NeedBytes => {
                    let mut side = lock(&self.rx);
                    let pulled = side.pull(fd, &self.shared);
                    let next = self.after_pull(side.keyed()?, pulled, call, out)?;
                    side.waits = next == ReceiveStep::Wait;
                    // Taking many short records makes TCP acknowledge them, and so more come at once.
                    tcp_may_have_more = pulled == PullOutcome::Full
                        || pulled == PullOutcome::Few && call.met_several();
                    next
                }
                ReceiveStep::Wait => {
                    let events = lock(&self.rx).events();
                    let waited = wait_to_receive(fd, events, call, limit, &mut system);
                    lock(&self.rx).waits = false;
                    match waited {
                        Err(_) if call.copied() => return Ok(()),
                        waited => waited?,
                    }
                    ReceiveStep::NeedBytes
                }
            };
        }
    }

    pub(super) fn after_pull(
        &self,
        rx: &mut SocketRx,
        pulled: PullOutcome,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<ReceiveStep, NetError> {
        match self.no_bytes_reason(pulled) {
            // A worker of a queue may have been faster.
            Some(_) if !rx.hungry() && !rx.stopped() => {
                Ok(rx.open_records(call, out, &self.shared)?)
            }
            None => Ok(rx.open_records(call, out, &self.shared)?),
            Some(reason) => Ok(rx.go_on_without_bytes(call, reason, &self.shared)?),
        }
    }

    /// Why a read brought no bytes; none when it did.
    pub(super) fn no_bytes_reason(&self, pulled: PullOutcome) -> Option<NoBytesReason> {
        match pulled {
            PullOutcome::Full | PullOutcome::Some | PullOutcome::Few => None,
            PullOutcome::Nothing => Some(NoBytesReason::Yet),
            PullOutcome::Ended => Some(NoBytesReason::Ended),
            PullOutcome::Failed(errno) => {
                self.tx.tcp_failed(errno);
                Some(NoBytesReason::Ended)
            }
        }
    }

    /// Judges the next record header while it still lies with TCP: the kernel does so when it arrives.
    pub(super) fn foresee(&self, fd: &OwnedFd) {
        // A reader at work will see it itself, a worker of a queue perhaps not.
        let side = match self.rx.try_lock() {
            Err(TryLockError::WouldBlock) if self.ring.get().is_some() => Ok(lock(&self.rx)),
            side => side,
        };
        let Ok(mut side) = side else {
            return;
        };
        let Some(rx) = side.rx.as_mut().filter(|rx| rx.may_foresee()) else {
            return;
        };
        let mut head = [0; 16];
        let peek = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        match rustix::net::recv(fd, &mut head, peek) {
            Ok((len, _)) => rx.foresee(&head[..len], &self.shared),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => self.tx.tcp_failed(errno),
        }
    }
}

/// What a read from TCP brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PullOutcome {
    /// As much as was asked for: there may be more.
    Full,
    /// Less: TCP had no more.
    Some,
    /// So little that it may have been all that an unacknowledged peer could send.
    Few,
    Nothing,
    Ended,
    Failed(Errno),
}

impl FdSocketRx {
    pub(super) fn is_keyed(&self) -> bool {
        self.rx.is_some()
    }

    /// True when the peer sent ciphertext that nobody will read.
    pub(super) fn has_unread(&self) -> bool {
        self.rx.as_ref().is_some_and(|rx| rx.unopened() > 0)
    }

    /// What was installed.
    pub(super) fn installed(&self) -> Option<CryptoInfo> {
        self.rx.as_ref().map(|rx| rx.key().info().clone())
    }

    pub(super) fn live_info(&self) -> Option<CryptoInfo> {
        self.rx.as_ref().map(SocketRx::live_info)
    }

    pub(super) fn install_first(&mut self, key: TrafficKey, queued: Option<RxQueue>) {
        self.rx = Some(SocketRx::new(key));
        self.queued = queued;
    }

    pub(super) fn set_no_pad(&mut self, value: &[u8]) -> Result<(), ktls_core::Error> {
        let no_pad = options::no_pad(value, self.rx.as_ref().map(SocketRx::key))?;
        self.keyed()?.set_no_pad(no_pad);
        Ok(())
    }

    pub(super) fn no_pad_answer(&self, len: usize) -> Result<Vec<u8>, ktls_core::Error> {
        options::no_pad_answer(self.no_pad(), self.rx.as_ref().map(SocketRx::key), len)
    }

    pub(super) fn no_pad(&self) -> NoPad {
        self.rx.as_ref().map_or(NoPad::Off, SocketRx::no_pad)
    }

    /// The engine, once there is one.
    pub(super) fn keyed_now(&mut self) -> Option<&mut SocketRx> {
        self.rx.as_mut()
    }

    pub(super) fn keyed(&mut self) -> Result<&mut SocketRx, ktls_core::Error> {
        self.rx.as_mut().ok_or(ktls_core::Error::NoKey)
    }

    /// What a waiting reader looks for: behind a bad header only the end counts.
    pub(super) fn events(&self) -> PollFlags {
        match &self.rx {
            Some(rx) if rx.stopped() => PEER_DONE,
            _ => PollFlags::IN | PEER_DONE,
        }
    }

    /// Reads what TCP has, at most so much at a time.
    pub(super) fn pull(&mut self, fd: &OwnedFd, shared: &SocketShared) -> PullOutcome {
        let Some(rx) = &mut self.rx else {
            return PullOutcome::Nothing;
        };
        if rx.stopped() {
            // TCP gives its error behind all bytes, and these are read no more.
            return match tcp_error(fd) {
                Some(errno) => PullOutcome::Failed(errno),
                None if hung_up(fd) => PullOutcome::Ended,
                None => PullOutcome::Nothing,
            };
        }
        self.ask = self.ask.clamp(LEAST_ASK, MOST_ASK);
        match read_now(fd.as_fd(), rx.space(self.ask)) {
            Ok(0) => PullOutcome::Ended,
            Ok(len) => {
                rx.fed(len, shared);
                self.pulled += len as u64;
                if len < LEAST_ASK {
                    return PullOutcome::Few;
                }
                if len < self.ask {
                    return PullOutcome::Some;
                }
                self.ask *= 2;
                PullOutcome::Full
            }
            Err(NetError::Io(Errno::AGAIN)) => PullOutcome::Nothing,
            Err(NetError::Io(errno)) => PullOutcome::Failed(errno),
            // A read that does not wait is not interrupted.
            Err(_) => PullOutcome::Nothing,
        }
    }
}

/// True once the peer has sent FIN or a reset, whatever lies unread before it.
fn hung_up(fd: &OwnedFd) -> bool {
    !poll_now(fd, PEER_DONE).is_empty()
}
