//! The thread of the background sender. It waits for the descriptors of all tasks at once, and runs
//! a turn of each task that is ready.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::lingering_close::LingerContext;
use super::{AfterTurn, BackgroundSender, BackgroundTask, MAX_CLOSING, TaskLimits};
use crate::bell::ReadinessBell;
use crate::mutex::lock;
use crate::poller::{Poller, WatchedFd};

/// The state of the thread.
pub(super) struct BackgroundThread {
    sender: &'static BackgroundSender,
    poller: Poller,
    bell: Arc<ReadinessBell>,
    tasks: HashMap<u64, ScheduledTask>,
    /// The times at which tasks get a turn even if their descriptor is not ready.
    timers: BTreeSet<(Instant, u64)>,
    sink: Vec<u8>,
    limits: TaskLimits,
}

/// A task and what it waits for.
struct ScheduledTask {
    task: BackgroundTask,
    events: PollFlags,
    look_at: Option<Instant>,
}

/// Changes by other threads that the thread has not looked at yet.
struct SenderNews {
    limits: TaskLimits,
    fresh: Vec<(u64, BackgroundTask)>,
    /// Every task gets a turn.
    look_at_all: bool,
}

/// Whether the thread ends when it has no task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum IdleThread {
    /// The thread ends. The next task starts another.
    Ends,
    /// The thread continues, because a task was added meanwhile.
    Stays,
}

/// The id of the bell. Ids of tasks start at 1.
const BELL: u64 = 0;
/// The thread ends after this time without a task.
const IDLE: Duration = Duration::from_secs(1);
/// Bytes of the buffer for data that is read and discarded.
const SINK_LEN: usize = 64 << 10;

impl BackgroundThread {
    /// Starts the thread. Returns `None` if the system has no thread or descriptor for it.
    pub(super) fn start(sender: &'static BackgroundSender, bell: Arc<ReadinessBell>) -> Option<()> {
        let poller = Poller::new().ok()?;
        let watched = WatchedFd {
            fd: bell.as_fd(),
            id: BELL,
            events: PollFlags::IN,
        };
        poller.watch(&watched, PollFlags::empty()).ok()?;
        let thread = Self {
            sender,
            poller,
            bell,
            tasks: HashMap::new(),
            timers: BTreeSet::new(),
            sink: vec![0; SINK_LEN],
            limits: super::LIMITS,
        };
        let builder = std::thread::Builder::new().name("ktls-send".into());
        builder.spawn(move || thread.run()).ok().map(drop)
    }

    fn run(mut self) {
        let mut idle_since = Instant::now();
        loop {
            let ready = self.wait();
            let at_work = lock(&self.sender.at_work);
            match ready {
                Ok(ready) => ready.into_iter().for_each(|id| self.serve(id)),
                Err(Errno::INTR) => {}
                // Other code has closed our descriptors: none will be ready again.
                Err(_) => self.give_up_all(),
            }
            self.serve_due();
            drop(at_work);
            if !self.tasks.is_empty() {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= IDLE
                && self.sender.let_thread_end() == IdleThread::Ends
            {
                return;
            }
        }
    }

    /// Returns the ids of what is ready.
    fn wait(&mut self) -> Result<Vec<u64>, Errno> {
        let next = self.timers.first().map(|&(look_at, _)| look_at);
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let held = self.sender.held_for_poll();
        let tasks = held.iter().filter_map(|(id, fd)| {
            let events = self.tasks.get(id)?.events;
            Some(watched(fd.as_fd(), *id, events))
        });
        let bell = watched(self.bell.as_fd(), BELL, PollFlags::IN);
        self.poller.wait(tasks.chain([bell]), left.or(Some(IDLE)))
    }

    fn serve(&mut self, id: u64) {
        match id {
            BELL => self.take_fresh(),
            id => self.give_turn(id),
        }
    }

    fn take_fresh(&mut self) {
        self.bell.silence();
        let news = self.sender.take_news();
        self.limits = news.limits;
        for (id, task) in news.fresh {
            let scheduled = ScheduledTask {
                task,
                events: PollFlags::empty(),
                look_at: None,
            };
            self.tasks.insert(id, scheduled);
            self.give_turn(id);
        }
        if news.look_at_all {
            let all: Vec<_> = self.tasks.keys().copied().collect();
            all.into_iter().for_each(|id| self.give_turn(id));
        }
        self.enforce_max_closing();
    }

    fn serve_due(&mut self) {
        let now = Instant::now();
        while let Some(&(look_at, id)) = self.timers.first()
            && look_at <= now
        {
            self.timers.pop_first();
            self.give_turn(id);
        }
    }

    fn give_turn(&mut self, id: u64) {
        let Some(fd) = self.sender.held(id) else {
            return;
        };
        let Some(scheduled) = self.tasks.get_mut(&id) else {
            return;
        };
        let next = scheduled
            .task
            .turn(&fd, &mut self.sink, Instant::now(), self.limits);
        let (events, look_at) = match next {
            AfterTurn::Done => (PollFlags::empty(), None),
            AfterTurn::Wait { events, look_at } => (events, Some(look_at)),
        };
        if let Some(before) = std::mem::replace(&mut scheduled.look_at, look_at) {
            self.timers.remove(&(before, id));
        }
        self.timers.extend(look_at.map(|look_at| (look_at, id)));
        let before = std::mem::replace(&mut scheduled.events, events);
        // If the descriptor cannot be watched, its task still gets a turn at `look_at`.
        let _watched = self.poller.watch(&watched(fd.as_fd(), id, events), before);
        if next == AfterTurn::Done {
            self.end(id, fd);
        }
    }

    /// Ends a task. The descriptor is closed before the end of the task can be observed.
    fn end(&mut self, id: u64, fd: Arc<OwnedFd>) {
        let task = self.tasks.remove(&id);
        drop(fd);
        self.sender.let_go(id);
        drop(task);
    }

    fn give_up(&mut self, id: u64) {
        let (Some(fd), Some(scheduled)) = (self.sender.held(id), self.tasks.get_mut(&id)) else {
            return;
        };
        scheduled.task.give_up(&fd);
        let nothing = watched(fd.as_fd(), id, PollFlags::empty());
        let _gone = self.poller.watch(&nothing, scheduled.events);
        if let Some(before) = scheduled.look_at {
            self.timers.remove(&(before, id));
        }
        self.end(id, fd);
    }

    fn give_up_all(&mut self) {
        self.take_fresh();
        let all: Vec<_> = self.tasks.keys().copied().collect();
        all.into_iter().for_each(|id| self.give_up(id));
    }

    /// Gives up the tasks that are closest to their limits while there are too many.
    fn enforce_max_closing(&mut self) {
        let max = max_closing();
        if self.tasks.len() <= max {
            return;
        }
        let limits = self.limits;
        let closing = self.tasks.iter().filter_map(|(&id, scheduled)| {
            let deadline = scheduled.task.deadline_of_close(limits)?;
            Some((deadline, id))
        });
        let mut closing: Vec<_> = closing.collect();
        closing.sort_unstable();
        let surplus = closing.len().saturating_sub(max);
        for &(_, id) in &closing[..surplus] {
            self.give_up(id);
        }
    }
}

impl BackgroundSender {
    fn held(&self, id: u64) -> Option<Arc<OwnedFd>> {
        lock(&self.state).held.get(&id).cloned()
    }

