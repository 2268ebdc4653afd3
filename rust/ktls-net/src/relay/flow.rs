//! One direction of a pair: bytes read and not yet written.

use ktls_core::{FifoPool, WipedBytes, wipe};

use crate::NetError;

/// Plaintext held in each direction.
pub(super) const BUFFER: usize = 64 << 10;

/// Buffers that no pair of the thread needs now: a pair has them only while bytes wait in them.
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
    /// How far it may hold plaintext.
    used: usize,
}

/// Whether a step of a pump has changed anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PumpProgress {
    /// Bytes or news have moved: another step may move more.
    Moved,
    /// Nothing has moved: the pump has to wait for a descriptor.
    Stalled,
}

impl PumpProgress {
    /// [`PumpProgress::Moved`] if `moved` holds.
    pub(super) const fn when(moved: bool) -> Self {
        if moved { Self::Moved } else { Self::Stalled }
    }

    /// The progress of two steps that were both taken.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Moved => Self::Moved,
            Self::Stalled => other,
        }
    }
}

/// One direction.
#[derive(Default)]
pub(super) struct DirectionFlow {
    buffer: PlaintextBuffer,
    start: usize,
    end: usize,
    /// No more will be read.
    pub(super) ended: bool,
    /// Why, if it did not end in order: behind what was read before, its receiver must learn that this was
    /// not all.
    pub(super) broken: Option<NetError>,
    /// And its receiver was told.
    pub(super) end_sent: bool,
    /// Its receiver takes no more.
    pub(super) refused: Option<NetError>,
    pub(super) total: u64,
}

/// Buffers kept for the next direction that needs one.
const KEPT: usize = 16;

impl SpareBuffers {
    fn take(&mut self) -> PlaintextBuffer {
        self.plaintext.pop().unwrap_or_else(|| PlaintextBuffer {
            // One more than whole records hold: the content type that follows the last.
            bytes: WipedBytes::zeros(BUFFER + 1),
            used: 0,
        })
    }

    /// Wipes what its buffers hold, while nothing is to be moved: the next to use one would overwrite it.
    pub(super) fn wipe(&mut self) {
        for PlaintextBuffer { bytes, used } in &mut self.plaintext {
            wipe(&mut bytes[..std::mem::take(used)]);
        }
    }

    fn give_back(&mut self, buffer: PlaintextBuffer) {
        if self.plaintext.len() < KEPT {
            self.plaintext.push(buffer);
        }
    }
}

impl DirectionFlow {
    pub(super) fn waiting(&self) -> &[u8] {
        &self.buffer.bytes[self.start..self.end]
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Ended in order, all passed on, and the receiver does not know yet.
    pub(super) const fn finished(&self) -> bool {
        self.ended && self.broken.is_none() && self.is_empty() && !self.end_sent
    }

    /// Ends it where it is, unless it has ended before. What was read is still passed on.
    pub(super) fn break_off(&mut self, error: &NetError) {
        if !self.ended {
            self.ended = true;
            self.broken = Some(error.clone());
        }
    }

    /// Where to read to.
    pub(super) fn room(&mut self, spare: &mut SpareBuffers) -> &mut [u8] {
        if self.buffer.bytes.is_empty() {
            self.buffer = spare.take();
        }
        &mut self.buffer.bytes
    }

    /// Gives the buffer back if nothing waits in it.
    pub(super) fn release_if_empty(&mut self, spare: &mut SpareBuffers) {
        if self.is_empty() && !self.buffer.bytes.is_empty() {
            (self.start, self.end) = (0, 0);
            spare.give_back(std::mem::take(&mut self.buffer));
        }
    }

    /// `count` bytes were read into the buffer.
    pub(super) fn filled(&mut self, count: usize) {
        (self.start, self.end) = (0, count);
        self.buffer.used = self.buffer.used.max(count);
    }

    pub(super) const fn wrote(&mut self, count: usize) {
        self.start += count;
        self.total += count as u64;
    }

    /// Drops what waits.
    pub(super) const fn discard(&mut self) -> PumpProgress {
        let progress = PumpProgress::when(!self.is_empty());
        self.start = self.end;
        progress
    }
}
