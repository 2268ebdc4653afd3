//! The sending direction and its writes to TCP, which the background sender also uses.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use ktls_core::crypto_info::CryptoInfo;
use ktls_core::offload::{OffloadDriver, TxMachine};
use ktls_core::slot::SlotId;
use ktls_core::socket::{CallFault, SocketShared, SocketTx};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send};

use super::stalled::StalledSocket;
use crate::background_sender::TaskStart;
use crate::bell::ReadinessWatchers;
use crate::fork::{CountedCall, Ownership};
use crate::mutex::lock;
use crate::queue::{ConnRing, FinPlan, RingSender};
use crate::wait::FlushOutcome;
use crate::{NetError, Wait, background_sender};

/// The sending direction. It is plain TCP until it has a key.
#[derive(Debug)]
pub(crate) struct FdSocketTx {
    state: Mutex<TxState>,
    shared: Arc<SocketShared>,
    /// There is a key.
    keyed: AtomicBool,
    /// `shutdown(WR)` was called.
    shut: AtomicBool,
    /// TCP has returned its error. It returns it once, and accepts nothing more.
    failed: AtomicBool,
    /// The socket is closed: a peer that accepts nothing is given up after a time.
    orphaned: AtomicBool,
    pusher: Mutex<BackgroundPusher>,
    watchers: Arc<ReadinessWatchers>,
    owner: Arc<Ownership>,
    /// The ring at a queue, which takes the place of the pusher.
    pub(super) ring: OnceLock<Arc<ConnRing>>,
}

/// What the lock of the direction protects: the engine, and the decision whether the newest key may
/// be handed to a device.
#[derive(Debug, Default)]
pub(super) struct TxState {
    pub(super) socket: SocketTx,
    /// Leads the key updates of a direction that has a device.
    pub(super) driver: Option<OffloadDriver<TxMachine, SlotId>>,
}

/// Whether the background sender writes the sealed records that TCP had no room for. The kernel
/// does that in a callback.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum BackgroundPusher {
    /// The background sender has no work.
    #[default]
    Idle,
    /// The background sender writes the sealed records.
    Running,
    /// The background sender writes the sealed records, and then shuts the stream down.
    RunningToFin,
}

/// The outcome of one turn in the background.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PushOutcome {
    /// TCP has everything, or it is lost.
    All,
    /// TCP has accepted some bytes, but not all.
    Some,
    /// TCP has accepted nothing: it has no room.
    Nothing,
}

/// Returns how many bytes of wire to seal before they are written. More would not fit into a
/// second-level cache. A call that does not wait seals fewer, so as not to be far ahead of TCP.
pub(super) const fn seal_at_once(patience: Wait) -> usize {
    match patience {
        Wait::Never => 128 << 10,
        Wait::Until(_) | Wait::Forever => 256 << 10,
    }
}

impl FdSocketTx {
    pub(super) fn new(
        shared: Arc<SocketShared>,
        watchers: Arc<ReadinessWatchers>,
        owner: Arc<Ownership>,
    ) -> Self {
        Self {
            state: Mutex::default(),
            shared,
            keyed: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            orphaned: AtomicBool::new(false),
            pusher: Mutex::default(),
            watchers,
            owner,
            ring: OnceLock::new(),
        }
    }

