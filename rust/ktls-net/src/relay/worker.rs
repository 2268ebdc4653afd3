//! The thread of a pool: it waits for many pairs at once and gives each its turn.

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

/// What one thread has.
pub(super) struct PoolWorker {
    poller: Poller,
    inbox: Arc<PoolInbox>,
    tally: Arc<PoolTally>,
    jobs: HashMap<u64, PumpJob>,
    /// Those that have something to do, each once.
    ready: VecDeque<u64>,
    spare: SpareBuffers,
    /// When to look at the clock of each.
    next: Option<Instant>,
    closing: bool,
}

/// The bell's number; pairs count from 1.
const BELL: u64 = 0;
/// Clocks are looked at no more often.
const TICK: Duration = Duration::from_millis(50);

impl PoolWorker {
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

    /// Works until it was told to close and all pairs have ended.
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
                // Nothing will ever be ready again.
                self.fail_all(errno);
            }
            Vec::new()
        })
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let left = self.next?.saturating_duration_since(Instant::now());
        Some(left)
    }

    fn take_orders(&mut self) {
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

    fn queue(&mut self, id: u64) {
        if let Some(job) = self.jobs.get_mut(&id)
            && !std::mem::replace(&mut job.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// One turn for each that is ready now.
    fn run_ready(&mut self) {
        for _ in 0..self.ready.len() {
            if let Some(id) = self.ready.pop_front()
                && let Err(outcome) = self.run_turn(id)
            {
                self.end(id, outcome);
            }
        }
    }

    /// `Err` is how the pair has ended.
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

    /// Ends those whose time is up.
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

    fn end(&mut self, id: u64, outcome: Result<PairEnd, NetError>) {
        if let Some(job) = self.jobs.remove(&id) {
            let failed = outcome.as_ref().is_err_and(|error| !error.is_truncation());
            self.tally.ended(failed);
            let (pair, on_close) = job.end(&self.poller, outcome);
            self.inbox.ended();
            on_close(pair);
        }
    }

    fn fail_all(&mut self, errno: Errno) {
        self.inbox.close(Duration::ZERO);
        self.take_orders();
        let all: Vec<_> = self.jobs.keys().copied().collect();
        for id in all {
            self.end(id, Err(NetError::Io(errno)));
        }
    }
}

fn bell(inbox: &PoolInbox) -> WatchedFd<'_> {
    WatchedFd {
        fd: inbox.bell.as_fd(),
        id: BELL,
        events: PollFlags::IN,
    }
}

/// The earlier of two instants, where None is never.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
