//! A connected TCP socket that behaves as one with the kernel's tls ULP: drives [`ktls_core::socket`].
//!
//! Locks, outermost first: a turn (held while waiting for the peer), `setup`, then one of the two
//! directions (never held while waiting). So a blocked reader blocks neither a writer nor `TLS_RX`.

mod for_relay;
mod plain;
mod poll;
mod recv;
mod rx_queue;
mod send;
mod send_all;
mod send_file;
mod setup;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod splice;
mod stalled;
mod tx_queue;
mod tx_side;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ktls_core::socket::{CallFault, ReceiveCall, SocketShared};
use ktls_core::stats::{Counter, Stats};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::net::sockopt::{Timeout, set_socket_linger, socket_error, socket_timeout};

use crate::background_sender::closes_at_once;
use crate::bell::ReadinessWatchers;
use crate::descriptor::{IoTurn, SharedFd};
use crate::mutex::lock;
use crate::queue::ConnRing;
use crate::wait::ProgressDeadline;
use crate::{NetError, OffloadQueue, Wait};
use recv::FdSocketRx;
use setup::SocketSetup;
use tx_queue::DeviceClose;

pub use poll::SocketReadiness;
pub use send_file::FileSource;
pub(crate) use tx_side::FdSocketTx;

/// The kernel face over a descriptor. All methods may be called from several threads.
#[derive(Debug)]
pub struct FdSocket {
    fd: SharedFd,
    shared: Arc<SocketShared>,
    setup: Mutex<SocketSetup>,
    tx: Arc<FdSocketTx>,
    rx: Arc<Mutex<FdSocketRx>>,
    writer: IoTurn,
    reader: IoTurn,
    /// `SO_RCVLOWAT`. TCP has it as well until `TLS_RX` is set: then half a record must wake a reader.
    low_water: AtomicUsize,
    watchers: Arc<ReadinessWatchers>,
    device: Option<Arc<OffloadQueue>>,
    /// The way through the device, once a key was offered to it.
    ring: OnceLock<Arc<ConnRing>>,
}

impl FdSocket {
    /// Takes over a descriptor; what happens on it is counted in `stats`, and `device` is offered the keys.
    #[must_use]
    pub fn new(fd: OwnedFd, stats: Arc<Stats>, device: Option<Arc<OffloadQueue>>) -> Self {
        Self::over(SharedFd::new(fd), stats, device)
    }

    /// Refuses to seal more than `records` under one key, those before its `rec_seq` among them.
    pub fn set_record_limit(&self, records: u64) {
        self.tx.state().socket.set_record_limit(records);
    }

    /// A socket of which every call is EBADF.
    #[must_use]
    pub fn closed() -> Self {
        Self::over(SharedFd::closed(), Arc::default(), None)
    }

    fn over(fd: SharedFd, stats: Arc<Stats>, device: Option<Arc<OffloadQueue>>) -> Self {
        let shared = Arc::new(SocketShared {
            stats,
            ..SocketShared::default()
        });
        let watchers = Arc::new(ReadinessWatchers::default());
        let owner = Arc::clone(fd.owner());
        let tx = FdSocketTx::new(Arc::clone(&shared), Arc::clone(&watchers), owner);
        Self {
            fd,
            setup: Mutex::default(),
            tx: Arc::new(tx),
            rx: Arc::default(),
            writer: IoTurn::default(),
            reader: IoTurn::default(),
            low_water: AtomicUsize::new(1),
            watchers,
            shared,
            device,
            ring: OnceLock::new(),
        }
    }

    /// True when records leave by a queue, so that what needs no copy should come as [`crate::queue::KeptBytes`].
    pub fn is_queued(&self) -> bool {
        self.tx.ring().is_some()
    }

