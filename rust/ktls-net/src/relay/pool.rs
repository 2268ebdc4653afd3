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

/// Threads that pump between the sides of any number of pairs. Dropped, it ends them at once and
/// waits for nothing.
pub struct RelayPool {
    home: HomeProcess,
    inboxes: Vec<Arc<PoolInbox>>,
    threads: Vec<ThreadId>,
    running: Arc<RunningThreads>,
    tally: Arc<PoolTally>,
    /// The number of the pair added last.
    last: AtomicU64,
}

/// What happened in a pool so far.
#[derive(Debug, Default)]
pub struct PoolTally {
    ended: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

/// Threads that have not come to their end.
#[derive(Default)]
struct RunningThreads {
    count: Mutex<usize>,
    one_less: Condvar,
}

/// A thread that counts as running.
struct ThreadRuns(Arc<RunningThreads>);

impl RelayPool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// EINVAL for none; EAGAIN, EMFILE and the like.
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

    /// Refuses where there are no threads, before anything is done for a pair.
    ///
    /// # Errors
    /// EBUSY in a child of the process that has the threads.
    pub fn check_process(&self) -> Result<(), NetError> {
        self.home.check()
    }

    /// Pumps between two sides until both directions have ended, an error, or nothing has moved for as
    /// long as `options` allow; then lets go of them and calls `on_close` in the thread that pumped.
    ///
    /// # Errors
    /// EAGAIN when somebody reads or writes a connection now; EBADF once closed; EBUSY in a child of
    /// the process that has the threads. `on_close` is not called then.
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

    /// Has all pairs end in order, as [`RelayPair::stop`], and those that have not after `drain` at once.
    ///
    /// # Errors
    /// EBUSY in a child of the process that has the threads.
    pub fn close(&self, drain: Duration) -> Result<(), NetError> {
        self.home.check()?;
        self.inboxes.iter().for_each(|inbox| inbox.close(drain));
        Ok(())
    }

    /// Waits for the threads to end after [`RelayPool::close`]; one of them waits for none.
    ///
    /// # Errors
    /// [`NetError::Interrupted`] now and then, to be called again.
    pub fn join(&self) -> Result<(), NetError> {
        self.home.check()?;
        if self.threads.contains(&thread::current().id())
            || self.running.are_over_within(SIGNAL_CHECK_INTERVAL)
        {
            return Ok(());
        }
        Err(NetError::Interrupted)
    }

    /// True once all threads have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.home.is_here() && self.running.are_over_within(Duration::ZERO)
    }

    /// Pairs under way.
    #[must_use]
    pub fn open(&self) -> usize {
        self.inboxes.iter().map(|inbox| inbox.load()).sum()
    }

    /// Threads it began with.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads.len()
    }

    /// What happened so far.
    #[must_use]
    pub fn tally(&self) -> &PoolTally {
        &self.tally
    }
}

impl Drop for RelayPool {
    fn drop(&mut self) {
        // In a child there are no threads to tell.
        let _child = self.close(Duration::ZERO);
    }
}

impl PoolTally {
    /// Pairs that have ended.
    #[must_use]
    pub fn pairs_ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Those among them that ended with an error; a peer that ended without close_notify is none.
    #[must_use]
    pub fn pairs_failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Plaintext bytes that were passed on, of all pairs and both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, failed: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}

impl RunningThreads {
    /// Returns true once no thread runs, for which it waits at most for `patience`.
    fn are_over_within(&self, patience: Duration) -> bool {
        let count = lock(&self.count);
        let waited = self
            .one_less
            .wait_timeout_while(count, patience, |count| *count > 0);
        waited.is_ok_and(|(count, _)| *count == 0)
    }
}

impl ThreadRuns {
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
