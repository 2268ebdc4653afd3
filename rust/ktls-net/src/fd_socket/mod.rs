//! A connected TCP socket that behaves as one with the kernel's tls ULP: drives
//! [`ktls_core::socket`].
//!
//! The locks are, outermost first: a turn, `setup`, one of the two directions. A turn is held while
//! its call waits for the peer; the lock of a direction is not. So a blocked reader blocks neither
//! a writer nor `TLS_RX`.

mod adopt;
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

pub(crate) use adopt::AdoptedKeys;
pub use poll::SocketReadiness;
pub use send_file::FileSource;
pub(crate) use tx_side::FdSocketTx;

/// A TCP socket with the kernel's tls ULP, over a descriptor. All methods may be called from
/// several threads.
#[derive(Debug)]
pub struct FdSocket {
    fd: SharedFd,
    shared: Arc<SocketShared>,
    setup: Mutex<SocketSetup>,
    tx: Arc<FdSocketTx>,
    rx: Arc<Mutex<FdSocketRx>>,
    /// The turn of sends.
    writer: IoTurn,
    /// The turn of receives.
    reader: IoTurn,
    /// `SO_RCVLOWAT`. TCP has the same value until `TLS_RX` is set. From then on TCP has 1, because
    /// half a record must wake a reader.
    low_water: AtomicUsize,
    /// The bells to ring after a change that the descriptor does not show.
    watchers: Arc<ReadinessWatchers>,
    /// The queue to which keys are offered.
    device: Option<Arc<OffloadQueue>>,
    /// The ring of the connection at the device, once a key was offered.
    ring: OnceLock<Arc<ConnRing>>,
}

impl FdSocket {
    /// Makes a socket that owns `fd`. Events are counted in `stats`; keys are offered to `device`.
    #[must_use]
    pub fn new(fd: OwnedFd, stats: Arc<Stats>, device: Option<Arc<OffloadQueue>>) -> Self {
        Self::over(SharedFd::new(fd), stats, device)
    }

    /// Sets a limit: at most `records` records are sealed under one key. Those before its `rec_seq`
    /// count.
    pub fn set_record_limit(&self, records: u64) {
        self.tx.state().socket.set_record_limit(records);
    }

    /// Makes a closed socket, of which every call fails with EBADF.
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

    /// Returns `true` if records leave through a queue. Immutable buffers should then be passed as
    /// [`crate::queue::KeptBytes`], which are not copied.
    pub fn is_queued(&self) -> bool {
        self.tx.ring().is_some()
    }

    /// Checks that this process may use the socket at all, before the caller waits for anything
    /// else.
    ///
    /// # Errors
    /// EBUSY in a child of a fork that can never use the socket.
    pub fn check_reachable(&self) -> Result<(), NetError> {
        self.fd.owner().check_reachable()
    }

    /// Returns `true` if the socket is open and no fork may have left it to another process.
    pub fn is_left_open(&self) -> bool {
        self.fd.is_left_open()
    }

