//! The receiving direction over a queue: a worker reads ciphertext from TCP and opens records ahead
//! of the reader. Records opened ahead change no state until a call reaches them, so all rules
//! still hold.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

use ktls_core::key::TrafficKey;
use ktls_core::offload::{
    Carrier, OffloadDriver, RxMachine, RxOffloadEvent, RxPhase, UnreadStream,
};
use ktls_core::slot::SlotId;
use ktls_core::socket::{OpenAheadOutcome, SocketRx, SocketShared};
use ktls_core::stats::Stats;

use super::FdSocket;
use super::recv::{FdSocketRx, PullOutcome};
use super::tx_queue::DeviceClose;
use super::tx_side::FdSocketTx;
use crate::mutex::lock;
use crate::queue::{ConnRing, QueueShared, QueueSlots, ReadAheadNext, RingReceiver, TaskPost};

/// A receiving direction at a queue.
#[derive(Debug)]
pub(super) struct RxQueue {
    driver: OffloadDriver<RxMachine, SlotId>,
    shared: Arc<QueueShared>,
    /// A receive task is queued or running.
    posted: bool,
}

impl RxQueue {
    /// Offers the first key. Returns `None` if the device refuses it.
    fn offer(shared: &Arc<QueueShared>, stats: &Arc<Stats>) -> Option<Self> {
        let slots = &mut QueueSlots::new(shared);
        let driver = OffloadDriver::offer(RxMachine(shared.policy()), slots, stats).ok()?;
        Some(Self {
            driver,
            shared: Arc::clone(shared),
            posted: false,
        })
    }

    /// Passes an event to the driver of the key.
    fn on(&mut self, event: RxOffloadEvent) {
        self.driver.on(event, &mut QueueSlots::new(&self.shared));
    }

    /// Returns `true` while records may be opened ahead.
    fn opens(&self) -> bool {
        self.driver.phase() == RxPhase::Offloaded && !self.shared.is_down()
    }
}

/// The parts of a socket that a worker needs. They are weak references, as the socket may be gone.
#[derive(Debug)]
struct RxParts {
    rx: Weak<Mutex<FdSocketRx>>,
    tx: Weak<FdSocketTx>,
}

/// The most bytes of records that are read or opened ahead of a reader.
const MAX_READ_AHEAD: usize = 256 << 10;

impl FdSocket {
    /// Installs the first key of the receiving direction, and offers it to the device.
    pub(super) fn install_first_rx(&self, key: TrafficKey, ring: Option<&Arc<ConnRing>>) {
        let queued = ring.and_then(|ring| RxQueue::offer(ring.shared(), &self.shared.stats));
        if let Some(ring) = ring {
            let parts = RxParts {
                rx: Arc::downgrade(&self.rx),
                tx: Arc::downgrade(&self.tx),
            };
            // The first key is installed once, so nothing is set yet.
            let _first = ring.receiver.set(Box::new(parts));
        }
        lock(&self.rx).install_first(key, queued);
        self.update_device();
    }

    /// Reports the position of the reader to the device after a call, and posts a receive task if
    /// there is something to open ahead.
    pub(super) fn update_device(&self) {
        let Some(ring) = self.ring.get() else {
            return;
        };
        let mut side = lock(&self.rx);
        side.report_position();
        if side.needs_worker() {
            // Set before the task is posted: the worker clears it when the task ends.
            side.set_posted(true);
            drop(side);
            if ring.post_receive() == TaskPost::Refused {
                lock(&self.rx).set_posted(false);
            }
        }
    }
}

impl FdSocketRx {
    /// Installs the next key, by `TLS_RX`.
    ///
    /// # Errors
    /// [`ktls_core::Error::NoKey`] without a first key; the errors of [`SocketRx::install`].
    pub(super) fn rekey(&mut self, key: TrafficKey) -> Result<(), ktls_core::Error> {
        self.keyed()?.install(key)?;
        let queue = UnreadStream {
            head: self.head(),
            received: self.pulled,
        };
        if let Some(queued) = &mut self.queued {
            queued.on(RxOffloadEvent::Key(queue));
        }
        Ok(())
    }