    /// Returns the descriptors of all tasks if the poller has to get them for each wait.
    fn held_for_poll(&self) -> Vec<(u64, Arc<OwnedFd>)> {
        if !Poller::NEEDS_ALL_EACH_WAIT {
            return Vec::new();
        }
        let state = lock(&self.state);
        let held = state.held.iter();
        held.map(|(&id, fd)| (id, Arc::clone(fd))).collect()
    }

    fn take_news(&self) -> SenderNews {
        let mut state = lock(&self.state);
        self.changed.notify_all();
        SenderNews {
            limits: state.exit.limits(),
            fresh: std::mem::take(&mut state.fresh),
            look_at_all: std::mem::take(&mut state.look_at_all),
        }
    }

    fn let_go(&self, id: u64) {
        let fd = lock(&self.state).held.remove(&id);
        drop(fd);
        self.changed.notify_all();
    }

    /// Decides whether the thread, which has no task, ends.
    fn let_thread_end(&self) -> IdleThread {
        let mut state = lock(&self.state);
        if !state.fresh.is_empty() {
            return IdleThread::Stays;
        }
        state.bell = None;
        IdleThread::Ends
    }
}

impl BackgroundTask {
    fn turn(
        &mut self,
        fd: &Arc<OwnedFd>,
        sink: &mut [u8],
        now: Instant,
        limits: TaskLimits,
    ) -> AfterTurn {
        match self {
            Self::Send(stalled) => stalled.turn(fd, now, limits),
            Self::Close(close) => close.turn(&mut LingerContext {
                // One reference is ours, and one is in the map of held descriptors.
                shared: Arc::strong_count(fd) > 2,
                fd,
                sink,
                now,
                limits,
            }),
        }
    }

    fn give_up(&self, fd: &OwnedFd) {
        match self {
            Self::Send(stalled) => stalled.give_up(fd),
            Self::Close(close) => close.give_up(fd),
        }
    }

    /// Returns the time at which a task will be given up, or `None` if its socket or connection is
    /// still open.
    fn deadline_of_close(&self, limits: TaskLimits) -> Option<Instant> {
        match self {
            Self::Send(stalled) => stalled.deadline_of_close(limits),
            Self::Close(close) => Some(close.deadline(limits)),
        }
    }
}

fn watched(fd: BorrowedFd<'_>, id: u64, events: PollFlags) -> WatchedFd<'_> {
    WatchedFd { fd, id, events }
}

/// Returns the most sockets that are closed at a time. Some descriptors are left for others.
fn max_closing() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    MAX_CLOSING.min(usize::try_from(limit / 4).unwrap_or(usize::MAX))
}