    /// Returns the descriptor, for the options and addresses of TCP.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn descriptor(&self) -> Result<Arc<OwnedFd>, NetError> {
        self.fd.number()
    }

    /// Returns a duplicate of the descriptor.
    ///
    /// # Errors
    /// EBADF if the socket is closed; EMFILE if the process has too many descriptors.
    pub fn duplicate(&self) -> Result<OwnedFd, NetError> {
        Ok(rustix::io::fcntl_dupfd_cloexec(self.fd.number()?, 0)?)
    }

    /// Returns and clears `SO_ERROR`; 0 is no error.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn take_error(&self) -> Result<i32, NetError> {
        let fd = self.fd.open()?;
        let _ring = self.watchers.ring_later();
        self.foresee(&fd);
        self.collect_error(&fd);
        Ok(self.shared.error.take().map_or(0, CallFault::code))
    }

    /// Returns `SO_RCVLOWAT`, in bytes.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn low_water(&self) -> Result<usize, NetError> {
        self.fd.number()?;
        Ok(self.low_water.load(Ordering::Relaxed))
    }

    /// Sets `SO_RCVLOWAT` to the value that TCP makes of `bytes`.
    ///
    /// # Errors
    /// EBADF if the socket is closed; EBUSY if another process of a fork uses it; the error of the
    /// system's `setsockopt`.
    pub fn set_low_water(&self, bytes: i32) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let side = lock(&self.rx);
        ktls_sys::set_receive_low_water(&fd, bytes)?;
        self.take_low_water(&fd, &side)
    }

    /// Stores the `SO_RCVLOWAT` of TCP. If `TLS_RX` is set, sets that of TCP to 1.
    fn take_low_water(&self, fd: &OwnedFd, side: &FdSocketRx) -> Result<(), NetError> {
        let bytes = ktls_sys::receive_low_water(fd)?;
        self.low_water.store(bytes.max(1), Ordering::Relaxed);
        if side.is_keyed() && bytes > 1 {
            ktls_sys::set_receive_low_water(fd, 1)?;
        }
        Ok(())
    }

    /// Shuts down one or both directions, as `shutdown(2)` does. Sealed records leave first; an
    /// open MSG_MORE record is dropped (`docs/kernel-rules.md`, S2.5-1 and S2.5-2).
    ///
    /// # Errors
    /// EINVAL if `how` is not 0, 1 or 2; EBADF if the socket is closed; the error of TCP's
    /// shutdown.
    pub fn shutdown(&self, how: i32) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        match how {
            0 => Ok(rustix::net::shutdown(&fd, Shutdown::Read)?),
            1 => self.tx.shutdown(fd.shared(), Shutdown::Write),
            2 => self.tx.shutdown(fd.shared(), Shutdown::Both),
            _ => Err(NetError::Io(Errno::INVAL)),
        }
    }

    /// Closes the socket. Sealed records still leave if they can. If ciphertext is unread, the peer
    /// gets a reset, as in TCP. A connection that another process of a fork may continue is left as
    /// it is.
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
            // Received bytes stay unread: the peer learns that from a reset (RFC 2525 §2.17).
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
            // Ends the calls that wait at the descriptor.
            let _ = self.tx.shutdown(&fd, Shutdown::Both);
        }
        self.watchers.ring();
    }

    /// Updates the gauges of `docs/kernel-rules.md`, S6.1-2, at the close.
    fn count_close(&self) {
        if self.tx.close_device() == DeviceClose::NoDevice && self.tx.is_keyed() {
            self.shared.stats.sub(Counter::TlsCurrTxSw);
        }
        let mut rx = lock(&self.rx);
        if rx.close_device() == DeviceClose::NoDevice && rx.is_keyed() {
            self.shared.stats.sub(Counter::TlsCurrRxSw);
        }
    }

    /// Moves the error that TCP holds, if any, to `sk_err`.
    fn collect_error(&self, fd: &OwnedFd) {
        if let Some(errno) = tcp_error(fd) {
            self.tx.tcp_failed(errno);
        }
    }

    /// Drops an older error of TCP, after a call in which a record failed: there is one `sk_err`,
    /// and the last writer wins.
    fn drop_outdated_error(&self, fd: &OwnedFd) {
        if self.shared.error.take_tcp_outdated() && tcp_error(fd).is_some() {
            self.tx.set_failed();
        }
    }

    /// Returns and clears `sk_err`, as the calls of plain TCP do.
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

/// Waits for `events` at `place`, which is the socket or a bell.
///
/// # Errors
/// EAGAIN if `SO_RCVTIMEO` or `SO_SNDTIMEO` is over; [`NetError::TimedOut`] or
/// [`NetError::Interrupted`], as `limit` decides.
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
        // Without a look at signals in between: a call that began again would have the whole time
        // again.
        end @ Wait::Until(_) => wait(end),
        longest => limit.wait(longest, wait),
    };
    match waited {
        Err(NetError::TimedOut) => Err(NetError::Io(Errno::AGAIN)),
        waited => waited.map(drop),
    }
}

/// Waits for more to receive. Once data was copied, the wait is not interrupted merely to check for
/// signals: the call would return too early.
///
/// # Errors
/// Returns the errors of [`wait_at`].
fn wait_to_receive(
    fd: &OwnedFd,
    events: PollFlags,
    call: &ReceiveCall,
    limit: &mut ProgressDeadline,
    system: &mut Option<Wait>,
) -> Result<(), NetError> {
    let mut in_one_piece = ProgressDeadline::once(limit.patience());
    let limit = if call.has_copied() {
        &mut in_one_piece
    } else {
        limit
    };
    wait_at(fd.as_fd(), fd, events, limit, system, Timeout::Recv)
}

/// Returns and clears the error that TCP holds.
fn tcp_error(fd: &OwnedFd) -> Option<Errno> {
    socket_error(fd).ok()?.err()
}

/// Polls a descriptor without waiting. Returns the events that are ready.
pub(crate) fn poll_now(fd: &OwnedFd, events: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(fd, events)];
    match rustix::event::poll(&mut fds, Some(&crate::wait::timespec(Duration::ZERO))) {
        Ok(_) => fds[0].revents(),
        // The descriptor is open and the poll does not wait, so there is no error to report.
        Err(_) => PollFlags::empty(),
    }
}

/// Returns the limit that `SO_RCVTIMEO` or `SO_SNDTIMEO` sets from now on.
fn system_timeout(fd: &OwnedFd, which: Timeout) -> Wait {
    match socket_timeout(fd, which) {
        Ok(Some(timeout)) => Instant::now()
            .checked_add(timeout)
            .map_or(Wait::Forever, Wait::Until),
        Ok(None) | Err(_) => Wait::Forever,
    }
}