    /// Returns what carries the direction, or `None` without a device.
    pub(super) fn carrier(&self) -> Option<Carrier> {
        self.queued.as_ref().map(|queued| queued.driver.carrier())
    }

    /// Ends the direction at its device, which then updates the gauges.
    pub(super) fn close_device(&mut self) -> DeviceClose {
        let Some(queued) = &mut self.queued else {
            return DeviceClose::NoDevice;
        };
        queued.driver.close(&mut QueueSlots::new(&queued.shared));
        DeviceClose::Closed
    }

    /// Returns the offset in the stream of the first record that no call has opened.
    fn head(&self) -> u64 {
        let unopened = self.rx.as_ref().map_or(0, SocketRx::unopened);
        self.pulled - unopened as u64
    }

    /// Passes the position of the reader to the driver of the key.
    fn report_position(&mut self) {
        let start = self.head();
        let paused = self.rx.as_ref().is_some_and(SocketRx::is_paused);
        if let Some(queued) = &mut self.queued {
            let event = if paused {
                RxOffloadEvent::KeyUpdateRead
            } else {
                RxOffloadEvent::Untouched { start }
            };
            queued.on(event);
        }
    }

    /// Returns `true` if a receive task should be posted.
    fn needs_worker(&self) -> bool {
        self.queued
            .as_ref()
            .is_some_and(|queued| !queued.posted && queued.opens())
    }

    /// Notes whether a receive task is queued or running.
    fn set_posted(&mut self, posted: bool) {
        if let Some(queued) = &mut self.queued {
            queued.posted = posted;
        }
    }

    /// Opens one record, or reads from TCP once. Returns the outcome of the read as `Err`.
    fn open_ahead(
        &mut self,
        fd: &OwnedFd,
        shared: &SocketShared,
    ) -> Result<ReadAheadNext, PullOutcome> {
        let opens = self.queued.as_ref().is_some_and(RxQueue::opens);
        let Some(rx) = self.rx.as_mut().filter(|_| opens && !self.waits) else {
            return Ok(ReadAheadNext::Over);
        };
        if rx.open_ahead(MAX_READ_AHEAD) == OpenAheadOutcome::Opened {
            return Ok(ReadAheadNext::Some);
        }
        if rx.unopened() >= MAX_READ_AHEAD || rx.is_stopped() || rx.is_paused() {
            return Ok(ReadAheadNext::Over);
        }
        match self.pull(fd, shared) {
            PullOutcome::Nothing => Ok(ReadAheadNext::Blocked),
            pulled => Err(pulled),
        }
    }
}

impl RingReceiver for RxParts {
    fn open_ahead(&self, fd: &OwnedFd) -> ReadAheadNext {
        let (Some(rx), Some(tx)) = (self.rx.upgrade(), self.tx.upgrade()) else {
            return ReadAheadNext::Over;
        };
        // A child of a fork may own the connection: nothing is read before this process claims it.
        let _call = tx.owner().work();
        let mut side = lock(&rx);
        let turn = if tx.owner().is_ours() && !tx.is_closed() {
            side.open_ahead(fd, tx.shared())
        } else {
            Ok(ReadAheadNext::Over)
        };
        let ahead = match turn {
            Ok(ahead) => ahead,
            Err(PullOutcome::Full | PullOutcome::Some | PullOutcome::Few) => ReadAheadNext::Some,
            Err(PullOutcome::Failed(errno)) => {
                tx.tcp_failed(errno);
                ReadAheadNext::Over
            }
            Err(PullOutcome::Nothing | PullOutcome::Ended) => ReadAheadNext::Over,
        };
        if ahead == ReadAheadNext::Over {
            side.set_posted(false);
        }
        drop(side);
        if turn.is_err() {
            tx.watchers().ring();
        }
        ahead
    }
}
