//! Many pairs, pumped by a few threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rustix::io::Errno;

use super::inbox::{PoolAdmission, PoolInbox};
use super::job::PumpJob;
use super::pair::{OnClose, PairOptions, RelayPair};
use super::side::RelaySide;
use super::worker::PoolWorker;
use crate::NetError;
use crate::fork::HomeProcess;
use crate::mutex::lock;
use crate::wait::SIGNAL_CHECK_INTERVAL;

/// Threads that pump between the sides of any number of pairs. If the pool is dropped, all pairs
/// end at once, and the drop does not wait for that.
pub struct RelayPool {
    /// The process that has the threads.
    home: HomeProcess,
    inboxes: Vec<Arc<PoolInbox>>,
    threads: Vec<ThreadId>,
    running: Arc<RunningThreads>,
    tally: Arc<PoolTally>,
    /// The id of the pair that was added last.
    last: AtomicU64,
}

/// Counters of a pool.
#[derive(Debug, Default)]
pub struct PoolTally {
    ended: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

/// The number of threads that are running.
#[derive(Default)]
struct RunningThreads {
    count: Mutex<usize>,
    /// Notified when a thread has ended.
    one_less: Condvar,
}

/// Counts a thread as running until it is dropped.
struct ThreadRuns(Arc<RunningThreads>);

impl RelayPool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// EINVAL if `threads` is 0; EAGAIN if a thread cannot be started; EMFILE or ENFILE if there
    /// are no descriptors for its inbox and poller.
    pub fn new(threads: usize) -> Result<Self, NetError> {
        if threads == 0 {
            return Err(NetError::Io(Errno::INVAL));
        }
        let mut pool = Self {
            home: HomeProcess::here(),
            inboxes: Vec::new(),
            threads: Vec::new(),
            running: Arc::default(),
            tally: Arc::default(),
            last: AtomicU64::new(0),
        };
        for _ in 0..threads {
            pool.start_thread()?;
        }
        Ok(pool)
    }

    fn start_thread(&mut self) -> Result<(), NetError> {
        let inbox = Arc::new(PoolInbox::new()?);
        let worker = PoolWorker::new(Arc::clone(&inbox), Arc::clone(&self.tally))?;
        let runs = ThreadRuns::new(&self.running);
        let run = move || {
            let _until_the_end = runs;
            worker.run();
        };
        let started = thread::Builder::new().name("ktls-relay".into()).spawn(run);
        let started = started.map_err(|_| NetError::Io(Errno::AGAIN))?;
        self.threads.push(started.thread().id());
        self.inboxes.push(inbox);
        Ok(())
    }

    /// Checks that the threads are in this process.
    ///
    /// # Errors
    /// EBUSY in a child of the process that has the threads.
    pub fn check_process(&self) -> Result<(), NetError> {
        self.home.check()
    }

    /// Adds a pair: a thread of the pool pumps between its sides until both directions have ended,
    /// an error occurs, or nothing has moved for as long as `options` allow. The thread then
    /// releases both sides and calls `on_close`.
    ///
    /// # Errors
    /// EAGAIN if another call reads or writes one of the sides; EBADF once the pool is closed;
    /// EBUSY in a child of the process that has the threads. In these cases `on_close` is not
    /// called.
    pub fn add(
        &self,
        sides: [RelaySide; 2],
        options: PairOptions,
        on_close: OnClose,
    ) -> Result<Arc<RelayPair>, NetError> {
        self.home.check()?;
        let least = self.inboxes.iter().min_by_key(|inbox| inbox.load());
        let inbox = least.ok_or(NetError::Io(Errno::BADF))?;
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let pair = RelayPair::new(id, inbox);
        let job = PumpJob::new(sides, options, Arc::clone(&pair), on_close)?;
        match inbox.add(Box::new(job)) {
            PoolAdmission::Added => Ok(pair),
            PoolAdmission::Closed => Err(NetError::Io(Errno::BADF)),
        }
    }

    /// Asks all pairs to end in order, as [`RelayPair::stop`] does. Pairs that have not ended after
    /// `drain` are ended then. The pool accepts no more pairs.
    ///
    /// # Errors
    /// EBUSY in a child of the process that has the threads.
    pub fn close(&self, drain: Duration) -> Result<(), NetError> {
        self.home.check()?;
        self.inboxes.iter().for_each(|inbox| inbox.close(drain));
        Ok(())
    }

    /// Waits for the threads to end after [`RelayPool::close`]. In a thread of the pool, returns at
    /// once.
    ///
    /// # Errors
    /// [`NetError::Interrupted`] from time to time: the caller checks for signals and calls again.
    /// EBUSY in a child of the process that has the threads.
    pub fn join(&self) -> Result<(), NetError> {
        self.home.check()?;
        if self.threads.contains(&thread::current().id())
            || self.running.are_over_within(SIGNAL_CHECK_INTERVAL)
        {
            return Ok(());
        }
        Err(NetError::Interrupted)
    }

    /// Returns `true` once all threads have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.home.is_here() && self.running.are_over_within(Duration::ZERO)
    }

    /// Returns the number of pairs that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.inboxes.iter().map(|inbox| inbox.load()).sum()
    }

    /// Returns the number of threads that the pool was made with.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Returns the counters of the pool.
    #[must_use]
    pub fn tally(&self) -> &PoolTally {
        &self.tally
    }
}

impl Drop for RelayPool {
    fn drop(&mut self) {
        // It fails in a child of a fork, which has no threads to close.
        let _child = self.close(Duration::ZERO);
    }
}

impl PoolTally {
    /// Returns the number of pairs that have ended.
    #[must_use]
    pub fn pairs_ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns the number of pairs that have ended with an error. The end of a peer without
    /// close_notify is not counted as an error.
    #[must_use]
    pub fn pairs_failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Returns the number of plaintext bytes that were passed on, in both directions of all pairs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that were passed on.
    pub(super) fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a pair that has ended.
    pub(super) fn ended(&self, failed: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}

impl RunningThreads {
    /// Returns `true` if no thread runs. Waits for that up to `patience`.
    fn are_over_within(&self, patience: Duration) -> bool {
        let count = lock(&self.count);
        let waited = self
            .one_less
            .wait_timeout_while(count, patience, |count| *count > 0);
        waited.is_ok_and(|(count, _)| *count == 0)
    }
}

impl ThreadRuns {
    /// Counts one more thread.
    fn new(running: &Arc<RunningThreads>) -> Self {
        *lock(&running.count) += 1;
        Self(Arc::clone(running))
    }
}

impl Drop for ThreadRuns {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.one_less.notify_all();
    }
}
