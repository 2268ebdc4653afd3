//! What a run tells.

use ktls_core::offload::{RxPhase, TxPhase};
use ktls_core::stats::Counter;

use crate::device_socket::{RxTally, SealPath, TxTally};
use crate::oracle::InvariantViolation;

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The first broken invariant; the run ends there.
    pub violation: Option<InvariantViolation>,
    /// Numbers.
    pub summary: RunSummary,
    /// What happened, in order, when the scenario asked for it.
    pub events: Vec<RunEvent>,
    /// What was on the wire, in order, when the scenario asked for it.
    pub packets: Vec<WirePacket>,
}

/// The numbers of a run. Pairs belong to the two hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunSummary {
    /// The counters that are not zero, both hosts together.
    pub counters: Vec<(&'static str, i64)>,
    /// Key updates that `TLS_TX` accepted.
    pub tx_rekeys: [u64; 2],
    /// Key updates that `TLS_RX` accepted.
    pub rx_rekeys: [u64; 2],
    /// Where records were sealed.
    pub tx: [TxTally; 2],
    /// Where records were opened.
    pub rx: [RxTally; 2],
    /// Time that the sending direction was not the device's, in microseconds.
    pub tx_without_device: [u64; 2],
    /// Time that the receiving direction was not the device's, in microseconds.
    pub rx_without_device: [u64; 2],
    /// Segments sent again.
    pub retransmissions: u64,
    /// Segments handed out by TCP.
    pub segments: u64,
    /// Packets that the link lost.
    pub lost: u64,
    /// Length of the run in microseconds.
    pub time: u64,
    /// Bytes of records that reached a receiver's TCP.
    pub bytes: u64,
}

impl RunSummary {
    /// One counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> i64 {
        let found = self
            .counters
            .iter()
            .find(|(name, _)| *name == counter.name());
        found.map_or(0, |(_, value)| *value)
    }
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunEvent {
    /// When, in microseconds.
    pub time: u64,
    /// The host that it happened at: 0 or 1.
    pub host: usize,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A segment went on the wire.
    Segment {
        /// Where it starts in the stream.
        offset: u64,
        /// Its length.
        len: usize,
        /// The generation of the key that its first record is under.
        generation: u32,
        /// Who sealed it.
        by: SealedBy,
        /// It was sent before.
        retransmission: bool,
    },
    /// A packet was lost on its way to the other host.
    Lost {
        /// Where it starts in the stream.
        offset: u64,
        /// Its length.
        len: usize,
    },
    /// An acknowledgement reached this sender.
    Acked {
        /// The offset up to which everything has come.
        offset: u64,
    },
    /// The sending direction changed its phase.
    TxPhase {
        /// The phase now.
        phase: TxPhase,
        /// The offset behind the last record.
        offset: u64,
    },
    /// The receiving direction changed its phase.
    RxPhase {
        /// The phase now.
        phase: RxPhase,
    },
    /// `TLS_TX` with the next key.
    TxKey {
        /// The offset behind the last record.
        offset: u64,
        /// Its generation.
        generation: u32,
    },
    /// `TLS_RX` with the next key.
    RxKey {
        /// Its generation.
        generation: u32,
    },
    /// The interface went down.
    Down,
    /// It came back.
    Up,
    /// The socket was closed.
    Closed,
}

/// Who sealed a segment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SealedBy {
    /// The device.
    Device,
    /// The software path, record by record.
    Software,
    /// The fallback, for the device.
    Fallback,
}

/// One packet on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WirePacket {
    /// When it left.
    pub time: u64,
    /// The host that sent it.
    pub from: usize,
    /// Where its bytes start in that host's stream.
    pub offset: u64,
    /// Its bytes; none in an acknowledgement.
    pub bytes: Vec<u8>,
    /// What it acknowledges.
    pub acked: u64,
}

/// A segment that waits in the device or leaves now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentSegment {
    pub(crate) offset: u64,
    pub(crate) retransmission: bool,
    pub(crate) path: SealPath,
}