    /// Checks, before a caller waits for anything else, that this process may use it at all.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that can never use it.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.fd.owner().check_reachable()
    }

    /// True while it is open and no fork has come that may have left it to the other process.
    pub fn is_left_open(&self) -> bool {
        self.fd.is_left_open()
    }

    /// The descriptor, for what TCP alone knows.
    ///
    /// # Errors
    /// EBADF once closed.
    pub fn descriptor(&self) -> Result<Arc<OwnedFd>, NetError> {
        self.fd.number()
    }

    /// Another descriptor of the connection.
    ///
    /// # Errors
    /// EBADF once closed; what the system says.
    pub fn duplicate(&self) -> Result<OwnedFd, NetError> {
        Ok(rustix::io::fcntl_dupfd_cloexec(self.fd.number()?, 0)?)
    }

    /// `SO_ERROR`: takes the error out, as a receive does.
    ///
    /// # Errors
    /// EBADF once closed.
    pub fn take_error(&self) -> Result<i32, NetError> {
        let fd = self.fd.open()?;
        let _ring = self.watchers.ring_later();
        self.foresee(&fd);
        self.collect_error(&fd);
        Ok(self.shared.error.take().map_or(0, CallFault::code))
    }

    /// `SO_RCVLOWAT`
    ///
    /// # Errors
    /// EBADF once closed.
    pub fn low_water(&self) -> Result<usize, NetError> {
        self.fd.number()?;
        Ok(self.low_water.load(Ordering::Relaxed))
    }

    /// Sets `SO_RCVLOWAT`, as TCP bounds it.
    ///
    /// # Errors
    /// EBADF once closed; EBUSY when another process of a fork uses it; what the system says.
    pub fn set_low_water(&self, bytes: i32) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let side = lock(&self.rx);
        ktls_sys::set_receive_low_water(&fd, bytes)?;
        self.take_low_water(&fd, &side)
    }

    /// Takes over what TCP has, which goes on with it until `TLS_RX` is set.
    fn take_low_water(&self, fd: &OwnedFd, side: &FdSocketRx) -> Result<(), NetError> {
        let bytes = ktls_sys::receive_low_water(fd)?;
        self.low_water.store(bytes.max(1), Ordering::Relaxed);
        if side.is_keyed() && bytes > 1 {
            ktls_sys::set_receive_low_water(fd, 1)?;
        }
        Ok(())
    }

    /// `shutdown(2)`: an open MSG_MORE record is dropped, sealed ones leave first
    /// (`docs/kernel-rules.md`, S2.5-1 and S2.5-2).
    ///
    /// # Errors
    /// EINVAL when `how` is not 0 to 2; what TCP says.
    pub fn shutdown(&self, how: i32) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        match how {
            0 => Ok(rustix::net::shutdown(&fd, Shutdown::Read)?),
            1 => self.tx.shutdown(fd.shared(), Shutdown::Write),
            2 => self.tx.shutdown(fd.shared(), Shutdown::Both),
            _ => Err(NetError::Io(Errno::INVAL)),
        }
    }

    /// Closes: sealed records leave if they can; ciphertext that nobody read makes it a reset, as in TCP.
    /// What another process of a fork may go on with is left alone.
    pub fn close(&self) {
        let Some(fd) = self.fd.close() else {
            return;
        };
        self.count_close();
        let ring = self.ring.get();
        let in_a_call = Arc::strong_count(&fd) > 1;
        let owner = self.fd.owner();
        if !owner.has_to_finish(|| in_a_call || self.tx.has_unsent()) {
            if let Some(ring) = ring {
                ring.close();
            }
            return;
        }
        let at_once = closes_at_once(&fd);
        if lock(&self.rx).has_unread() {
            // What is left behind cannot be delivered: the peer learns it by RST (RFC 2525 §2.17).
            let _ = set_socket_linger(&fd, Some(Duration::ZERO));
        }
        self.tx.finish(&fd);
        if at_once {
            self.tx.discard_unsent();
        }
        if let Some(ring) = ring {
            ring.close();
        }
        if in_a_call {
            // A call that waits at the descriptor has to see that it is over.
            let _ = self.tx.shutdown(&fd, Shutdown::Both);
        }
        self.watchers.ring();
    }

    /// The gauges of `docs/kernel-rules.md`, S6.1-2.
    fn count_close(&self) {
        if self.tx.close_device() == DeviceClose::NoDevice && self.tx.is_keyed() {
            self.shared.stats.sub(Counter::TlsCurrTxSw);
        }
        let mut rx = lock(&self.rx);
        if rx.close_device() == DeviceClose::NoDevice && rx.is_keyed() {
            self.shared.stats.sub(Counter::TlsCurrRxSw);
        }
    }

    /// Moves an error that TCP holds into `sk_err`.
    fn collect_error(&self, fd: &OwnedFd) {
        if let Some(errno) = tcp_error(fd) {
            self.tx.tcp_failed(errno);
        }
    }

    /// Behind a call in which a record failed: an error that TCP told before is no more (one `sk_err`).
    fn drop_outdated_error(&self, fd: &OwnedFd) {
        if self.shared.error.outdates_tcp() && tcp_error(fd).is_some() {
            self.tx.set_failed();
        }
    }

    /// Takes out what `sk_err` holds, as a call does that is TCP's own.
    fn take_fault(&self, fd: &OwnedFd) -> Option<CallFault> {
        self.shared.error.peek()?;
        self.collect_error(fd);
        self.shared.error.take()
    }
}

