//! How records leave a sending socket: as bytes, by a queue, or in the form of a framer.

use std::fmt::Debug;
use std::sync::Arc;

use crate::fifo::Fifo;
use crate::key::TrafficKey;
use crate::socket::queued_record::PendingRecords;
use crate::socket::tx::{InstalledKey, SocketTx};
use crate::socket::{JobSealer, QueuedRecord};

/// Writes records in a form other than sealed, to be sealed after they have left the socket.
///
/// The simulator's model of a network device implements it: TCP keeps framed plaintext, and the
/// device seals each segment as it is sent.
pub trait RecordFramer: Debug + Send {
    /// Writes one record into `out`, which is as long as the sealed record.
    fn write(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        record_type: u8,
        plaintext: &[u8],
        out: &mut [u8],
    );

    /// Returns `true` if a send without data makes an empty record, or seals the open one (D-8).
    fn seals_empty_calls(&self) -> bool;

    /// Called after the next key has replaced `past`.
    fn replaced(&mut self, past: Arc<TrafficKey>);
}

/// How records leave.
#[derive(Debug, Default)]
pub(super) enum Egress {
    /// Records are sealed in the call, and leave as bytes.
    #[default]
    Wire,
    /// Records leave one by one, by a queue whose worker may seal them.
    Queue(PendingRecords),
    /// Records leave as bytes, in the form that this framer writes.
    Framed(Box<dyn RecordFramer>),
}

impl SocketTx {
    /// Makes records leave by a queue, whose worker seals them, from now on.
    pub fn queue(&mut self) {
        if !self.is_queued() {
            self.egress = Egress::Queue(PendingRecords::default());
        }
    }

    /// Makes `framer` write the records from now on.
    pub fn frame_by(&mut self, framer: Box<dyn RecordFramer>) {
        self.egress = Egress::Framed(framer);
    }

    /// Sets where the records of the queue are sealed from now on. Does nothing without a queue.
    pub fn set_sealer(&mut self, sealer: JobSealer) {
        if let Egress::Queue(records) = &mut self.egress {
            records.sealer = sealer;
        }
    }

    /// Returns `true` while records leave by a queue.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        matches!(self.egress, Egress::Queue(_))
    }

    /// Makes records leave as bytes again, behind `sealed`: the records that were left in the
    /// queue.
    pub fn unqueue_behind(&mut self, sealed: &[u8]) {
        self.wire.push(sealed);
        self.unqueue();
    }

    /// Makes records leave as bytes again, and seals those that have not entered the queue yet.
    pub fn unqueue(&mut self) {
        let Egress::Queue(records) = &mut self.egress else {
            return;
        };
        let PendingRecords { staged, held, .. } = std::mem::take(records);
        self.egress = Egress::Wire;
        for record in staged {
            record.seal(&mut self.wire);
        }
        self.held_bytes = if held > 0 { self.wire.len() } else { 0 };
    }

    /// Takes the records made for the queue, except for those held for the next transmission.
    pub fn take_queued(&mut self) -> impl Iterator<Item = QueuedRecord> + '_ {
        let records = match &mut self.egress {
            Egress::Queue(records) => Some(records),
            Egress::Wire | Egress::Framed(_) => None,
        };
        records.into_iter().flat_map(|records| {
            let ready = records.staged.len() - records.held;
            records.staged.drain(..ready)
        })
    }

    /// Returns how much waits to leave: bytes, or records if they leave by a queue.
    pub(super) fn waiting(&self) -> usize {
        match &self.egress {
            Egress::Queue(records) => records.staged.len(),
            Egress::Wire | Egress::Framed(_) => self.wire.len(),
        }
    }

    /// Returns how much of [`SocketTx::waiting`], at the end, is held for the next transmission.
    pub(super) const fn held(&self) -> usize {
        match &self.egress {
            Egress::Queue(records) => records.held,
            Egress::Wire | Egress::Framed(_) => self.held_bytes,
        }
    }

    /// Sets how much of [`SocketTx::waiting`], at the end, is held for the next transmission.
    pub(super) const fn hold(&mut self, held: usize) {
        match &mut self.egress {
            Egress::Queue(records) => records.held = held,
            Egress::Wire | Egress::Framed(_) => self.held_bytes = held,
        }
    }

    /// Drops what is held.
    pub(super) fn forget_held(&mut self) {
        let lost = self.held();
        self.hold(0);
        match &mut self.egress {
            Egress::Queue(records) => records.staged.truncate(records.staged.len() - lost),
            Egress::Wire | Egress::Framed(_) => self.wire.truncate_by(lost),
        }
    }
}

impl InstalledKey {
    /// Seals a record to the end of `wire`, or lets `framer` write it there. Returns its length in
    /// bytes.
    pub(super) fn write_record(
        &self,
        record_type: u8,
        plaintext: &[u8],
        wire: &mut Fifo,
        framer: Option<&mut dyn RecordFramer>,
    ) -> usize {
        let Self { key, seq, .. } = self;
        let len = plaintext.len() + key.overhead();
        let out = wire.space(len);
        match framer {
            None => key.seal(*seq, record_type, plaintext, out),
            Some(framer) => framer.write(key, *seq, record_type, plaintext, out),
        }
        wire.commit(len);
        len
    }
}
