//! The background sender: one thread of the process that finishes what callers no longer wait for.
//!
//! Closing a TCP socket while bytes of the peer lie unread, or before late bytes of the peer arrive, makes
//! the system send a reset, and a reset destroys what the peer has not been sent yet. A peer nearly always
//! has such bytes: session tickets, its close_notify, the rest of a request. So a connection is closed as
//! RFC 1122 §4.2.2.13 and RFC 9112 §9.6 advise, by a *lingering close*: send what is left, send FIN, read and
//! discard until the peer's FIN, close. That can take as long as the peer likes, and `close` must not.
//!
//! Likewise a kernel TLS socket goes on sending records behind its caller's back when TCP has no room for
//! them, and a non-blocking caller may never call again.
//!
//! So does a [`Connection`](crate::Connection) whose caller does not wait: what it has accepted leaves even if
//! the caller only waits for an answer from then on.
//!
//! All are tasks of the same thread, which waits for all their descriptors with epoll (elsewhere poll). It
//! is started with the first task and ends a second after the last one, so that most processes have none. It
//! never takes the GIL, and never waits for one peer.
//!
//! # Limits
//! A task ends without success when the peer has neither accepted nor acknowledged a byte for
//! [`TaskLimits::stalled`]. Bytes that TCP had no room for are lost then, and the peer gets a reset. What TCP
//! has already is left to the system, which goes on without us. When everything is acknowledged, a peer
//! that says nothing for [`TaskLimits::silent`], or says 16 MiB, is left alone. Of more than [`MOST_CLOSING`] sockets (or a
//! quarter of the descriptors that the process may have) the one whose limit comes first is given up.
//!
//! # Without the thread
//! Where no thread or descriptor is to be had, the caller does a lingering close itself, for at most
//! [`INLINE`]. When the interpreter exits, [`finish_before_exit`] waits for the tasks with shorter limits;
//! what is closed even later is closed by its caller. `os._exit` and signals end the work without a word;
//! workers of Python's multiprocessing, which end in that way, wait before (`worker_exit.py`).
//!
//! # Fork
//! The thread stays with the parent, which goes on after a pause ([`pause_for_fork`]). The child closes its
//! copies of the descriptors, and neither sends nor shuts down anything: [`forget_after_fork`]. Its own tasks
//! get a thread of its own.

mod inline;
mod lingering_close;
mod pause;
mod stalled_connection;
mod stalled_socket;
mod thread;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use ktls_core::Fifo;
use rustix::net::sockopt::{set_socket_linger, socket_linger};

use crate::ReadinessBell;
use crate::descriptor::lock;
use crate::fork;
use lingering_close::LingeringClose;
use thread::BackgroundThread;

pub(crate) use lingering_close::EndSignal;
pub(crate) use pause::{go_on_after_fork, pause_for_fork};
pub(crate) use stalled_connection::StalledConnection;
pub(crate) use stalled_socket::StalledSocket;

/// How long a task waits for its peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TaskLimits {
    /// Without a byte accepted by TCP or acknowledged by the peer.
    pub(crate) stalled: Duration,
    /// Without a byte from the peer, after it has acknowledged everything.
    pub(crate) silent: Duration,
    /// The first limit holds for kernel TLS sockets that are still open as well.
    pub(crate) for_open_sockets: bool,
}

/// As long as TCP waits for the acknowledgement of a FIN.
pub(crate) const LIMITS: TaskLimits = TaskLimits {
    stalled: if cfg!(test) {
        Duration::from_millis(20)
    } else {
        Duration::from_secs(60)
    },
    silent: Duration::from_secs(10),
    for_open_sockets: false,
};
/// The same at the interpreter's exit.
const EXIT_LIMITS: TaskLimits = TaskLimits {
    stalled: Duration::from_secs(5),
    silent: Duration::from_secs(1),
    for_open_sockets: true,
};
/// An exit waits no longer than this in all.
const LONGEST_EXIT: Duration = Duration::from_secs(60);
/// How long a caller may have to close a connection itself.
pub(crate) const INLINE: Duration = Duration::from_secs(1);
/// Lingering closes and closed kernel TLS sockets at a time.
const MOST_CLOSING: usize = 1024;
/// Sockets to be closed that the thread has not seen yet: whoever closes more waits for the thread, which
/// keeps the number of all within its bounds.
const MOST_FRESH: usize = 8;
/// A wait at exit returns this often for the caller's signal handlers.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The background sender of one process. A fork leaves that of the parent in the child's memory, so that
/// a process uses the one made since its birth.
struct BackgroundSender {
    birth: u64,
    younger: OnceLock<Box<Self>>,
    state: Mutex<SenderState>,
    /// Held by the thread while it works on tasks, and before it locks the state.
    at_work: Mutex<()>,
    /// Notified when the thread has taken fresh tasks, and when a task has ended.
    changed: Condvar,
}

