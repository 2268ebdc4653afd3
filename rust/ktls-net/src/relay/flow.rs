//! One direction of a pair: bytes read and not yet written.

use ktls_core::{FifoPool, WipedBytes, wipe};

use crate::NetError;

/// The most plaintext that each direction holds, in bytes.
pub(super) const BUFFER: usize = 64 << 10;

/// Buffers that no pair of the thread needs now. A pair has buffers only while bytes wait in them.
#[derive(Default)]
pub(super) struct SpareBuffers {
    /// For plaintext between the sides.
    plaintext: Vec<PlaintextBuffer>,
    /// For the records of the sides.
    pub(super) records: FifoPool,
}

/// Memory for plaintext.
#[derive(Default)]
struct PlaintextBuffer {
    bytes: WipedBytes,
    /// The length of the front part that may hold plaintext.
    used: usize,
}

/// Whether a step of a pump has changed anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PumpProgress {
    /// Bytes have moved, or an end was passed on. Another step may move more.
    Moved,
    /// Nothing has moved. The pump has to wait for a descriptor.
    Stalled,
}

impl PumpProgress {
    /// Returns [`PumpProgress::Moved`] if `moved` is `true`.
    pub(super) const fn when(moved: bool) -> Self {
        if moved { Self::Moved } else { Self::Stalled }
    }

    /// Returns the progress of two steps together.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Moved => Self::Moved,
            Self::Stalled => other,
        }
    }
}

/// One direction of a pair.
#[derive(Default)]
pub(super) struct DirectionFlow {
    buffer: PlaintextBuffer,
    start: usize,
    end: usize,
    /// Nothing more will be read.
    pub(super) ended: bool,
    /// The error, if the direction did not end in order. Behind the bytes that were read before,
    /// the receiver must learn that they were not all.
    pub(super) broken: Option<NetError>,
    /// The end was passed on to the receiver.
    pub(super) end_sent: bool,
    /// The error with which the receiver refused more bytes.
    pub(super) refused: Option<NetError>,
    /// Bytes that the receiver has accepted.
    pub(super) total: u64,
}

/// The most plaintext buffers that are kept for the next directions that need one.
const KEPT: usize = 16;

impl SpareBuffers {
    /// Returns a spare buffer, or a new one.
    fn take(&mut self) -> PlaintextBuffer {
        self.plaintext.pop().unwrap_or_else(|| PlaintextBuffer {
            // One byte more than whole records hold, for the content type behind the last one.
            bytes: WipedBytes::zeros(BUFFER + 1),
            used: 0,
        })
    }

    /// Wipes the spare buffers. Called before a wait: a busy thread overwrites them soon anyway.
    pub(super) fn wipe(&mut self) {
        for PlaintextBuffer { bytes, used } in &mut self.plaintext {
            wipe(&mut bytes[..std::mem::take(used)]);
        }
    }

    /// Keeps `buffer`, unless there are enough.
    fn give_back(&mut self, buffer: PlaintextBuffer) {
        if self.plaintext.len() < KEPT {
            self.plaintext.push(buffer);
        }
    }
}

impl DirectionFlow {
    /// Returns the bytes that were read and not yet accepted by the receiver.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.buffer.bytes[self.start..self.end]
    }

    /// Returns `true` if no bytes wait for the receiver.
    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns `true` if the direction has ended in order and all bytes are passed on, but not the
    /// end itself.
    pub(super) const fn has_end_to_send(&self) -> bool {
        self.ended && self.broken.is_none() && self.is_empty() && !self.end_sent
    }

    /// Ends the direction with an error, unless it has ended before. Bytes that were read are still
    /// passed on.
    pub(super) fn break_off(&mut self, error: &NetError) {
        if !self.ended {
            self.ended = true;
            self.broken = Some(error.clone());
        }
    }

    /// Returns the buffer to read into.
    pub(super) fn room(&mut self, spare: &mut SpareBuffers) -> &mut [u8] {
        if self.buffer.bytes.is_empty() {
            self.buffer = spare.take();
        }
        &mut self.buffer.bytes
    }

    /// Returns the buffer to `spare` if no bytes wait in it.
    pub(super) fn release_if_empty(&mut self, spare: &mut SpareBuffers) {
        if self.is_empty() && !self.buffer.bytes.is_empty() {
            (self.start, self.end) = (0, 0);
            spare.give_back(std::mem::take(&mut self.buffer));
        }
    }

    /// Notes that `count` bytes were read into the buffer.
    pub(super) fn filled(&mut self, count: usize) {
        (self.start, self.end) = (0, count);
        self.buffer.used = self.buffer.used.max(count);
    }

    /// Notes that the receiver has accepted `count` bytes.
    pub(super) const fn wrote(&mut self, count: usize) {
        self.start += count;
        self.total += count as u64;
    }

    /// Drops the bytes that wait for the receiver.
    pub(super) const fn discard(&mut self) -> PumpProgress {
        let progress = PumpProgress::when(!self.is_empty());
        self.start = self.end;
        progress
    }
}
