//! The thread of a pool: it waits for many pairs at once, and pumps those that are ready in turn.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;

use super::flow::SpareBuffers;
use super::inbox::{PoolInbox, PoolOrder};
use super::job::{PumpJob, PumpNext};
use super::pair::PairEnd;
use super::pool::PoolTally;
use crate::NetError;
use crate::poller::{Poller, WatchedFd};

/// The state of one thread.
pub(super) struct PoolWorker {
    poller: Poller,
    inbox: Arc<PoolInbox>,
    tally: Arc<PoolTally>,
    jobs: HashMap<u64, PumpJob>,
    /// The ids of the pairs that have something to do, each once.
    ready: VecDeque<u64>,
    spare: SpareBuffers,
    /// When to check the deadlines of all pairs, or `None` if no pair has one.
    next: Option<Instant>,
    /// The thread ends with its last pair.
    closing: bool,
}

/// The id of the bell at the poller. The ids of pairs begin at 1.
const BELL: u64 = 0;
/// The shortest time between two checks of all deadlines.
const TICK: Duration = Duration::from_millis(50);

impl PoolWorker {
    /// Makes the state of a thread.
    ///
    /// # Errors
    /// EMFILE or ENFILE if there is no descriptor for the poller.
    pub(super) fn new(inbox: Arc<PoolInbox>, tally: Arc<PoolTally>) -> Result<Self, NetError> {
        let poller = Poller::new()?;
        poller.watch(&bell(&inbox), PollFlags::empty())?;
        Ok(Self {
            poller,
            inbox,
            tally,
            jobs: HashMap::new(),
            ready: VecDeque::new(),
            spare: SpareBuffers::default(),
            next: None,
            closing: false,
        })
    }

    /// Runs until the pool is closed and all pairs have ended.
    pub(super) fn run(mut self) {
        while !self.closing || !self.jobs.is_empty() {
            for id in self.wait() {
                match id {
                    BELL => self.take_orders(),
                    id => self.queue(id),
                }
            }
            self.run_ready();
            self.end_expired();
        }
    }

    /// Waits until a descriptor is ready or a deadline is due. Returns the ids of those that are
    /// ready.
    fn wait(&mut self) -> Vec<u64> {
        let timeout = self.timeout();
        if self.ready.is_empty() {
            self.spare.wipe();
        }
        let sides = |job| [0, 1].map(|side| PumpJob::watched(job, side));
        let watched = self.jobs.values().flat_map(sides);
        let ready = self
            .poller
            .wait(watched.chain([bell(&self.inbox)]), timeout);
        ready.unwrap_or_else(|errno| {
            if errno != Errno::INTR {
                // The poller does not work any more: no pair would become ready again.
                self.fail_all(errno);
            }
            Vec::new()
        })
    }

    /// Returns how long to wait, or `None` for no limit.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let left = self.next?.saturating_duration_since(Instant::now());
        Some(left)
    }

    fn take_orders(&mut self) {
        // Before the orders are taken: one that arrives behind that rings again.
        self.inbox.bell.silence();
        for order in self.inbox.take() {
            match order {
                PoolOrder::Add(job) => self.add(*job),
                PoolOrder::Stop(id) => self.stop(id),
                PoolOrder::Close(drain) => self.close(drain),
            }
        }
    }

    fn add(&mut self, job: PumpJob) {
        let id = job.pair.id();
        self.jobs.insert(id, job);
        self.queue(id);
    }

    fn stop(&mut self, id: u64) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.stop();
            self.queue(id);
        }
    }

    fn close(&mut self, drain: Duration) {
        self.closing = true;
        for job in self.jobs.values_mut() {
            job.close(drain);
        }
        let all: Vec<_> = self.jobs.keys().copied().collect();
        all.into_iter().for_each(|id| self.queue(id));
    }

    /// Appends a pair to the ready ones, unless it is there already.
    fn queue(&mut self, id: u64) {
        if let Some(job) = self.jobs.get_mut(&id)
            && !std::mem::replace(&mut job.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Runs one turn of each pair that is ready now.
    fn run_ready(&mut self) {
        for _ in 0..self.ready.len() {
            if let Some(id) = self.ready.pop_front()
                && let Err(outcome) = self.run_turn(id)
            {
                self.end(id, outcome);
            }
        }
    }

    /// Runs one turn of a pair. Returns the outcome as `Err` if the pair has ended.
    fn run_turn(&mut self, id: u64) -> Result<(), Result<PairEnd, NetError>> {
        let Some(job) = self.jobs.get_mut(&id) else {
            return Ok(());
        };
        job.queued = false;
        let next = job.turn(&mut self.spare);
        self.tally.moved(job.publish_counts());
        self.next = earlier(self.next, job.deadline());
        match next.map_err(Err)? {
            PumpNext::Turn => self.queue(id),
            PumpNext::Wait => job.watch(&self.poller).map_err(Err)?,
            PumpNext::End(end) => return Err(Ok(end)),
        }
        Ok(())
    }

    /// Ends the pairs whose deadline is over.
    fn end_expired(&mut self) {
        let now = Instant::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        let is_over = |job: &&PumpJob| job.deadline().is_some_and(|end| now >= end);
        let over = self.jobs.values().filter(is_over);
        let over: Vec<_> = over.map(|job| (job.pair.id(), job.expire())).collect();
        for (id, outcome) in over {
            self.end(id, outcome);
        }
        let first = self.jobs.values().filter_map(PumpJob::deadline).min();
        self.next = first.map(|first| first.max(now + TICK));
    }

    /// Ends a pair and calls its callback.
    fn end(&mut self, id: u64, outcome: Result<PairEnd, NetError>) {
        if let Some(job) = self.jobs.remove(&id) {
            let failed = outcome.as_ref().is_err_and(|error| !error.is_truncation());
            self.tally.ended(failed);
            let (pair, on_close) = job.end(&self.poller, outcome);
            self.inbox.ended();
            on_close(pair);
        }
    }

    /// Ends all pairs, added ones included, with an error, and closes the thread.
    fn fail_all(&mut self, errno: Errno) {
        self.inbox.close(Duration::ZERO);
        self.take_orders();
        let all: Vec<_> = self.jobs.keys().copied().collect();
        for id in all {
            self.end(id, Err(NetError::Io(errno)));
        }
    }
}

/// Returns the bell of `inbox` as the poller watches it.
fn bell(inbox: &PoolInbox) -> WatchedFd<'_> {
    WatchedFd {
        fd: inbox.bell.as_fd(),
        id: BELL,
        events: PollFlags::IN,
    }
}

/// Returns the earlier of two instants, where `None` means never.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
