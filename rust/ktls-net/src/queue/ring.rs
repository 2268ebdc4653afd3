//! The ring of one connection: its records on their way to a worker.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use ktls_core::Fifo;
use ktls_core::socket::QueuedRecord;
use rustix::net::Shutdown;

use super::shared::{QueueShared, TaskPost};
use super::socket::{RingReceiver, RingSender};
use super::worker::DirectionTask;
use crate::NetError;
use crate::bell::ReadinessBell;
use crate::fork::CountedCall;
use crate::mutex::lock;

/// The ring of a connection. Sockets put records in, and one worker seals and writes them in order.
#[derive(Debug)]
pub(crate) struct ConnRing {
    shared: Arc<QueueShared>,
    /// The index of the worker that serves this connection.
    worker: usize,
    state: Mutex<RingState>,
    /// Notified when the worker no longer receives.
    receive_over: Condvar,
    /// The length on the wire of all records that were submitted, in bytes.
    submitted: AtomicU64,
    /// How many of these bytes TCP has.
    written: AtomicU64,
    /// Wakes the one writer that waits for room.
    room: ReadinessBell,
    /// `true` while a writer waits for room, or is about to.
    waits: AtomicBool,
    /// The receiving direction, once it has a key.
    pub(crate) receiver: OnceLock<Box<dyn RingReceiver>>,
}

/// What the lock of a ring protects.
#[derive(Debug)]
struct RingState {
    /// In order. May be more than the depth of the queue; see [`ConnRing::submit`].
    records: VecDeque<QueuedRecord>,
    /// Set while a send task is posted or running.
    work: Option<WorkInFlight>,
    /// Removed when the ring is closed and no record is left.
    fd: Option<Arc<OwnedFd>>,
    /// The stream is to be shut down behind the last record.
    fin: bool,
    /// Nothing is submitted any more.
    closed: bool,
    /// A receive task is posted or running, and holds the descriptor.
    receives: bool,
}

/// Keeps a sending direction alive while it has records in flight.
#[derive(Debug)]
pub(super) struct WorkInFlight {
    pub(super) side: Arc<dyn RingSender>,
    /// Counts as a running call: a child of a fork finds the socket in use.
    _call: CountedCall,
}

/// Where the FIN of a stream comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FinPlan {
    /// The worker sends it behind the last queued record.
    BehindRecords,
    /// The caller has to send it: no record is queued.
    NothingQueued,
}

/// How long a close waits for the worker to drop the descriptor. The worker is woken and never
/// blocks in a task, so this is only a safeguard.
const MAX_RECEIVE_WAIT: Duration = Duration::from_secs(1);

impl ConnRing {
    /// Makes a ring for the connection of `fd`, of which it keeps a duplicate.
    ///
    /// # Errors
    /// EMFILE or another error of the system if there is no descriptor; EAGAIN if the worker's
    /// thread cannot be started.
    pub(crate) fn new(shared: &Arc<QueueShared>, fd: &OwnedFd) -> Result<Self, NetError> {
        let fd = fd.try_clone().map_err(crate::error::system)?;
        let worker = shared.next_worker();
        shared.start_thread(worker)?;
        Ok(Self {
            shared: Arc::clone(shared),
            worker,
            state: Mutex::new(RingState {
                records: VecDeque::new(),
                work: None,
                fd: Some(Arc::new(fd)),
                fin: false,
                closed: false,
                receives: false,
            }),
            receive_over: Condvar::new(),
            submitted: AtomicU64::new(0),
            written: AtomicU64::new(0),
            room: ReadinessBell::new()?,
            waits: AtomicBool::new(false),
            receiver: OnceLock::new(),
        })
    }

    /// Returns what the sockets and workers of the queue share.
    pub(crate) const fn shared(&self) -> &Arc<QueueShared> {
        &self.shared
    }

