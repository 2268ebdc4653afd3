//! The background sender: one thread per process that finishes what callers do not wait for.
//!
//! If a TCP socket is closed while bytes of the peer are unread, or before late bytes arrive, the
//! system sends a reset. A reset destroys bytes that the peer has not received yet. A peer nearly
//! always has sent such bytes: session tickets, its close_notify, the rest of a request. So a
//! connection is closed by a *lingering close*, as RFC 1122 §4.2.2.13 and RFC 9112 §9.6 advise:
//! send the remaining bytes, send FIN, read and discard until the peer's FIN arrives, close. The
//! duration is up to the peer, so `close` must not wait for it.
//!
//! Other tasks are:
//! - Sealed records of a kernel TLS socket that TCP had no room for. A non-blocking caller may
//!   never make another call that could send them.
//! - Sealed records of a [`Connection`](crate::Connection) whose caller does not wait. They are
//!   sent even if the caller only reads from then on.
//!
//! All tasks run in the same thread, which waits for all descriptors with epoll (elsewhere poll).
//! It starts with the first task and ends one second after the last, so most processes have no such
//! thread. It never takes the GIL and never waits for one peer.
//!
//! # Limits
//! A task fails if the peer has neither accepted nor acknowledged a byte for
//! [`TaskLimits::stalled`]. Bytes that TCP had no room for are then lost, and the peer gets a
//! reset. The system continues to send what TCP has accepted. After everything is acknowledged, the
//! socket is closed if the peer sends nothing for [`TaskLimits::silent`], or sends more than 16
//! MiB. At most [`MAX_CLOSING`] sockets, or a quarter of the process's limit of descriptors, are
//! closed at the same time. Beyond that, the one that would reach its limit first is given up.
//!
//! # Without the thread
//! If no thread or descriptor is available, the caller performs the lingering close itself for at
//! most [`INLINE`]. At the interpreter's exit, [`finish_before_exit`] waits for the tasks with
//! shorter limits; sockets that are closed later are closed by their callers. `os._exit` and
//! signals end the work without notice. Workers of Python's multiprocessing end by `os._exit`, so
//! they wait before that (`worker_exit.py`).
//!
//! # Fork
//! The thread stays in the parent, where it continues after a pause ([`pause_for_fork`]). The child
//! closes its copies of the descriptors without sending or shutting down anything
//! ([`forget_after_fork`]). Tasks of the child get a new thread.

mod inline;
mod lingering_close;
mod pause;
mod thread;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ktls_core::Fifo;
use rustix::net::sockopt::{set_socket_linger, socket_linger};

use crate::bell::ReadinessBell;
use crate::fork;
use crate::mutex::lock;
use crate::wait::SIGNAL_CHECK_INTERVAL;
use lingering_close::LingeringClose;
use thread::BackgroundThread;

pub(crate) use lingering_close::EndSignal;
pub(crate) use pause::{go_on_after_fork, pause_for_fork};

/// How long a task waits for its peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TaskLimits {
    /// The longest time without a byte accepted by TCP or acknowledged by the peer.
    pub(crate) stalled: Duration,
    /// The longest time without a byte from the peer, after it has acknowledged everything.
    pub(crate) silent: Duration,
    /// Whether [`TaskLimits::stalled`] applies to sockets and connections that are still open as
    /// well.
    pub(crate) for_open_sockets: bool,
}

/// The usual limits. TCP waits as long for the acknowledgement of a FIN.
pub(crate) const LIMITS: TaskLimits = TaskLimits {
    stalled: if cfg!(test) {
        Duration::from_millis(20)
    } else {
        Duration::from_secs(60)
    },
    silent: Duration::from_secs(10),
    for_open_sockets: false,
};
/// The limits at the interpreter's exit.
const EXIT_LIMITS: TaskLimits = TaskLimits {
    stalled: Duration::from_secs(5),
    silent: Duration::from_secs(1),
    for_open_sockets: true,
};
/// The longest time that an exit waits for all tasks together.
const MAX_EXIT_WAIT: Duration = Duration::from_secs(60);
/// The longest time for which a caller performs a lingering close itself.
pub(crate) const INLINE: Duration = Duration::from_secs(1);
/// The most lingering closes, including closed kernel TLS sockets, at a time.
const MAX_CLOSING: usize = 1024;
/// The most new tasks that the thread has not taken. A caller that closes more sockets waits for
/// the thread, which enforces [`MAX_CLOSING`].
const MAX_NEW_TASKS: usize = 8;
/// How often a stalled socket or connection is checked within [`TaskLimits::stalled`].
pub(crate) const CHECKS_PER_LIMIT: u32 = 8;

