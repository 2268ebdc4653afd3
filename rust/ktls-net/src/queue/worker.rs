//! What a thread of the queue does: seals, writes, and opens ahead, in turn for all its connections.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ktls_core::Fifo;
use ktls_core::socket::QueuedRecord;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::ring::ConnRing;
use super::shared::{QueueShared, WorkerEnd};
use super::socket::ReadAheadNext;
use crate::wait::{PEER_DONE, timespec, write_now};
use crate::{NetError, background_sender};

/// One direction of a connection, until there is nothing left to do for it.
#[derive(Debug)]
pub(super) struct DirectionTask {
    ring: Arc<ConnRing>,
    fd: Arc<OwnedFd>,
    kind: DirectionKind,
}

#[derive(Debug)]
enum DirectionKind {
    Send {
        /// Sealed, and not with TCP yet.
        wire: Fifo,
        /// Descriptors of which that is the rest.
        count: usize,
        /// When TCP took something last.
        since: Instant,
    },
    Receive,
}

/// How a task goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TaskTurn {
    /// After the others had theirs.
    Again,
    /// When the descriptor is ready.
    Blocked,
    /// Not before somebody posts it again.
    Over,
}

/// How long a closed socket waits for a peer that takes nothing: as long as TCP does for a FIN.
const ORPHAN: Duration = background_sender::LIMITS.stalled;

/// Records sealed for one write.
const BATCH: usize = 8;

pub(super) struct QueueWorker {
    shared: Arc<QueueShared>,
    index: usize,
    ready: VecDeque<DirectionTask>,
    blocked: Vec<DirectionTask>,
    batch: Vec<QueuedRecord>,
    /// A wire buffer to use again.
    spare: Fifo,
}

impl DirectionTask {
    pub(super) fn send(ring: &Arc<ConnRing>, fd: Arc<OwnedFd>) -> Self {
        let kind = DirectionKind::Send {
            wire: Fifo::default(),
            count: 0,
            since: Instant::now(),
        };
        Self {
            ring: Arc::clone(ring),
            fd,
            kind,
        }
    }

    pub(super) fn receive(ring: &Arc<ConnRing>, fd: Arc<OwnedFd>) -> Self {
        Self {
            ring: Arc::clone(ring),
            fd,
            kind: DirectionKind::Receive,
        }
    }

    const fn events(&self) -> PollFlags {
        match self.kind {
            DirectionKind::Send { .. } => PollFlags::OUT,
            DirectionKind::Receive => PollFlags::IN.union(PEER_DONE),
        }
    }

    /// Nobody reads any more.
    fn is_gone(&self) -> bool {
        self.receives() && self.ring.is_closed()
    }

    const fn receives(&self) -> bool {
        matches!(self.kind, DirectionKind::Receive)
    }

    fn end(self) {
        drop(self.fd);
        if matches!(self.kind, DirectionKind::Receive) {
            self.ring.receive_ended();
        }
    }

    /// When a closed socket gives its peer up.
    fn deadline(&self) -> Option<Instant> {
        let DirectionKind::Send { since, .. } = &self.kind else {
            return None;
        };
        let side = self.ring.sender()?;
        side.is_orphaned().then(|| *since + ORPHAN)
    }
}

impl QueueWorker {
    pub(super) fn new(shared: Arc<QueueShared>, index: usize) -> Self {
        Self {
            shared,
            index,
            ready: VecDeque::new(),
            blocked: Vec::new(),
            batch: Vec::with_capacity(BATCH),
            spare: Fifo::default(),
        }
    }

