//! The report of a run.

use ktls_core::offload::{RxPhase, TxPhase};
use ktls_core::stats::Counter;

use crate::device_socket::{RxTally, SealPath, TxTally};
use crate::oracle::InvariantViolation;

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The first broken invariant, if any. The run ends there.
    pub violation: Option<InvariantViolation>,
    /// The totals of the run.
    pub summary: RunSummary,
    /// The events in order, if the scenario asks for
    /// [`ReportDetail::Events`](crate::ReportDetail::Events).
    pub events: Vec<RunEvent>,
    /// The packets on the wire in order, if the scenario asks for
    /// [`ReportDetail::Events`](crate::ReportDetail::Events).
    pub packets: Vec<WirePacket>,
}

/// The totals of a run. Arrays of two hold one value for each host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunSummary {
    /// The counters that are not zero, summed over both hosts.
    pub counters: Vec<(&'static str, i64)>,
    /// Key updates that `setsockopt(TLS_TX)` accepted.
    pub tx_rekeys: [u64; 2],
    /// Key updates that `setsockopt(TLS_RX)` accepted.
    pub rx_rekeys: [u64; 2],
    /// Where records were sealed.
    pub tx: [TxTally; 2],
    /// Where records were opened.
    pub rx: [RxTally; 2],
    /// Time that the sending direction was not offloaded to the device, in microseconds.
    pub tx_without_device: [u64; 2],
    /// Time that the receiving direction was not offloaded to the device, in microseconds.
    pub rx_without_device: [u64; 2],
    /// Segments that were retransmitted.
    pub retransmissions: u64,
    /// Segments that TCP sent, retransmissions included.
    pub segments: u64,
    /// Packets that the link dropped.
    pub lost: u64,
    /// Duration of the run in microseconds.
    pub time: u64,
    /// Bytes of records that the receivers' TCP has in order.
    pub bytes: u64,
}

impl RunSummary {
    /// Returns the value of a counter; 0 if it was never incremented.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> i64 {
        let found = self
            .counters
            .iter()
            .find(|(name, _)| *name == counter.name());
        found.map_or(0, |(_, value)| *value)
    }
}

/// One event of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunEvent {
    /// The time in microseconds.
    pub time: u64,
    /// The host where it happened: 0 or 1.
    pub host: usize,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A segment was sent on the wire.
    Segment {
        /// Where it starts in the stream.
        offset: u64,
        /// Its length.
        len: usize,
        /// The generation of the key that its first record is sealed under.
        generation: u32,
        /// What sealed it.
        by: SealedBy,
        /// Whether it was sent before.
        retransmission: bool,
    },
    /// A packet from this host was lost.
    Lost {
        /// Where it starts in the stream.
        offset: u64,
        /// Its length.
        len: usize,
    },
    /// An acknowledgement reached this sender.
    Acked {
        /// The offset up to which everything has arrived.
        offset: u64,
    },
    /// The sending direction changed its phase.
    TxPhase {
        /// The new phase.
        phase: TxPhase,
        /// The offset after the last record.
        offset: u64,
    },
    /// The receiving direction changed its phase.
    RxPhase {
        /// The new phase.
        phase: RxPhase,
    },
    /// `setsockopt(TLS_TX)` installed the next key.
    TxKey {
        /// The offset after the last record.
        offset: u64,
        /// Its generation.
        generation: u32,
    },
    /// `setsockopt(TLS_RX)` installed the next key.
    RxKey {
        /// Its generation.
        generation: u32,
    },
    /// The interface went down.
    Down,
    /// The interface came up again.
    Up,
    /// The socket was closed.
    Closed,
}

/// What sealed a segment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SealedBy {
    /// The device.
    Device,
    /// The software path, record by record.
    Software,
    /// The fallback, which seals in software what was framed for the device.
    Fallback,
}

/// One packet on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WirePacket {
    /// The time at which it was sent, in microseconds.
    pub time: u64,
    /// The host that sent it.
    pub from: usize,
    /// The offset of its first byte in that host's stream.
    pub offset: u64,
    /// Its bytes; empty in a pure acknowledgement.
    pub bytes: Vec<u8>,
    /// The offset that it acknowledges in the other host's stream.
    pub acked: u64,
}

/// A segment on its way to the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentSegment {
    pub(crate) offset: u64,
    pub(crate) retransmission: bool,
    pub(crate) path: SealPath,
}