    /// Returns the bell at which a writer waits for room, after [`ConnRing::begin_wait`].
    pub(crate) const fn room_bell(&self) -> &ReadinessBell {
        &self.room
    }

    /// Returns how many places of the ring are free.
    pub(crate) fn room(&self) -> usize {
        self.room_in(&lock(&self.state))
    }

    fn room_in(&self, state: &RingState) -> usize {
        self.shared.shape.depth.saturating_sub(state.records.len())
    }

    /// Returns `true` until the last record is sealed and written. That includes records that no
    /// worker has taken yet.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.state).work.is_some()
    }

    /// Announces that a writer is going to wait at [`ConnRing::room_bell`]. The bell rings when
    /// half of the ring is free. The writer has to check for room once more before it waits.
    pub(crate) fn begin_wait(&self) {
        self.shared.tally.full.fetch_add(1, Ordering::Relaxed);
        self.waits.store(true, Ordering::SeqCst);
        self.room.silence();
    }

    /// Returns the offset in the stream behind the last submitted record.
    pub(crate) fn write_offset(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    /// Returns the offset up to which the peer has acknowledged the stream. It may have
    /// acknowledged more.
    pub(crate) fn acknowledged(&self) -> u64 {
        let fd = lock(&self.state).fd.clone();
        // `written` is read first: bytes written in between then count as not acknowledged.
        let written = self.written.load(Ordering::Acquire);
        let waiting = fd.and_then(|fd| ktls_sys::unacknowledged(&*fd).ok());
        waiting.map_or(0, |waiting| written.saturating_sub(waiting))
    }

    /// Puts records into the ring. Returns `None` if a worker will seal and write them; otherwise
    /// returns all records of the ring, sealed by this call.
    ///
    /// All records are taken, even if the ring has fewer free places: they have their numbers, so a
    /// lost record would break the stream. Callers bound what they make by [`ConnRing::room`]. Only
    /// records that waited for the next transmission come on top of that.
    pub(crate) fn submit<S: RingSender + 'static>(
        self: &Arc<Self>,
        side: &Arc<S>,
        records: impl Iterator<Item = QueuedRecord>,
    ) -> Option<Fifo> {
        let mut state = lock(&self.state);
        let (mut count, mut software, mut bytes) = (0, 0, 0);
        for record in records {
            count += 1;
            software += u64::from(matches!(record, QueuedRecord::Sealed(_)));
            bytes += record.wire_len() as u64;
            state.records.push_back(record);
        }
        if count == 0 {
            return None;
        }
        self.submitted.fetch_add(bytes, Ordering::Release);
        let tally = &self.shared.tally;
        tally.submitted.fetch_add(count, Ordering::Relaxed);
        tally.software.fetch_add(software, Ordering::Relaxed);
        tally.depth.fetch_add(count, Ordering::Relaxed);
        let fd = state.fd.clone().filter(|_| state.work.is_none())?;
        state.work = Some(WorkInFlight {
            _call: side.begin_work(),
            side: Arc::<S>::clone(side),
        });
        drop(state);
        let posted = self.shared.post(self.worker, DirectionTask::send(self, fd));
        if posted == TaskPost::Posted {
            return None;
        }
        let sealed = self.take_back();
        self.end(lock(&self.state));
        Some(sealed)
    }

    /// Empties the ring and returns its records, sealed by this call.
    fn take_back(&self) -> Fifo {
        let mut sealed = Fifo::default();
        let mut state = lock(&self.state);
        self.shared.left_ring(state.records.len());
        self.shared.completed(state.records.len());
        while let Some(record) = state.records.pop_front() {
            record.seal(&mut sealed);
        }
        sealed
    }

    /// Posts a receive task: the worker opens records ahead of the reader.
    pub(crate) fn post_receive(self: &Arc<Self>) -> TaskPost {
        let mut state = lock(&self.state);
        let Some(fd) = state.fd.clone() else {
            return TaskPost::Refused;
        };
        state.receives = true;
        drop(state);
        let posted = self
            .shared
            .post(self.worker, DirectionTask::receive(self, fd));
        if posted == TaskPost::Refused {
            self.receive_ended();
        }
        posted
    }

    /// Notes that the worker no longer receives, and has dropped the descriptor.
    pub(super) fn receive_ended(&self) {
        lock(&self.state).receives = false;
        self.receive_over.notify_all();
    }

    /// Asks the worker to send FIN behind the records that are queued, if there are any.
    pub(crate) fn fin_behind_records(&self) -> FinPlan {
        let mut state = lock(&self.state);
        state.fin = state.work.is_some();
        if state.fin {
            FinPlan::BehindRecords
        } else {
            FinPlan::NothingQueued
        }
    }

    /// Closes the ring: nothing is submitted any more. The descriptor is closed behind the last
    /// record.
    ///
    /// If a worker receives, waits until it has dropped the descriptor, up to [`MAX_RECEIVE_WAIT`].
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        if state.work.is_none() {
            state.fd = None;
        }
        self.room.ring();
        if state.receives && self.shared.is_here() {
            self.shared.inbox(self.worker).bell.ring();
            // With the last descriptor closed, the peer sees the close before this call returns.
            let _state = self
                .receive_over
                .wait_timeout_while(state, MAX_RECEIVE_WAIT, |state| state.receives);
        }
    }

    /// Returns `true` once the ring is closed.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Moves records to `batch`, the list of the worker, until it has `most`. If the ring and
    /// `batch` are empty, the send task ends.
    pub(super) fn take(&self, most: usize, batch: &mut Vec<QueuedRecord>) {
        let mut state = lock(&self.state);
        let was_full = self.room_in(&state) == 0;
        while batch.len() < most
            && let Some(record) = state.records.pop_front()
        {
            batch.push(record);
        }
        if batch.is_empty() {
            return self.end(state);
        }
        self.shared.left_ring(batch.len());
        let room = self.room_in(&state);
        let side = state.work.as_ref().filter(|_| was_full);
        let side = side.map(|work| Arc::clone(&work.side));
        drop(state);
        self.announce_room(room);
        side.iter().for_each(|side| side.ring_watchers());
    }

    /// Ends the send task.
    fn end(&self, mut state: MutexGuard<'_, RingState>) {
        if let Some(fd) = state.fd.as_ref().filter(|_| state.fin) {
            // It fails when the connection is gone already.
            let _ = rustix::net::shutdown(fd, Shutdown::Write);
        }
        if state.closed {
            state.fd = None;
        }
        let work = state.work.take();
        // Unlocked before `work` is dropped, which counts as a running call: if a child of a fork
        // finds no running call, it must find no locked mutex either.
        drop(state);
        self.announce_room(self.shared.shape.depth);
        if let Some(work) = work {
            work.side.ring_watchers();
        }
    }

    /// Drops the queued records, which cannot reach the peer.
    pub(super) fn discard(&self) {
        let mut state = lock(&self.state);
        self.shared.left_ring(state.records.len());
        self.shared.completed(state.records.len());
        state.records.clear();
    }

    /// Returns the socket's sending direction, or `None` if no record is in flight.
    pub(super) fn sender(&self) -> Option<Arc<dyn RingSender>> {
        let state = lock(&self.state);
        state.work.as_ref().map(|work| Arc::clone(&work.side))
    }

    /// Notes that TCP has accepted `len` bytes.
    pub(super) fn wrote(&self, len: usize) {
        self.written.fetch_add(len as u64, Ordering::Release);
    }

    /// Wakes the writer that waits, if `room` is at least half of the ring. With less, the writer
    /// and the worker would take turns for each record.
    fn announce_room(&self, room: usize) {
        let enough = room >= self.shared.shape.depth.div_ceil(2);
        if enough && self.waits.swap(false, Ordering::SeqCst) {
            self.room.ring();
        }
    }
}