    /// The thread's life: until the queue is closed and nothing is left.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let inbox = shared.inbox(self.index);
        loop {
            inbox.take(&mut self.ready);
            self.drop_receivers();
            if !self.ready.is_empty() || !self.blocked.is_empty() {
                self.run_next();
            } else if shared.is_closed() && shared.end_thread(self.index) == WorkerEnd::Ended {
                return;
            }
            if !self.ready.is_empty() {
                self.poll_blocked_now();
                continue;
            }
            if inbox.prepare_to_wait() {
                self.poll_blocked(None);
            }
            inbox.end_wait();
        }
    }

    /// A closed queue opens nothing ahead.
    fn drop_receivers(&mut self) {
        if self.shared.is_closed() {
            self.ready
                .retain(|task| !matches!(task.kind, DirectionKind::Receive));
            self.blocked
                .retain(|task| !matches!(task.kind, DirectionKind::Receive));
        }
    }

    /// One turn for the next task that is ready.
    fn run_next(&mut self) {
        let Some(mut task) = self.ready.pop_front() else {
            return;
        };
        let turn = match &mut task.kind {
            DirectionKind::Send { wire, count, since } => {
                if wire.is_empty() {
                    *count = self.seal_some(&task.ring, wire);
                }
                if *count == 0 {
                    self.spare = std::mem::take(wire);
                    TaskTurn::Over
                } else {
                    write_some(&task.ring, &task.fd, wire, count, since)
                }
            }
            DirectionKind::Receive => receive_some(&task.ring, &task.fd),
        };
        match turn {
            TaskTurn::Again => self.ready.push_back(task),
            TaskTurn::Blocked => self.blocked.push(task),
            TaskTurn::Over => task.end(),
        }
    }

    /// Seals what is next into `wire`; gives how many records that were.
    fn seal_some(&mut self, ring: &ConnRing, wire: &mut Fifo) -> usize {
        ring.take(BATCH, &mut self.batch);
        if wire.capacity() == 0 {
            *wire = std::mem::take(&mut self.spare);
        }
        let count = self.batch.len();
        self.batch
            .drain(..)
            .for_each(|descriptor| descriptor.seal(wire));
        count
    }

    fn poll_blocked_now(&mut self) {
        if !self.blocked.is_empty() {
            self.poll_blocked(Some(Duration::ZERO));
        }
    }

    /// Waits for the bell or a blocked descriptor; what is ready then has its turn.
    fn poll_blocked(&mut self, limit: Option<Duration>) {
        let now = Instant::now();
        let deadlines: Vec<_> = self.blocked.iter().map(DirectionTask::deadline).collect();
        let first = deadlines.iter().flatten().min();
        let left = first.map(|first| first.saturating_duration_since(now));
        let limit = limit.or(left).map(timespec);
        let ready: Vec<bool> = {
            let bell = PollFd::new(&self.shared.inbox(self.index).bell, PollFlags::IN);
            let tasks = self.blocked.iter();
            let mut fds: Vec<_> = tasks
                .map(|task| PollFd::new(&*task.fd, task.events()))
                .collect();
            fds.push(bell);
            // An interruption, if a thread without handlers can have one, is as good as the bell.
            let _ = poll(&mut fds, limit.as_ref());
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let now = Instant::now();
        for index in (0..self.blocked.len()).rev() {
            let late = deadlines[index].is_some_and(|deadline| deadline <= now);
            if self.blocked[index].is_gone() {
                self.blocked.swap_remove(index).end();
            } else if late {
                give_up(&self.blocked.swap_remove(index));
            } else if ready[index] {
                self.ready.push_back(self.blocked.swap_remove(index));
            }
        }
    }
}

/// Writes what is sealed.
fn write_some(
    ring: &ConnRing,
    fd: &OwnedFd,
    wire: &mut Fifo,
    count: &mut usize,
    since: &mut Instant,
) -> TaskTurn {
    match write_now(fd.as_fd(), wire.bytes()) {
        Ok(len) => {
            ring.wrote(len);
            wire.consume(len);
            *since = Instant::now();
        }
        Err(NetError::Io(Errno::AGAIN)) => return TaskTurn::Blocked,
        Err(NetError::Io(errno)) => {
            wire.consume(wire.len());
            fail_connection(ring, errno);
        }
        // A write that does not wait is not interrupted.
        Err(_) => {}
    }
    if wire.is_empty() {
        ring.shared().completed(std::mem::take(count));
    }
    TaskTurn::Again
}

/// The connection is gone, and with it what is queued; the next call reports it.
fn fail_connection(ring: &ConnRing, errno: Errno) {
    if let Some(side) = ring.sender() {
        side.write_failed(errno);
    }
    ring.discard();
}

/// The peer of a closed socket takes nothing: it learns by RST that something is missing.
fn give_up(task: &DirectionTask) {
    let _ = rustix::net::sockopt::set_socket_linger(&*task.fd, Some(Duration::ZERO));
    if let DirectionKind::Send { count, .. } = task.kind {
        task.ring.shared().completed(count);
    }
    task.ring.discard();
    task.ring.take(0, &mut Vec::new());
}

fn receive_some(ring: &ConnRing, fd: &OwnedFd) -> TaskTurn {
    match ring
        .receiver
        .get()
        .map_or(ReadAheadNext::Over, |rx| rx.open_ahead(fd))
    {
        ReadAheadNext::Some => TaskTurn::Again,
        ReadAheadNext::Blocked => TaskTurn::Blocked,
        ReadAheadNext::Over => TaskTurn::Over,
    }
}
