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

/// The receiving direction. It is plain TCP until it has a key.
#[derive(Debug, Default)]
pub(crate) struct FdSocketRx {
    /// The engine, once there is a key.
    pub(super) rx: Option<SocketRx>,
    /// How many bytes to ask TCP for. Grows while TCP has as many.
    ask: usize,
    /// The number of bytes read from TCP.
    pub(super) pulled: u64,
    /// A reader waits at the descriptor: workers must not take bytes from there.
    pub(super) waits: bool,
    /// The direction at the device, if that has accepted the first key.
    pub(super) queued: Option<RxQueue>,
}

/// The least and the most bytes that one read asks TCP for. The engine holds up to the most per
/// socket.
const LEAST_ASK: usize = 32 << 10;
const MOST_ASK: usize = 256 << 10;

impl FdSocket {
    /// Receives into `out`. `control` is the room for control messages, in bytes.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S3.3 and S3.4. If nothing was received: EAGAIN,
    /// [`NetError::TimedOut`] or [`NetError::Interrupted`], as `limit` decides. The last also comes
    /// without a signal: call again.
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
                ReceiveStep::NeedBytes if call.has_enough() && !tcp_may_have_more => return Ok(()),
                ReceiveStep::NeedBytes => {
                    let mut side = lock(&self.rx);
                    let pulled = side.pull(fd, &self.shared);
                    let next = self.after_pull(side.keyed()?, pulled, call, out)?;
                    side.waits = next == ReceiveStep::Wait;
                    // Reading many short records makes TCP acknowledge them, so more may arrive at
                    // once.
                    tcp_may_have_more = pulled == PullOutcome::Full
                        || pulled == PullOutcome::Few && call.has_met_several();
                    next
                }
                ReceiveStep::Wait => {
                    let events = lock(&self.rx).events();
                    let waited = wait_to_receive(fd, events, call, limit, &mut system);
                    lock(&self.rx).waits = false;
                    match waited {
                        Err(_) if call.has_copied() => return Ok(()),
                        waited => waited?,
                    }
                    ReceiveStep::NeedBytes
                }
            };
        }
    }

    /// Continues a call after a read from TCP.
    pub(super) fn after_pull(
        &self,
        rx: &mut SocketRx,
        pulled: PullOutcome,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<ReceiveStep, NetError> {
        match self.no_bytes_reason(pulled) {
            // A worker of a queue may have read the bytes first.
            Some(_) if !rx.needs_bytes() && !rx.is_stopped() => {
                Ok(rx.open_records(call, out, &self.shared)?)
            }
            None => Ok(rx.open_records(call, out, &self.shared)?),
            Some(reason) => Ok(rx.go_on_without_bytes(call, reason, &self.shared)?),
        }
    }

    /// Returns why a read from TCP brought no bytes, or `None` if it did. Stores an error of TCP.
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

    /// Checks the next record header while it is still in TCP, because the kernel checks a header
    /// when it arrives.
    pub(super) fn foresee(&self, fd: &OwnedFd) {
        // A reader that holds the lock checks the header itself. A worker of a queue may not, so it
        // is worth waiting for the lock.
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

/// The outcome of a read from TCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PullOutcome {
    /// As many bytes as were asked for: there may be more.
    Full,
    /// Fewer bytes: TCP had no more.
    Some,
    /// So few bytes that the peer may send more as soon as they are acknowledged.
    Few,
    /// No bytes: TCP has none now.
    Nothing,
    /// The end of the stream.
    Ended,
    /// An error of TCP.
    Failed(Errno),
}

impl FdSocketRx {
    /// Returns `true` once the direction has a key.
    pub(super) fn is_keyed(&self) -> bool {
        self.rx.is_some()
    }

    /// Returns `true` if the engine holds ciphertext that was not opened.
    pub(super) fn has_unread(&self) -> bool {
        self.rx.as_ref().is_some_and(|rx| rx.unopened() > 0)
    }

    /// Returns the key that was installed last.
    pub(super) fn installed(&self) -> Option<CryptoInfo> {
        self.rx.as_ref().map(|rx| rx.key().info().clone())
    }

    /// Returns the key with its running number, as `getsockopt` does.
    pub(super) fn live_info(&self) -> Option<CryptoInfo> {
        self.rx.as_ref().map(SocketRx::live_info)
    }

    /// Installs the first key.
    pub(super) fn install_first(&mut self, key: TrafficKey, queued: Option<RxQueue>) {
        self.rx = Some(SocketRx::new(key));
        self.queued = queued;
    }

    /// Sets `TLS_RX_EXPECT_NO_PAD`.
    pub(super) fn set_no_pad(&mut self, value: &[u8]) -> Result<(), ktls_core::Error> {
        let no_pad = options::no_pad(value, self.rx.as_ref().map(SocketRx::key))?;
        self.keyed()?.set_no_pad(no_pad);
        Ok(())
    }

    /// Returns the answer of `getsockopt(TLS_RX_EXPECT_NO_PAD)` with room for `len` bytes.
    pub(super) fn no_pad_answer(&self, len: usize) -> Result<Vec<u8>, ktls_core::Error> {
        options::no_pad_answer(self.no_pad(), self.rx.as_ref().map(SocketRx::key), len)
    }

    /// Returns `TLS_RX_EXPECT_NO_PAD`.
    pub(super) fn no_pad(&self) -> NoPad {
        self.rx.as_ref().map_or(NoPad::Off, SocketRx::no_pad)
    }

    /// Returns the engine, or `None` without a key.
    pub(super) fn keyed_now(&mut self) -> Option<&mut SocketRx> {
        self.rx.as_mut()
    }

    /// Returns the engine.
    ///
    /// # Errors
    /// [`ktls_core::Error::NoKey`] without a key.
    pub(super) fn keyed(&mut self) -> Result<&mut SocketRx, ktls_core::Error> {
        self.rx.as_mut().ok_or(ktls_core::Error::NoKey)
    }

    /// Returns the events that a reader waits for. Behind a bad header, only the end counts.
    pub(super) fn events(&self) -> PollFlags {
        match &self.rx {
            Some(rx) if rx.is_stopped() => PEER_DONE,
            _ => PollFlags::IN | PEER_DONE,
        }
    }

    /// Reads from TCP once, without waiting.
    pub(super) fn pull(&mut self, fd: &OwnedFd, shared: &SocketShared) -> PullOutcome {
        let Some(rx) = &mut self.rx else {
            return PullOutcome::Nothing;
        };
        if rx.is_stopped() {
            // TCP returns its error behind all bytes, which are not read any more. So it is
            // queried.
            return match tcp_error(fd) {
                Some(errno) => PullOutcome::Failed(errno),
                None if has_hung_up(fd) => PullOutcome::Ended,
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
            // The only other error is an interruption, which a read that does not wait cannot have.
            Err(_) => PullOutcome::Nothing,
        }
    }
}

/// Returns `true` if the peer has sent FIN or a reset, even if bytes before it are unread.
fn has_hung_up(fd: &OwnedFd) -> bool {
    !poll_now(fd, PEER_DONE).is_empty()
}