    /// Locks the direction.
    pub(super) fn state(&self) -> MutexGuard<'_, TxState> {
        lock(&self.state)
    }

    /// Returns the bells to ring after a change.
    pub(super) fn watchers(&self) -> &ReadinessWatchers {
        &self.watchers
    }

    /// Returns which process owns the socket after a fork.
    pub(crate) const fn owner(&self) -> &Arc<Ownership> {
        &self.owner
    }

    /// Returns `true` once the socket is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }

    /// Returns `true` once the direction has a key.
    pub(super) fn is_keyed(&self) -> bool {
        self.keyed.load(Ordering::Acquire)
    }

    /// Returns `true` once `shutdown(WR)` was called.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Returns `true` if sent bytes are dropped: after `shutdown(WR)` or an error of TCP.
    pub(super) fn is_dead(&self) -> bool {
        self.is_shut() || self.has_failed()
    }

    /// Notes that TCP has returned its error.
    pub(super) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Returns `true` once TCP has returned its error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Returns the state that both directions share.
    pub(super) fn shared(&self) -> &SocketShared {
        &self.shared
    }

    /// Notes that there is a key.
    pub(super) fn set_keyed(&self) {
        self.keyed.store(true, Ordering::Release);
    }

    /// Returns `true` if records are open, sealed or in the ring, which a close has to send or
    /// drop.
    pub(super) fn has_unsent(&self) -> bool {
        let tx = &self.state().socket;
        let queued = self.ring().is_some_and(|ring| ring.is_busy());
        queued || tx.open_len() > 0 || tx.has_sealed()
    }

    /// Returns the key that was installed last.
    pub(super) fn installed(&self) -> Option<CryptoInfo> {
        self.state().socket.key().map(|key| key.info().clone())
    }

    /// Stores an error of TCP in `sk_err`.
    pub(crate) fn tcp_failed(&self, errno: Errno) {
        self.set_failed();
        self.shared
            .error
            .set(CallFault::System(errno.raw_os_error()));
    }

    /// Writes sealed bytes to TCP without waiting. `more` announces that more will follow at once.
    ///
    /// # Errors
    /// The error of TCP, once. The records are lost then, as are all later ones.
    pub(super) fn write(&self, fd: &OwnedFd, more: bool) -> Result<FlushOutcome, NetError> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let flags = if more { flags | SendFlags::MORE } else { flags };
        let tx = &mut self.state().socket;
        while !tx.wire().is_empty() {
            match send(fd, tx.wire(), flags) {
                Ok(len) => tx.wrote(len),
                Err(Errno::AGAIN) => return Ok(FlushOutcome::Full),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    tx.discard_wire();
                    return self.report_failure(errno);
                }
            }
        }
        Ok(FlushOutcome::All)
    }

    /// Handles an error of TCP. EPIPE is no error if another one was reported before, or after a
    /// shutdown; otherwise it is reported once.
    fn report_failure(&self, errno: Errno) -> Result<FlushOutcome, NetError> {
        if errno != Errno::PIPE {
            self.tcp_failed(errno);
            return Err(NetError::Io(errno));
        }
        if self.is_dead() {
            return Ok(FlushOutcome::All);
        }
        self.set_failed();
        self.shared.error.check_send()?;
        Err(NetError::Io(errno))
    }

    /// Shuts the sending direction down behind the sealed records; with [`Shutdown::Both`], also
    /// the receiving direction at once.
    ///
    /// # Errors
    /// The error of TCP's shutdown.
    pub(super) fn shutdown(
        self: &Arc<Self>,
        fd: &Arc<OwnedFd>,
        how: Shutdown,
    ) -> Result<(), NetError> {
        self.shut.store(true, Ordering::Release);
        if how == Shutdown::Both {
            rustix::net::shutdown(fd, Shutdown::Read)?;
        }
        match self.push(fd, BackgroundPusher::RunningToFin) {
            // FIN follows behind the sealed records.
            TaskStart::Started => Ok(()),
            TaskStart::NotStarted => Ok(rustix::net::shutdown(fd, Shutdown::Write)?),
        }
    }

    /// Leaves the sealed bytes that a call could not write to the background sender.
    pub(super) fn push_later(self: &Arc<Self>, fd: &Arc<OwnedFd>) {
        if !self.state().socket.wire().is_empty() {
            self.push(fd, BackgroundPusher::Running);
        }
    }

    /// Sends all sealed records at the close of the socket. Records that wait for the next
    /// transmission leave too, unless `sk_err` holds an error.
    pub(super) fn finish(self: &Arc<Self>, fd: &Arc<OwnedFd>) {
        self.orphaned.store(true, Ordering::Release);
        let mut state = self.state();
        let tx = &mut state.socket;
        match self.shared.error.peek() {
            None => tx.release(),
            Some(_) => tx.drop_held(),
        }
        self.submit(tx);
        drop(state);
        self.push_later(fd);
    }

    /// Drops all sealed bytes at the close, because the system is about to send the reset that the
    /// user has asked for.
    pub(super) fn discard_unsent(&self) {
        self.state().socket.discard_wire();
        background_sender::let_go_of_closed();
    }

    /// Leaves the sealed bytes to the background sender. Nothing is started if there is nothing to
    /// send, or if the system has no thread for it.
    fn push(self: &Arc<Self>, fd: &Arc<OwnedFd>, task: BackgroundPusher) -> TaskStart {
        if let Some(ring) = self.ring()
            && ring.fin_behind_records() == FinPlan::BehindRecords
        {
            return TaskStart::Started;
        }
        let mut pusher = lock(&self.pusher);
        if *pusher != BackgroundPusher::Idle {
            if task == BackgroundPusher::RunningToFin {
                *pusher = task;
            }
            return TaskStart::Started;
        }
        if !matches!(self.write(fd, false), Ok(FlushOutcome::Full)) {
            return TaskStart::NotStarted;
        }
        // A duplicate, so that the descriptor of the socket is closed with the socket.
        let fd = fd.try_clone().map_or_else(|_| Arc::clone(fd), Arc::new);
        let stalled = StalledSocket::new(Arc::clone(self));
        let started = background_sender::send_later(Arc::clone(&fd), stalled);
        if started == TaskStart::Started {
            *pusher = task;
        } else if self.is_dead() || self.is_closed() {
            drop(pusher);
            self.push_here(&fd);
        }
        started
    }

    /// Sends the sealed bytes in the thread of the last caller, for a bounded time. Used if no
    /// other thread can be started.
    fn push_here(&self, fd: &OwnedFd) {
        let end = Wait::from_timeout(Some(background_sender::INLINE));
        while self.push_some(fd) != PushOutcome::All && end.left().is_ok() {
            // The outcome of the wait does not matter: the next turn finds out what can be done.
            let _seen = crate::wait::wait(fd.as_fd(), PollFlags::OUT, end);
        }
    }

    /// Sends some of the sealed bytes, in the background. Calls may send meanwhile: sealed bytes
    /// leave in order, whichever thread writes them.
    pub(crate) fn push_some(&self, fd: &OwnedFd) -> PushOutcome {
        let mut pusher = lock(&self.pusher);
        let before = self.state().socket.wire().len();
        match self.write(fd, false) {
            Ok(FlushOutcome::Full) if self.state().socket.wire().len() < before => {
                return PushOutcome::Some;
            }
            Ok(FlushOutcome::Full) => return PushOutcome::Nothing,
            Ok(FlushOutcome::All) => {}
            // The next send reports the error.
            Err(NetError::Io(Errno::PIPE)) => self.tcp_failed(Errno::PIPE),
            Err(_) => {}
        }
        if *pusher == BackgroundPusher::RunningToFin {
            // It fails when the connection is gone already.
            let _ = rustix::net::shutdown(fd, Shutdown::Write);
        }
        *pusher = BackgroundPusher::Idle;
        self.watchers.ring();
        PushOutcome::All
    }
}