/// The background sender of one process. After a fork the child's memory still contains that of the
/// parent, so each process uses the one created since its birth.
struct BackgroundSender {
    birth: u64,
    younger: OnceLock<Box<Self>>,
    state: Mutex<SenderState>,
    /// Held by the thread while it runs tasks; taken before the lock of the state.
    at_work: Mutex<()>,
    /// Notified when the thread has taken new tasks, and when a task has ended.
    changed: Condvar,
}

#[derive(Default)]
struct SenderState {
    /// The descriptors of all tasks. The tasks themselves belong to the thread.
    held: HashMap<u64, Arc<OwnedFd>>,
    /// Tasks that the thread has not taken yet.
    fresh: Vec<(u64, BackgroundTask)>,
    /// Wakes the thread. `None` while there is no thread.
    bell: Option<Arc<ReadinessBell>>,
    last_id: u64,
    /// Whether every task gets a turn, because its socket or connection may have been closed.
    look_at_all: bool,
    exit: InterpreterExit,
}

/// How close the interpreter is to its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum InterpreterExit {
    #[default]
    NotYet,
    Waiting,
    /// The wait for the thread is over.
    Over,
}

/// A task of the background thread.
enum BackgroundTask {
    Close(Box<LingeringClose>),
    Send(Box<dyn StalledSender>),
}

/// A socket or connection with sealed records that TCP had no room for.
pub(crate) trait StalledSender: Send {
    /// Sends what TCP accepts.
    fn turn(&mut self, fd: &OwnedFd, now: Instant, limits: TaskLimits) -> AfterTurn;
    /// Gives the remaining records up.
    fn give_up(&self, fd: &OwnedFd);
    /// Returns the time at which it will be given up, or `None` if its socket or connection is
    /// still open.
    fn deadline_of_close(&self, limits: TaskLimits) -> Option<Instant>;
}

/// What a task waits for after a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AfterTurn {
    /// The task waits for one of these events, or for this time.
    Wait {
        events: rustix::event::PollFlags,
        look_at: Instant,
    },
    Done,
}

/// Whether the background sender has taken over the bytes of a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TaskStart {
    /// The background sender has the bytes. It tries to send them until its limits are over.
    Started,
    /// There is nothing to send, or the system has no thread or descriptor for it.
    NotStarted,
}

static OLDEST: OnceLock<BackgroundSender> = OnceLock::new();

/// Sends `unsent` after the bytes that TCP has, ends the stream with `ending` and closes `fd`. No
/// byte is lost as long as the reader makes progress. Returns at once. See the limits in the
/// documentation of this module.
pub(crate) fn deliver_and_close(fd: Arc<OwnedFd>, unsent: Fifo, ending: EndSignal) {
    let mut close = Box::new(LingeringClose::new(unsent, ending, Instant::now()));
    if closes_at_once(&fd) {
        return let_go_of_closed();
    }
    if inline::first_turn(&mut close, &fd) == AfterTurn::Done {
        return;
    }
    let sender = BackgroundSender::here();
    match sender.add(fd, BackgroundTask::Close(close)) {
        Err((fd, BackgroundTask::Close(mut close))) => inline::finish(&mut close, &fd),
        Err(_) | Ok(()) => sender.let_thread_catch_up(),
    }
}

/// Sends the records of a stalled socket or connection as soon as TCP has room.
pub(crate) fn send_later(fd: Arc<OwnedFd>, stalled: impl StalledSender + 'static) -> TaskStart {
    let task = BackgroundTask::Send(Box::new(stalled));
    match BackgroundSender::here().add(fd, task) {
        Ok(()) => TaskStart::Started,
        Err(_) => TaskStart::NotStarted,
    }
}

/// Makes the system send a reset when `fd` is closed, so that the peer learns that bytes are
/// missing.
pub(crate) fn reset_when_closed(fd: &OwnedFd) {
    // Fails if the connection is gone already.
    let _gone = set_socket_linger(fd, Some(Duration::ZERO));
}

