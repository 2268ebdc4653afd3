//! The thread of a worker: it seals, writes and opens ahead, for its connections in turn.

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

/// A task of a worker: one direction of a connection, until nothing is left to do for it.
#[derive(Debug)]
pub(super) struct DirectionTask {
    ring: Arc<ConnRing>,
    fd: Arc<OwnedFd>,
    kind: DirectionKind,
}

/// What a task does.
#[derive(Debug)]
enum DirectionKind {
    /// Seals records and writes them.
    Send {
        /// Sealed bytes that TCP has not accepted yet.
        wire: Fifo,
        /// The number of records that `wire` was sealed from.
        count: usize,
        /// When TCP last accepted bytes.
        since: Instant,
    },
    /// Opens records ahead of the reader.
    Receive,
}

/// When a task has its next turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TaskTurn {
    /// After the other tasks that are ready.
    Again,
    /// When the descriptor is ready.
    Blocked,
    /// Never: it is done until it is posted again.
    Over,
}

/// How long the records of a closed socket wait for a peer that accepts nothing: as long as TCP
/// keeps a FIN.
const ORPHAN: Duration = background_sender::LIMITS.stalled;

/// The most records that are sealed for one write.
const BATCH: usize = 8;

/// The state of a worker's thread.
pub(super) struct QueueWorker {
    shared: Arc<QueueShared>,
    index: usize,
    /// Tasks that have something to do, in turn.
    ready: VecDeque<DirectionTask>,
    /// Tasks that wait for their descriptor.
    blocked: Vec<DirectionTask>,
    /// Records taken from a ring and not sealed yet; empty between turns.
    batch: Vec<QueuedRecord>,
    /// An empty wire buffer for the next send task.
    spare: Fifo,
}

impl DirectionTask {
    /// Makes a task that seals and writes the records of `ring`.
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

    /// Makes a task that opens records ahead of the reader of `ring`.
    pub(super) fn receive(ring: &Arc<ConnRing>, fd: Arc<OwnedFd>) -> Self {
        Self {
            ring: Arc::clone(ring),
            fd,
            kind: DirectionKind::Receive,
        }
    }

    /// Returns the events of the descriptor that end a block.
    const fn events(&self) -> PollFlags {
        match self.kind {
            DirectionKind::Send { .. } => PollFlags::OUT,
            DirectionKind::Receive => PollFlags::IN.union(PEER_DONE),
        }
    }

    /// Returns `true` if the task receives and its socket is closed.
    fn is_gone(&self) -> bool {
        self.receives() && self.ring.is_closed()
    }

    /// Returns `true` for a receive task.
    const fn receives(&self) -> bool {
        matches!(self.kind, DirectionKind::Receive)
    }

    /// Ends the task.
    fn end(self) {
        let receives = self.receives();
        // A close waits for this: the descriptor has to be dropped before.
        drop(self.fd);
        if receives {
            self.ring.receive_ended();
        }
    }

    /// Returns when the records of a closed socket are given up, or `None` if they are not.
    fn deadline(&self) -> Option<Instant> {
        let DirectionKind::Send { since, .. } = &self.kind else {
            return None;
        };
        let side = self.ring.sender()?;
        side.is_orphaned().then(|| *since + ORPHAN)
    }
}

impl QueueWorker {
    /// Makes the state of worker `index`.
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

    /// Runs until the queue is closed and nothing is left to do.
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

    /// Drops the receive tasks of a closed queue, which opens nothing ahead.
    fn drop_receivers(&mut self) {
        if self.shared.is_closed() {
            self.ready.retain(|task| !task.receives());
            self.blocked.retain(|task| !task.receives());
        }
    }

    /// Runs one turn of the next task that is ready, if there is one.
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

    /// Seals the next records of `ring` into `wire`. Returns how many; 0 if the ring is empty.
    fn seal_some(&mut self, ring: &ConnRing, wire: &mut Fifo) -> usize {
        ring.take(BATCH, &mut self.batch);
        if wire.capacity() == 0 {
            *wire = std::mem::take(&mut self.spare);
        }
        let count = self.batch.len();
        self.batch.drain(..).for_each(|record| record.seal(wire));
        count
    }

    /// Moves the blocked tasks that are ready now, without waiting.
    fn poll_blocked_now(&mut self) {
        if !self.blocked.is_empty() {
            self.poll_blocked(Some(Duration::ZERO));
        }
    }

    /// Waits until the bell rings, a blocked task is ready or a deadline is over, at most for
    /// `limit`. Tasks that are ready have their turn next; tasks that are late or gone are ended.
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
            // An error or a signal ends the wait as the bell does: the loop of `run` looks at
            // everything again.
            let _ = poll(&mut fds, limit.as_ref());
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let now = Instant::now();
        // From the end, so that `swap_remove` moves only tasks that were looked at.
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

/// Writes the sealed bytes of `wire` to TCP, as many as it accepts.
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

/// Stores the error of a connection for the next call of its socket, and drops the queued records.
fn fail_connection(ring: &ConnRing, errno: Errno) {
    if let Some(side) = ring.sender() {
        side.write_failed(errno);
    }
    ring.discard();
}

/// Gives up the records of a closed socket whose peer accepts nothing. The peer learns from a reset
/// that bytes are missing.
fn give_up(task: &DirectionTask) {
    let _ = rustix::net::sockopt::set_socket_linger(&*task.fd, Some(Duration::ZERO));
    if let DirectionKind::Send { count, .. } = task.kind {
        task.ring.shared().completed(count);
    }
    task.ring.discard();
    // With the ring empty, this ends the send task.
    task.ring.take(0, &mut Vec::new());
}

/// Opens one record ahead, or reads from TCP once.
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