impl Drop for FdSocket {
    fn drop(&mut self) {
        self.close();
    }
}

impl From<CallFault> for NetError {
    fn from(fault: CallFault) -> Self {
        match fault {
            CallFault::Tls(error) => Self::Tls(error),
            CallFault::System(code) => Self::Io(Errno::from_raw_os_error(code)),
        }
    }
}

/// A wait at `place`, the socket or what stands for it, that also ends at `SO_RCVTIMEO` or `SO_SNDTIMEO`,
/// which is EAGAIN then.
fn wait_at(
    place: BorrowedFd<'_>,
    socket: &OwnedFd,
    events: PollFlags,
    limit: &mut ProgressDeadline,
    system: &mut Option<Wait>,
    which: Timeout,
) -> Result<(), NetError> {
    let patience = limit.patience();
    let wait = |patience| crate::wait::wait(place, events, patience);
    if patience != Wait::Forever {
        return limit.wait(patience, wait).map(drop);
    }
    let waited = match *system.get_or_insert_with(|| system_timeout(socket, which)) {
        // A call that were begun again would have all of the time again.
        end @ Wait::Until(_) => wait(end),
        longest => limit.wait(longest, wait),
    };
    match waited {
        Err(NetError::TimedOut) => Err(NetError::Io(Errno::AGAIN)),
        waited => waited.map(drop),
    }
}

/// Waits for more to receive. For a look at signals nothing that was copied is given out too early.
fn wait_to_receive(
    fd: &OwnedFd,
    events: PollFlags,
    call: &ReceiveCall,
    limit: &mut ProgressDeadline,
    system: &mut Option<Wait>,
) -> Result<(), NetError> {
    let mut in_one_piece = ProgressDeadline::once(limit.patience());
    let limit = if call.copied() {
        &mut in_one_piece
    } else {
        limit
    };
    wait_at(fd.as_fd(), fd, events, limit, system, Timeout::Recv)
}

/// Takes out the error that TCP holds.
fn tcp_error(fd: &OwnedFd) -> Option<Errno> {
    socket_error(fd).ok()?.err()
}

/// What a poll that does not wait sees.
pub(crate) fn poll_now(fd: &OwnedFd, events: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(fd, events)];
    match rustix::event::poll(&mut fds, Some(&crate::wait::timespec(Duration::ZERO))) {
        Ok(_) => fds[0].revents(),
        // It does not wait and the descriptor is open: nothing else to tell.
        Err(_) => PollFlags::empty(),
    }
}

fn system_timeout(fd: &OwnedFd, which: Timeout) -> Wait {
    match socket_timeout(fd, which) {
        Ok(Some(timeout)) => Instant::now()
            .checked_add(timeout)
            .map_or(Wait::Forever, Wait::Until),
        Ok(None) | Err(_) => Wait::Forever,
    }
}
