//! The receiving direction over a queue: its worker takes ciphertext from TCP and opens records ahead of
//! the reader. What was opened ahead counts for nothing until a call comes to it, so that every rule stays.

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

/// What a receiving direction has of a queue.
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

    fn on(&mut self, event: RxOffloadEvent) {
        self.driver.on(event, &mut QueueSlots::new(&self.shared));
    }

    /// True while records are opened ahead.
    fn opens(&self) -> bool {
        self.driver.phase() == RxPhase::Offloaded && !self.shared.is_down()
    }
}

/// What a worker needs of a socket, which may be gone.
#[derive(Debug)]
struct RxParts {
    rx: Weak<Mutex<FdSocketRx>>,
    tx: Weak<FdSocketTx>,
}

/// Bytes of wire that are taken from TCP or opened ahead of a reader.
const MAX_READ_AHEAD: usize = 256 << 10;

impl FdSocket {
    /// The first key of the receiving direction.
    pub(super) fn install_first_rx(&self, key: TrafficKey, ring: Option<&Arc<ConnRing>>) {
        let queued = ring.and_then(|ring| RxQueue::offer(ring.shared(), &self.shared.stats));
        if let Some(ring) = ring {
            let parts = RxParts {
                rx: Arc::downgrade(&self.rx),
                tx: Arc::downgrade(&self.tx),
            };
            // There is one first key: nothing is there yet.
            let _first = ring.receiver.set(Box::new(parts));
        }
        lock(&self.rx).install_first(key, queued);
        self.update_device();
    }

    /// After a call: tells the device how far the reader is, and lets a worker go on ahead of it.
    pub(super) fn update_device(&self) {
        let Some(ring) = self.ring.get() else {
            return;
        };
        let mut side = lock(&self.rx);
        side.report_position();
        if side.wants_worker() {
            side.set_posted(true);
            drop(side);
            if ring.post_receive() == TaskPost::Refused {
                lock(&self.rx).set_posted(false);
            }
        }
    }
}

impl FdSocketRx {
    /// `TLS_RX` with the next key.
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

    /// The offset of the first record that no call has opened.
    fn head(&self) -> u64 {
        let unopened = self.rx.as_ref().map_or(0, SocketRx::unopened);
        self.pulled - unopened as u64
    }

    fn report_position(&mut self) {
        let start = self.head();
        let paused = self.rx.as_ref().is_some_and(SocketRx::paused);
        if let Some(queued) = &mut self.queued {
            let event = if paused {
                RxOffloadEvent::KeyUpdateRead
            } else {
                RxOffloadEvent::Untouched { start }
            };
            queued.on(event);
        }
    }

    fn wants_worker(&self) -> bool {
        self.queued
            .as_ref()
            .is_some_and(|queued| !queued.posted && queued.opens())
    }

    fn set_posted(&mut self, posted: bool) {
        if let Some(queued) = &mut self.queued {
            queued.posted = posted;
        }
    }

    /// One record, or one read from TCP.
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
        if rx.unopened() >= MAX_READ_AHEAD || rx.stopped() || rx.paused() {
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
        // A child of a fork may have the connection: nothing is taken before this process claims it.
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
