//! One connection's way through the queue.

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

/// Descriptors in, sealed records out, in order: one worker has it.
#[derive(Debug)]
pub(crate) struct ConnRing {
    shared: Arc<QueueShared>,
    worker: usize,
    state: Mutex<RingState>,
    /// The worker that received does not any more.
    receive_over: Condvar,
    /// Bytes on the wire of all that was submitted.
    submitted: AtomicU64,
    /// Of these, those that TCP has.
    written: AtomicU64,
    /// Wakes the one writer that waits for room.
    room: ReadinessBell,
    waits: AtomicBool,
    /// The receiving direction, once it has a key.
    pub(crate) receiver: OnceLock<Box<dyn RingReceiver>>,
}

#[derive(Debug)]
struct RingState {
    /// In order. May be more than the depth of the queue: see [`ConnRing::submit`].
    records: VecDeque<QueuedRecord>,
    /// While a worker has it.
    work: Option<WorkInFlight>,
    fd: Option<Arc<OwnedFd>>,
    /// The stream is to be shut down behind what is queued.
    fin: bool,
    closed: bool,
    /// A worker receives, and so holds the descriptor.
    receives: bool,
}

/// What keeps a sending direction alive while it has descriptors in flight.
#[derive(Debug)]
pub(super) struct WorkInFlight {
    pub(super) side: Arc<dyn RingSender>,
    /// A child of a fork finds it in the middle of a call.
    _call: CountedCall,
}

/// Who sends the FIN of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FinPlan {
    /// The worker does, behind the last queued record.
    BehindRecords,
    /// The caller has to: no worker has anything to send.
    NothingQueued,
}

/// How long a close waits for a worker, which never waits itself.
const MAX_RECEIVE_WAIT: Duration = Duration::from_secs(1);

impl ConnRing {
    /// Over a descriptor of its own.
    ///
    /// # Errors
    /// EMFILE and the like; EAGAIN when there is no thread for its worker.
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

    pub(crate) const fn shared(&self) -> &Arc<QueueShared> {
        &self.shared
    }

    pub(crate) const fn room_bell(&self) -> &ReadinessBell {
        &self.room
    }

    /// Places in the ring that are free.
    pub(crate) fn room(&self) -> usize {
        self.room_in(&lock(&self.state))
    }

    fn room_in(&self, state: &RingState) -> usize {
        self.shared.shape.depth.saturating_sub(state.records.len())
    }

    /// True while a worker has descriptors, or bytes of them, or none has them yet.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.state).work.is_some()
    }

    /// The bell for room will ring from now on.
    pub(crate) fn begin_wait(&self) {
        self.shared.tally.full.fetch_add(1, Ordering::Relaxed);
        self.waits.store(true, Ordering::SeqCst);
        self.room.silence();
    }

    /// The offset behind the last record.
    pub(crate) fn write_offset(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    /// How much the peer has acknowledged: never more than it has.
    pub(crate) fn acknowledged(&self) -> u64 {
        let fd = lock(&self.state).fd.clone();
        // In this order: what is written meanwhile counts as not acknowledged.
        let written = self.written.load(Ordering::Acquire);
        let waiting = fd.and_then(|fd| ktls_sys::unacknowledged(&*fd).ok());
        waiting.map_or(0, |waiting| written.saturating_sub(waiting))
    }

    /// Puts records into the ring. Returns them, sealed, if there is no worker for them.
    ///
    /// All records are taken, even if the ring has fewer places: they have their numbers, so a lost one
    /// would break the stream. The depth bounds what a caller makes, by [`ConnRing::room`]. Only records
    /// that waited for the next transmission come on top of that.
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

    /// All that is queued, sealed by the caller.
    fn take_back(&self) -> Fifo {
        let mut sealed = Fifo::default();
        let mut state = lock(&self.state);
        self.shared.left_ring(state.records.len());
        self.shared.completed(state.records.len());
        while let Some(descriptor) = state.records.pop_front() {
            descriptor.seal(&mut sealed);
        }
        sealed
    }

    /// Posts a task to the worker: to open records ahead of the reader.
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

    /// The worker receives no more, and has dropped the descriptor.
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

    /// Nobody submits any more: the descriptor goes back to the system behind what is queued.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        if state.work.is_none() {
            state.fd = None;
        }
        self.room.ring();
        if state.receives && self.shared.is_here() {
            self.shared.inbox(self.worker).bell.ring();
            // Then the close shows at the peer when it returns, as it does elsewhere.
            let _state = self
                .receive_over
                .wait_timeout_while(state, MAX_RECEIVE_WAIT, |state| state.receives);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Moves some records to a worker's own list; none is the end of its work.
    pub(super) fn take(&self, most: usize, batch: &mut Vec<QueuedRecord>) {
        let mut state = lock(&self.state);
        let was_full = self.room_in(&state) == 0;
        while batch.len() < most
            && let Some(descriptor) = state.records.pop_front()
        {
            batch.push(descriptor);
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

    fn end(&self, mut state: MutexGuard<'_, RingState>) {
        if let Some(fd) = state.fd.as_ref().filter(|_| state.fin) {
            // It fails when the connection is gone already.
            let _ = rustix::net::shutdown(fd, Shutdown::Write);
        }
        if state.closed {
            state.fd = None;
        }
        let work = state.work.take();
        // Not before: a child of a fork that finds no call under way must find no lock taken either.
        drop(state);
        self.announce_room(self.shared.shape.depth);
        if let Some(work) = work {
            work.side.ring_watchers();
        }
    }

    /// Drops what is queued: it cannot reach the peer.
    pub(super) fn discard(&self) {
        let mut state = lock(&self.state);
        self.shared.left_ring(state.records.len());
        self.shared.completed(state.records.len());
        state.records.clear();
    }

    /// Who sends, while the work lasts.
    pub(super) fn sender(&self) -> Option<Arc<dyn RingSender>> {
        let state = lock(&self.state);
        state.work.as_ref().map(|work| Arc::clone(&work.side))
    }

    /// TCP has taken so many bytes.
    pub(super) fn wrote(&self, len: usize) {
        self.written.fetch_add(len as u64, Ordering::Release);
    }

    fn announce_room(&self, room: usize) {
        let enough = room >= self.shared.shape.depth.div_ceil(2);
        if enough && self.waits.swap(false, Ordering::SeqCst) {
            self.room.ring();
        }
    }
}
