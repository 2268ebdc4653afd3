//! Records that the worker of an offload queue opens before a call reaches them.
//!
//! Opening ahead has no effect that a caller can observe. Sequence number, pause, content type and
//! errors take effect when a call reaches the record. A record that does not open is left to the
//! call.

use std::collections::VecDeque;

use crate::key::InnerPlaintext;
use crate::socket::rx::SocketRx;
use crate::socket::rx::open::is_key_update;
use crate::wiped_memory::WipedBytes;

/// The plaintexts of the next records on the wire.
#[derive(Debug, Default)]
pub(super) struct OpenedAhead {
    records: VecDeque<AheadRecord>,
    /// The number of bytes that these records have on the wire.
    len: usize,
    /// Whether the next record needs another key, or does not open.
    stopped: bool,
    /// Memory for the next plaintexts.
    spare: Vec<WipedBytes>,
}

/// The outcome of [`SocketRx::open_ahead`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenAheadOutcome {
    /// A record was opened.
    Opened,
    /// No record was opened: none is whole, enough are open, or the next needs another key or does
    /// not open.
    NothingToOpen,
}

/// A record that was opened ahead.
#[derive(Debug)]
struct AheadRecord {
    /// Its length on the wire in bytes.
    len: usize,
    inner: InnerPlaintext,
    plaintext: WipedBytes,
}

impl OpenedAhead {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes the next record and swaps its plaintext with `scratch`. Returns `None` if no record is
    /// open.
    pub(super) fn take(&mut self, scratch: &mut WipedBytes) -> Option<InnerPlaintext> {
        let AheadRecord {
            len,
            inner,
            plaintext,
        } = self.records.pop_front()?;
        self.len -= len;
        self.spare.push(std::mem::replace(scratch, plaintext));
        Some(inner)
    }

    /// Drops all records: the key under which they were opened is replaced.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        (self.len, self.stopped) = (0, false);
    }
}

impl SocketRx {
    /// Opens the next whole record, unless `most` or more bytes of the wire are opened ahead
    /// already.
    pub fn open_ahead(&mut self, most: usize) -> OpenAheadOutcome {
        let ahead = &mut self.ahead;
        if ahead.stopped || ahead.len >= most || self.opener.is_some() {
            return OpenAheadOutcome::NothingToOpen;
        }
        let rest = &self.wire.bytes()[ahead.len..];
        let Ok(Some(record)) = self.framing.deframe(rest) else {
            return OpenAheadOutcome::NothingToOpen;
        };
        let mut plaintext = ahead.spare.pop().unwrap_or_default();
        plaintext.make_room(record.inner_len());
        let seq = self.seq.wrapping_add(ahead.records.len() as u64);
        let Ok(inner) = self.key.open_record(seq, record, &mut plaintext) else {
            ahead.stopped = true;
            return OpenAheadOutcome::NothingToOpen;
        };
        ahead.stopped = is_key_update(inner, &plaintext[..inner.len]);
        let len = record.wire_len();
        ahead.len += len;
        ahead.records.push_back(AheadRecord {
            len,
            inner,
            plaintext,
        });
        OpenAheadOutcome::Opened
    }
}