/// Waits, with short limits, until the peers have received everything, as long as `keep_waiting`
/// returns `true`. Called at the interpreter's exit: a connection that is closed later is closed by
/// its caller.
pub fn finish_before_exit(mut keep_waiting: impl FnMut() -> bool) {
    let sender = BackgroundSender::here();
    let end = Instant::now() + MAX_EXIT_WAIT;
    sender.set_exit(InterpreterExit::Waiting);
    while !sender.is_idle_within(SIGNAL_CHECK_INTERVAL) && Instant::now() < end && keep_waiting() {}
    sender.set_exit(InterpreterExit::Over);
}

/// Closes the copies of the descriptors of the parent's tasks. Called in the only thread of a
/// child.
pub(crate) fn forget_after_fork(birth: u64) {
    go_on_after_fork();
    let mut sender = OLDEST.get();
    while let Some(of_parent) = sender.filter(|sender| sender.birth != birth) {
        of_parent.forget();
        sender = of_parent.younger.get().map(|younger| &**younger);
    }
}

/// Makes the thread look for sockets and connections that were closed. A task has its own duplicate
/// of the descriptor, and the reset of `SO_LINGER` is sent when the last duplicate is closed.
pub(crate) fn let_go_of_closed() {
    BackgroundSender::here().look_at_all();
}

/// Returns `true` if the user has asked for a reset with `SO_LINGER`.
pub(crate) fn closes_at_once(fd: &OwnedFd) -> bool {
    socket_linger(fd) == Ok(Some(Duration::ZERO))
}

impl BackgroundSender {
    fn new(birth: u64) -> Self {
        Self {
            birth,
            younger: OnceLock::new(),
            state: Mutex::default(),
            at_work: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Returns the background sender of this process.
    fn here() -> &'static Self {
        let birth = fork::birth();
        let mut sender = OLDEST.get_or_init(|| Self::new(birth));
        while sender.birth != birth {
            sender = sender.younger.get_or_init(|| Box::new(Self::new(birth)));
        }
        sender
    }

    /// Passes a task to the thread. Returns it as an error if no thread can be started.
    fn add(
        &'static self,
        fd: Arc<OwnedFd>,
        task: BackgroundTask,
    ) -> Result<(), (Arc<OwnedFd>, BackgroundTask)> {
        let mut state = lock(&self.state);
        let Some(bell) = self.running_bell(&mut state) else {
            return Err((fd, task));
        };
        state.last_id += 1;
        let id = state.last_id;
        state.held.insert(id, fd);
        let first = state.fresh.is_empty();
        state.fresh.push((id, task));
        drop(state);
        if first {
            bell.ring();
        }
        Ok(())
    }

    /// Waits for a thread that is many tasks behind, for at most [`INLINE`].
    fn let_thread_catch_up(&self) {
        let state = lock(&self.state);
        let _waited = self
            .changed
            .wait_timeout_while(state, INLINE, |state| state.fresh.len() > MAX_NEW_TASKS);
    }

    /// Returns the bell of the thread, which is started if needed, or `None` if that fails.
    fn running_bell(&'static self, state: &mut SenderState) -> Option<Arc<ReadinessBell>> {
        if state.exit == InterpreterExit::Over {
            return None;
        }
        if state.bell.is_none() {
            let bell = Arc::new(ReadinessBell::new().ok()?);
            BackgroundThread::start(self, Arc::clone(&bell))?;
            state.bell = Some(bell);
        }
        state.bell.clone()
    }

    /// Forgets the parent's tasks in a child. The tasks are leaked: dropping one would report its
    /// end to others.
    fn forget(&self) {
        // Fails if another thread of the parent was adding a task. Then the copies stay open.
        if let Ok(mut state) = self.state.try_lock() {
            state.held.clear();
            std::mem::forget(std::mem::take(&mut state.fresh));
        }
    }

    fn set_exit(&self, exit: InterpreterExit) {
        lock(&self.state).exit = exit;
        self.look_at_all();
    }

    fn look_at_all(&self) {
        let mut state = lock(&self.state);
        state.look_at_all = true;
        if let Some(bell) = &state.bell {
            bell.ring();
        }
    }

    /// Waits for up to `patience` for the end of all tasks. Returns `true` if none is left.
    fn is_idle_within(&self, patience: Duration) -> bool {
        let state = lock(&self.state);
        let waited = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.held.is_empty());
        waited.is_ok_and(|(state, _)| state.held.is_empty())
    }
}

impl InterpreterExit {
    const fn limits(self) -> TaskLimits {
        match self {
            Self::NotYet => LIMITS,
            Self::Waiting | Self::Over => EXIT_LIMITS,
        }
    }
}