#[derive(Default)]
struct SenderState {
    /// The descriptors of all tasks. The tasks themselves belong to the thread.
    held: HashMap<u64, Arc<OwnedFd>>,
    /// Tasks that the thread has not seen yet.
    fresh: Vec<(u64, BackgroundTask)>,
    /// Wakes the thread; none when it does not run.
    bell: Option<Arc<ReadinessBell>>,
    last_id: u64,
    /// Every task gets a turn: what it works on may be closed.
    look_at_all: bool,
    exit: InterpreterExit,
}

/// How far the interpreter is from its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum InterpreterExit {
    #[default]
    NotYet,
    Waiting,
    /// Nobody waits for the thread any more.
    Over,
}

/// Something that the thread does.
enum BackgroundTask {
    Close(Box<LingeringClose>),
    Push(StalledSocket),
    Flush(StalledConnection),
}

/// How a task goes on after a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AfterTurn {
    /// When one of the events shows, or at that time.
    Wait {
        events: rustix::event::PollFlags,
        look_at: Instant,
    },
    Done,
}

static OLDEST: OnceLock<BackgroundSender> = OnceLock::new();

/// Sends `unsent` behind what TCP has, ends the stream as `ending` says and closes `fd`, without losing a
/// byte for as long as the reader makes progress. Returns at once; see the limits of this module.
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

/// Sends what a kernel TLS socket has sealed when TCP has room for it; false when nobody can.
pub(crate) fn push_later(fd: Arc<OwnedFd>, socket: StalledSocket) -> bool {
    BackgroundSender::here()
        .add(fd, BackgroundTask::Push(socket))
        .is_ok()
}

/// Sends what a connection has sealed when TCP has room for it; false when nobody can.
pub(crate) fn flush_later(fd: Arc<OwnedFd>, connection: StalledConnection) -> bool {
    let task = BackgroundTask::Flush(connection);
    BackgroundSender::here().add(fd, task).is_ok()
}

/// Makes the peer learn by a reset that something is missing, once `fd` is closed.
pub(crate) fn reset_when_closed(fd: &OwnedFd) {
    // It may be gone already.
    let _gone = set_socket_linger(fd, Some(Duration::ZERO));
}

/// Waits until the peers have got everything, with short limits, while `keep_waiting` agrees. For the end of
/// the interpreter: whoever closes a connection later does it alone.
pub fn finish_before_exit(mut keep_waiting: impl FnMut() -> bool) {
    let sender = BackgroundSender::here();
    let end = Instant::now() + LONGEST_EXIT;
    sender.set_exit(InterpreterExit::Waiting);
    while !sender.is_idle_within(SIGNAL_CHECK_INTERVAL) && Instant::now() < end && keep_waiting() {}
    sender.set_exit(InterpreterExit::Over);
}

/// In the only thread of a child: closes the copies of the descriptors that the parent's thread works on.
pub(crate) fn forget_after_fork(birth: u64) {
    go_on_after_fork();
    let mut sender = OLDEST.get();
    while let Some(of_parent) = sender.filter(|sender| sender.birth != birth) {
        of_parent.forget();
        sender = of_parent.younger.get().map(|younger| &**younger);
    }
}

/// A task that sends what a socket or connection had sealed keeps a descriptor of it, which is closed soon
/// after this: the system makes the reset of `SO_LINGER` with the last one.
pub(crate) fn let_go_of_closed() {
    BackgroundSender::here().look_at_all();
}

/// The user has asked for a reset by `SO_LINGER`.
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

    /// That of this process.
    fn here() -> &'static Self {
        let birth = fork::birth();
        let mut sender = OLDEST.get_or_init(|| Self::new(birth));
        while sender.birth != birth {
            sender = sender.younger.get_or_init(|| Box::new(Self::new(birth)));
        }
        sender
    }

    /// Gives a task to the thread, or back to the caller.
    fn add(
        &'static self,
        fd: Arc<OwnedFd>,
        task: BackgroundTask,
    ) -> Result<(), (Arc<OwnedFd>, BackgroundTask)> {
        let mut state = lock(&self.state);
        let Some(bell) = self.running(&mut state) else {
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

    /// Waits for a thread that is many tasks behind, but not for long.
    fn let_thread_catch_up(&self) {
        let state = lock(&self.state);
        let _waited = self
            .changed
            .wait_timeout_while(state, INLINE, |state| state.fresh.len() > MOST_FRESH);
    }

    /// The bell of the thread, which is started if need be; none when that cannot be.
    fn running(&'static self, state: &mut SenderState) -> Option<Arc<ReadinessBell>> {
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

    /// In a child: no task is dropped, for that would tell others that it has ended.
    fn forget(&self) {
        // Another thread of the parent was just adding a task: then the copies stay open.
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

    /// True when no task is left, for which it waits at most so long.
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