impl RingSender for FdSocketTx {
    fn begin_work(&self) -> CountedCall {
        self.owner.work()
    }

    fn ring_watchers(&self) {
        self.watchers.ring();
    }

    fn is_orphaned(&self) -> bool {
        self.is_closed()
    }

    fn write_failed(&self, errno: Errno) {
        if matches!(self.report_failure(errno), Err(NetError::Io(Errno::PIPE))) {
            self.tcp_failed(Errno::PIPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use ktls_aead::PROVIDER;
    use ktls_core::key::TrafficKey;
    use ktls_core::socket::{PartialRecord, SendBuffers};
    use rustix::event::{PollFd, poll};

    use super::*;
    use crate::wait::{PEER_DONE, timespec};

    fn keyed() -> Arc<FdSocketTx> {
        let side = FdSocketTx::new(Arc::default(), Arc::default(), Ownership::new());
        let mut info = vec![0; 40];
        info[..4].copy_from_slice(&[4, 3, 51, 0]);
        let info = CryptoInfo::from_bytes(&info).expect("AES-GCM-128 in TLS 1.3");
        let key = TrafficKey::new(info, &PROVIDER).expect("a key");
        side.install_first(key, None);
        Arc::new(side)
    }

    #[test]
    fn a_closed_socket_gives_up_on_a_peer_that_takes_nothing() {
        let (mut near, far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("a flag");
        while near.write(&[0; 4096]).is_ok() {}
        let (near, side) = (Arc::new(OwnedFd::from(near)), keyed());
        let mut source = SendBuffers::new(&[b"data"]);
        let sent =
            side.state()
                .socket
                .send(&mut source, None, PartialRecord::Seal, 1, &side.shared);
        assert_eq!(sent, Ok(()));
        side.finish(&near);
        drop(near);
        let mut fds = [PollFd::new(&far, PEER_DONE)];
        let seen = poll(&mut fds, Some(&timespec(Duration::from_secs(10))));
        assert_eq!(seen, Ok(1));
    }
}
