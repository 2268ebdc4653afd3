//! The sending direction over a queue.

use std::sync::{Arc, Mutex};

use ktls_core::key::TrafficKey;
use ktls_core::offload::{Carrier, StreamPosition, TxOffloadEvent, TxPhase};
use ktls_core::socket::{CallFault, JobSealer, SocketTx};
use rustix::io::Errno;

use super::tx_side::FdSocketTx;
use crate::mutex::lock;
use crate::queue::{ConnRing, SendPayload, TxDevice};

/// What a direction has of a queue.
#[derive(Debug)]
pub(super) struct TxQueue {
    pub(super) lane: Arc<ConnRing>,
    /// Locked behind [`SocketTx`].
    device: Mutex<TxDevice>,
}

impl FdSocketTx {
    pub(super) fn queued(&self) -> Option<&TxQueue> {
        self.queued.get()
    }

    /// The first key; refused by the device, it stays in software (D-2).
    pub(super) fn install_first(&self, key: TrafficKey, lane: Option<&Arc<ConnRing>>) {
        let mut tx = self.state();
        let device = lane.and_then(|lane| TxDevice::start(lane.hub(), &self.shared().stats));
        if let (Some(lane), Some(device)) = (lane, device) {
            let queued = TxQueue {
                lane: Arc::clone(lane),
                device: Mutex::new(device),
            };
            if self.queued.set(queued).is_ok() {
                tx.queue();
            }
        }
        tx.install(key);
        drop(tx);
        self.set_keyed();
    }

    /// `TLS_TX` with the next key.
    ///
    /// # Errors
    /// What sealing the open record says, and EAGAIN when the ring has no room for it (V-TX-2).
    pub(super) fn rekey(self: &Arc<Self>, key: TrafficKey) -> Result<(), CallFault> {
        let mut tx = self.state();
        let Some(queued) = self.queued() else {
            tx.install(key);
            return Ok(());
        };
        let lane = &queued.lane;
        if lane.hub().flushes_open_record() && tx.open_len() > 0 {
            if !lane.hub().is_down() && lane.room() == 0 {
                return Err(CallFault::System(Errno::AGAIN.raw_os_error()));
            }
            tx.close_open(self.shared())?;
            self.submit_rest(&mut tx);
        }
        tx.install(key);
        let line = StreamPosition {
            write: lane.write_offset(),
            acked: lane.acknowledged(),
            open: tx.open_len(),
        };
        self.device_on(queued, TxOffloadEvent::Key(line), &mut tx);
        Ok(())
    }

    /// Before a send: where past keys are acknowledged, the open record is closed and the newest key goes to
    /// the device (R-TX-6, R-TX-7).
    pub(super) fn begin_send(self: &Arc<Self>, queued: &TxQueue) -> Result<(), CallFault> {
        let mut tx = self.state();
        self.submit_rest(&mut tx);
        let phase = lock(&queued.device).phase();
        if let TxPhase::Pending { .. } = phase {
            let acked = TxOffloadEvent::Acked(queued.lane.acknowledged());
            self.device_on(queued, acked, &mut tx);
        }
        if lock(&queued.device).phase() == TxPhase::Ready {
            tx.close_open(self.shared())?;
            self.submit_rest(&mut tx);
            self.device_on(queued, TxOffloadEvent::Send, &mut tx);
        }
        Ok(())
    }

    fn device_on(&self, queued: &TxQueue, event: TxOffloadEvent, tx: &mut SocketTx) {
        let mut device = lock(&queued.device);
        device.on(event, &self.shared().stats);
        tx.set_sealer(if device.phase().on_device() {
            JobSealer::Worker
        } else {
            JobSealer::Caller
        });
    }

    /// Gives the records of a call to the queue.
    pub(super) fn submit(self: &Arc<Self>, tx: &mut SocketTx, payload: SendPayload<'_>) {
        if let Some(queued) = self.queued() {
            queued.retire_in_child(tx);
            if let Some(sealed) = queued.lane.submit(self, tx.jobs(), payload) {
                tx.unqueue_behind(sealed.bytes());
            }
        }
    }

    /// Gives a record to the queue that needs nothing of a call.
    pub(super) fn submit_rest(self: &Arc<Self>, tx: &mut SocketTx) {
        let payload = SendPayload {
            slices: &[],
            kept: &[],
        };
        self.submit(tx, payload);
    }

    /// Whether the ring has room; none where TCP's counts.
    pub(super) fn room(&self) -> Option<bool> {
        let queued = self.queued()?;
        let mut tx = self.state();
        let ready = self.is_dead() || queued.is_ready(&mut tx);
        tx.is_queued().then_some(ready)
    }

    /// What carries the direction; none without a device.
    pub(super) fn carrier(&self) -> Option<Carrier> {
        self.queued().map(|queued| lock(&queued.device).carrier())
    }

    /// Nothing will be sent. False without a device, whose gauges know.
    pub(super) fn close_device(&self) -> bool {
        let Some(queued) = self.queued() else {
            return false;
        };
        lock(&queued.device).close(&self.shared().stats);
        true
    }
}

impl TxQueue {
    /// True when records may be cut for the queue, or none will be any more: the device is gone and all
    /// that it had is with TCP.
    pub(super) fn is_ready(&self, tx: &mut SocketTx) -> bool {
        if !tx.is_queued() {
            return true;
        }
        if !self.lane.hub().is_down() {
            return self.lane.room() > 0;
        }
        let idle = !self.lane.is_busy();
        if idle {
            tx.unqueue();
        }
        idle
    }

    /// A child of a fork has no workers; its copy has nothing in flight, or it could not be used.
    fn retire_in_child(&self, tx: &mut SocketTx) {
        if !self.lane.hub().is_here() {
            tx.unqueue();
        }
    }
}
