//! The ways that records take out of a sending socket.

use std::fmt::Debug;
use std::sync::Arc;

use crate::fifo::Fifo;
use crate::key::TrafficKey;
use crate::socket::queued_record::PendingRecords;
use crate::socket::tx::{InstalledKey, SocketTx};
use crate::socket::{JobSealer, QueuedRecord};

/// Writes records in another form than sealed, for somebody who seals them on their way.
///
/// The simulator's model of a network device is one: TCP keeps framed plaintext, and the device seals each
/// segment when it leaves.
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

    /// Returns true while a send without data makes an empty record, or ends the open one (D-8).
    fn seals_empty_calls(&self) -> bool;

    /// Another key is in use now than `past`.
    fn replaced(&mut self, past: Arc<TrafficKey>);
}

/// The way that records take.
#[derive(Debug, Default)]
pub(super) enum Egress {
    /// They are sealed in the call and leave as bytes.
    #[default]
    Wire,
    /// They leave one by one, by a queue in which somebody else may seal them.
    Queue(PendingRecords),
    /// They leave as bytes, in the form that this framer gives them.
    Framed(Box<dyn RecordFramer>),
}

impl SocketTx {
    /// From now on records leave by a queue, in which a worker seals them.
    pub fn queue(&mut self) {
        if !self.is_queued() {
            self.egress = Egress::Queue(PendingRecords::default());
        }
    }

    /// From now on `framer` writes the records.
    pub fn frame_by(&mut self, framer: Box<dyn RecordFramer>) {
        self.egress = Egress::Framed(framer);
    }

    /// Sets who seals the records of the queue from now on.
    pub fn set_sealer(&mut self, sealer: JobSealer) {
        if let Egress::Queue(records) = &mut self.egress {
            records.sealer = sealer;
        }
    }

    /// Returns true while records leave by a queue.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        matches!(self.egress, Egress::Queue(_))
    }

    /// Records leave as `wire` again, behind `sealed`: those that nobody took out of the queue.
    pub fn unqueue_behind(&mut self, sealed: &[u8]) {
        self.put_on_wire(sealed);
        self.unqueue();
    }

    /// Records leave as `wire` again; those that still wait are sealed.
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

    /// Takes the records that were made for the queue, but for those that wait for the next transmission.
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

    /// What waits to leave, in the unit of the way out: bytes of wire, or records of a queue.
    pub(super) fn waiting(&self) -> usize {
        match &self.egress {
            Egress::Queue(records) => records.staged.len(),
            Egress::Wire | Egress::Framed(_) => self.wire.len(),
        }
    }

    /// What of it, at the end, waits for the next transmission.
    pub(super) const fn held(&self) -> usize {
        match &self.egress {
            Egress::Queue(records) => records.held,
            Egress::Wire | Egress::Framed(_) => self.held_bytes,
        }
    }

    pub(super) const fn hold(&mut self, held: usize) {
        match &mut self.egress {
            Egress::Queue(records) => records.held = held,
            Egress::Wire | Egress::Framed(_) => self.held_bytes = held,
        }
    }

    /// What is held is lost.
    pub(super) fn forget_held(&mut self) {
        let lost = self.held();
        self.hold(0);
        match &mut self.egress {
            Egress::Queue(records) => records.staged.truncate(records.staged.len() - lost),
            Egress::Wire | Egress::Framed(_) => self.wire.truncate_by(lost),
        }
    }

    fn put_on_wire(&mut self, sealed: &[u8]) {
        self.wire.space(sealed.len()).copy_from_slice(sealed);
        self.wire.commit(sealed.len());
    }
}

impl InstalledKey {
    /// Seals a record behind `wire`, or has `framer` write it there. Returns its length.
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
