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

/// The state that the sockets of a queue and its workers share.
#[derive(Debug)]
pub(crate) struct QueueShared {
    /// The process that has the threads: a child of a fork has none.
    home: HomeProcess,
    pub(super) shape: QueueShape,
    pub(super) slots: Mutex<SlotTable<()>>,
    /// One for each worker.
    inboxes: Vec<WorkerInbox>,
    /// Notified when a thread has ended.
    ended: Condvar,
    /// Counts the connections, which are assigned to workers round robin.
    next: AtomicUsize,
    closed: AtomicBool,
    pub(super) tally: QueueTally,
}

/// The counters of [`super::QueueStats`].
#[derive(Debug, Default)]
pub(super) struct QueueTally {
    pub(super) submitted: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) software: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) depth: AtomicU64,
}

/// The inbox of one worker. The worker's thread starts with the first connection.
#[derive(Debug)]
pub(super) struct WorkerInbox {
    posts: Mutex<PostedTasks>,
    pub(super) bell: ReadinessBell,
    /// `true` while the worker waits at the bell, or is about to.
    asleep: AtomicBool,
}

/// Whether a worker will do a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TaskPost {
    /// The worker has the task, and will do it.
    Posted,
    /// The task was dropped: no thread can be started, or the connection is closed.
    Refused,
}

/// Whether the thread of a worker ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WorkerEnd {
    /// The thread ends. The next task starts another.
    Ended,
    /// The thread continues, because a task was posted.
    HasTasks,
}

/// What the lock of an inbox protects.
#[derive(Debug, Default)]
struct PostedTasks {
    tasks: Vec<DirectionTask>,
    /// The worker's thread is running.
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

    /// Returns the index of the worker for a new connection.
    pub(super) fn next_worker(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1)
    }

    /// Returns the inbox of a worker.
    pub(super) fn inbox(&self, worker: usize) -> &WorkerInbox {
        &self.inboxes[worker]
    }

    /// Returns `false` in a child of a fork, which has no threads.
    pub(crate) fn is_here(&self) -> bool {
        self.home.is_here()
    }

    /// Checks that the threads are in this process.
    ///
    /// # Errors
    /// EBUSY in a child of a fork.
    pub(super) fn check_process(&self) -> Result<(), NetError> {
        self.home.check()
    }

    /// Returns `true` if the queue can take no key any more: it is closed, or this is a child of a
    /// fork.
    pub(crate) fn is_down(&self) -> bool {
        self.is_closed() || !self.is_here()
    }

    /// Returns the policy of key updates.
    pub(crate) const fn policy(&self) -> InstallPolicy {
        self.shape.policy
    }

    /// Returns `true` once the queue is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Closes the queue. The threads end when they have nothing left to do.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.inboxes.iter().for_each(|inbox| inbox.bell.ring());
    }

    /// Waits until the threads of all workers have ended.
    ///
    /// # Errors
    /// [`NetError::TimedOut`] if `patience` ends before; [`NetError::Interrupted`] from time to
    /// time, so that the caller checks for signals and calls again.
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

    /// Returns the number of key slots in use.
    pub(super) fn slots_in_use(&self) -> usize {
        lock(&self.slots).len()
    }

    /// Counts records that were taken out of a ring.
    pub(super) fn left_ring(&self, count: usize) {
        self.tally.depth.fetch_sub(count as u64, Ordering::Relaxed);
    }

    /// Counts records that TCP has, or that are lost with their connection.
    pub(super) fn completed(&self, count: usize) {
        let completed = &self.tally.completed;
        completed.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Ends the thread of a worker, unless a task was posted. Called by that thread.
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

    /// Posts a task to a worker. It is refused if no thread can be started, which is possible once
    /// the queue is closed and the worker's thread has ended.
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
    /// Makes an empty inbox.
    fn new() -> Result<Self, NetError> {
        Ok(Self {
            posts: Mutex::default(),
            bell: ReadinessBell::new()?,
            asleep: AtomicBool::new(false),
        })
    }

    /// Moves all posted tasks to `tasks`.
    pub(super) fn take(&self, tasks: &mut impl Extend<DirectionTask>) {
        tasks.extend(lock(&self.posts).tasks.drain(..));
    }

    /// Prepares the worker to wait at the bell. Returns `true` if the inbox is empty, so that it
    /// may wait. A task that is posted from now on rings the bell.
    pub(super) fn prepare_to_wait(&self) -> bool {
        // Before the look into the inbox: a task that is posted behind the look finds `asleep` set.
        self.asleep.store(true, Ordering::SeqCst);
        lock(&self.posts).tasks.is_empty()
    }

    /// Ends the wait: tasks no longer ring the bell.
    pub(super) fn end_wait(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.bell.silence();
    }
}
