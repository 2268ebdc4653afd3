//! The thread of a pool: it waits for many pairs at once and gives each its turn.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;

use super::flow::Spare;
use super::job::{Job, Next};
use super::pool::Tally;
use super::post::{Order, Post};
use crate::Error;
use crate::wait::timespec;

/// What one thread has.
pub(super) struct Worker {
    epoll: OwnedFd,
    post: Arc<Post>,
    tally: Arc<Tally>,
    jobs: HashMap<u64, Job>,
    /// Those that have something to do, each once.
    ready: VecDeque<u64>,
    spare: Spare,
    /// When to look at the clock of each.
    next: Option<Instant>,
    closing: bool,
}

/// The bell's number; pairs count from 1.
const BELL: u64 = 0;
/// Events taken at a time.
const EVENTS: usize = 256;
/// Clocks are looked at no more often.
const TICK: Duration = Duration::from_millis(50);

impl Worker {
    pub(super) fn new(post: Arc<Post>, tally: Arc<Tally>) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = epoll::EventData::new_u64(BELL);
        epoll::add(&epoll, &post.bell, bell, epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            post,
            tally,
            jobs: HashMap::new(),
            ready: VecDeque::new(),
            spare: Spare::default(),
            next: None,
            closing: false,
        })
    }

    /// Works until it was told to close and all pairs have ended.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.closing || !self.jobs.is_empty() {
            self.wait(&mut events);
            for event in events.drain(..) {
                match event.data.u64() {
                    BELL => self.take_orders(),
                    id => self.queue(id),
                }
            }
            self.give_turns();
            self.look_at_clocks();
        }
    }

    fn wait(&mut self, events: &mut Vec<epoll::Event>) {
        let timeout = self.timeout().map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Nothing will ever be ready again.
            Err(errno) => self.fail_all(errno),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let left = self.next?.saturating_duration_since(Instant::now());
        Some(left)
    }

    fn take_orders(&mut self) {
        self.post.bell.silence();
        for order in self.post.take() {
            match order {
                Order::Add(job) => self.add(*job),
                Order::Stop(id) => self.stop(id),
                Order::Close(drain) => self.close(drain),
            }
        }
    }

    fn add(&mut self, job: Job) {
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
    fn give_turns(&mut self) {
        for _ in 0..self.ready.len() {
            if let Some(id) = self.ready.pop_front()
                && let Err(outcome) = self.give_turn(id)
            {
                self.end(id, outcome);
            }
        }
    }

    /// `Err` is how the pair has ended.
    fn give_turn(&mut self, id: u64) -> Result<(), Result<(), Error>> {
        let Some(job) = self.jobs.get_mut(&id) else {
            return Ok(());
        };
        job.queued = false;
        let next = job.turn(&mut self.spare);
        self.tally.moved(job.count());
        self.next = earlier(self.next, job.deadline());
        match next.map_err(Err)? {
            Next::Turn => self.queue(id),
            Next::Wait => job.watch(&self.epoll).map_err(Err)?,
            Next::End => return Err(Ok(())),
        }
        Ok(())
    }

    /// Ends those whose time is up.
    fn look_at_clocks(&mut self) {
        let now = Instant::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        let is_over = |job: &&Job| job.deadline().is_some_and(|end| now >= end);
        let over = self.jobs.values().filter(is_over);
        let over: Vec<_> = over.map(|job| (job.pair.id(), job.expire())).collect();
        for (id, outcome) in over {
            self.end(id, outcome);
        }
        let first = self.jobs.values().filter_map(Job::deadline).min();
        self.next = first.map(|first| first.max(now + TICK));
    }

    fn end(&mut self, id: u64, outcome: Result<(), Error>) {
        if let Some(job) = self.jobs.remove(&id) {
            self.tally.ended(outcome.is_err());
            let (pair, on_close) = job.end(&self.epoll, outcome);
            self.post.ended();
            on_close(pair);
        }
    }

    fn fail_all(&mut self, errno: Errno) {
        self.post.close(Duration::ZERO);
        self.take_orders();
        let all: Vec<_> = self.jobs.keys().copied().collect();
        for id in all {
            self.end(id, Err(Error::Io(errno)));
        }
    }
}

/// The earlier of two instants, where None is never.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
