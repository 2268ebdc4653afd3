//! What the sockets of a queue and its workers share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use ktls_core::offload::InstallPolicy;
use ktls_core::slot::SlotTable;
use rustix::io::Errno;

use super::QueueShape;
use super::worker::{DirectionTask, QueueWorker};
use crate::bell::ReadinessBell;
use crate::fork::HomeProcess;
use crate::mutex::lock;
use crate::wait::SIGNAL_CHECK_INTERVAL;
use crate::{NetError, Wait};

#[derive(Debug)]
pub(crate) struct QueueShared {
    /// Threads do not come along with a fork.
    home: HomeProcess,
    pub(super) shape: QueueShape,
    pub(super) slots: Mutex<SlotTable<()>>,
    inboxes: Vec<WorkerInbox>,
    ended: Condvar,
    next: AtomicUsize,
    closed: AtomicBool,
    pub(super) tally: QueueTally,
}

/// What has been done, for [`super::QueueStats`].
#[derive(Debug, Default)]
pub(super) struct QueueTally {
    pub(super) submitted: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) software: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) depth: AtomicU64,
}

/// The way to one worker, whose thread starts with the first connection.
#[derive(Debug)]
pub(super) struct WorkerInbox {
    posts: Mutex<PostedTasks>,
    pub(super) bell: ReadinessBell,
    /// The worker waits at the bell.
    asleep: AtomicBool,
}

/// Whether a worker will do a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TaskPost {
    /// The worker has the task.
    Posted,
    /// The task was dropped: no thread can be started, or the connection is closed.
    Refused,
}

/// Whether the thread of a worker ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WorkerEnd {
    /// It ends. The next task starts another thread.
    Ended,
    /// It goes on, because a task was posted.
    HasTasks,
}

#[derive(Debug, Default)]
struct PostedTasks {
    tasks: Vec<DirectionTask>,
    running: bool,
}

impl QueueShared {
    pub(super) fn new(shape: QueueShape) -> Result<Self, NetError> {
        let inboxes = (0..shape.workers).map(|_| WorkerInbox::new());
        Ok(Self {
            home: HomeProcess::here(),
            slots: Mutex::new(SlotTable::new(shape.slots)),
            inboxes: inboxes.collect::<Result<_, _>>()?,
            shape,
            ended: Condvar::new(),
            next: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            tally: QueueTally::default(),
        })
    }

    /// A worker for a connection: they take turns.
    pub(super) fn next_worker(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1)
    }

    pub(super) fn inbox(&self, worker: usize) -> &WorkerInbox {
        &self.inboxes[worker]
    }

    /// False in a child of a fork.
    pub(crate) fn is_here(&self) -> bool {
        self.home.is_here()
    }

    /// # Errors
    /// EBUSY in a child of a fork.
    pub(super) fn check_process(&self) -> Result<(), NetError> {
        self.home.check()
    }

    /// True when there is no device any more.
    pub(crate) fn is_down(&self) -> bool {
        self.is_closed() || !self.is_here()
    }

    /// When keys are installed.
    pub(crate) const fn policy(&self) -> InstallPolicy {
        self.shape.policy
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Workers end when they have nothing left to do.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.inboxes.iter().for_each(|inbox| inbox.bell.ring());
    }

    /// Waits for the threads of all workers to end.
    pub(super) fn wait_until_ended(&self, patience: Wait) -> Result<(), NetError> {
        for inbox in &self.inboxes {
            let mut posts = lock(&inbox.posts);
            while posts.running {
                let left = patience
                    .left()?
                    .unwrap_or(SIGNAL_CHECK_INTERVAL)
                    .min(SIGNAL_CHECK_INTERVAL);
                let waited = self.ended.wait_timeout(posts, left);
                let (still, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                if timeout.timed_out() && still.running {
                    return Err(NetError::Interrupted);
                }
                posts = still;
            }
        }
        Ok(())
    }

    pub(super) fn slots_in_use(&self) -> usize {
        lock(&self.slots).len()
    }

    /// Descriptors were taken out of a ring.
    pub(super) fn left_ring(&self, count: usize) {
        self.tally.depth.fetch_sub(count as u64, Ordering::Relaxed);
    }

    /// TCP has their records, or they are lost.
    pub(super) fn completed(&self, count: usize) {
        let completed = &self.tally.completed;
        completed.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Ends the thread of a worker, unless a task was posted. The thread calls this itself, as its last act.
    pub(super) fn end_thread(&self, worker: usize) -> WorkerEnd {
        // Under the lock of the inbox: a task is either seen here or starts another thread.
        let mut posts = lock(&self.inboxes[worker].posts);
        if !posts.tasks.is_empty() {
            return WorkerEnd::HasTasks;
        }
        posts.running = false;
        self.ended.notify_all();
        WorkerEnd::Ended
    }

    /// Starts the thread of a worker, if it is not running.
    ///
    /// # Errors
    /// EAGAIN if the system has no thread.
    pub(super) fn start_thread(self: &Arc<Self>, worker: usize) -> Result<(), NetError> {
        self.start_thread_for(worker, &mut lock(&self.inbox(worker).posts))
    }

    fn start_thread_for(
        self: &Arc<Self>,
        worker: usize,
        posts: &mut PostedTasks,
    ) -> Result<(), NetError> {
        if !posts.running {
            let (shared, name) = (Arc::clone(self), format!("ktls-queue-{worker}"));
            let thread = std::thread::Builder::new().name(name);
            let started = thread.spawn(move || QueueWorker::new(shared, worker).run());
            started.map_err(|_| NetError::Io(Errno::AGAIN))?;
            posts.running = true;
        }
        Ok(())
    }

    /// Posts a task to a worker. It is refused if no thread can be started, which is possible once the
    /// queue is closed and the worker's thread has ended.
    pub(super) fn post(self: &Arc<Self>, worker: usize, task: DirectionTask) -> TaskPost {
        let inbox = self.inbox(worker);
        let mut posts = lock(&inbox.posts);
        if self.start_thread_for(worker, &mut posts).is_err() {
            return TaskPost::Refused;
        }
        posts.tasks.push(task);
        drop(posts);
        // A worker that is awake looks into its inbox before it waits: no system call is needed.
        if inbox.asleep.swap(false, Ordering::SeqCst) {
            inbox.bell.ring();
        }
        TaskPost::Posted
    }
}

impl WorkerInbox {
    fn new() -> Result<Self, NetError> {
        Ok(Self {
            posts: Mutex::default(),
            bell: ReadinessBell::new()?,
            asleep: AtomicBool::new(false),
        })
    }

    /// Takes what was posted.
    pub(super) fn take(&self, tasks: &mut impl Extend<DirectionTask>) {
        tasks.extend(lock(&self.posts).tasks.drain(..));
    }

    /// True when a worker may wait at the bell now; `awake` ends it.
    pub(super) fn prepare_to_wait(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        lock(&self.posts).tasks.is_empty()
    }

    pub(super) fn end_wait(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.bell.silence();
    }
}
