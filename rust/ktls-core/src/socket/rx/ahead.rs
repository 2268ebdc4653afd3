//! Records opened before a call comes to them, by the worker of an offload queue.
//!
//! Opening ahead changes nothing that a caller can see: number, pause, type and errors wait for the call, and
//! a record that does not open is left to it.

use std::collections::VecDeque;

use crate::key::InnerPlaintext;
use crate::socket::rx::SocketRx;
use crate::socket::rx::open::is_key_update;
use crate::wiped::WipedBytes;

/// The plaintexts of the next records on the wire.
#[derive(Debug, Default)]
pub(super) struct OpenedAhead {
    records: VecDeque<AheadRecord>,
    /// Bytes of wire that these records take.
    len: usize,
    /// The record behind them needs another key, or does not open.
    stopped: bool,
    /// Memory for the next plaintexts.
    spare: Vec<WipedBytes>,
}

/// What came of opening a record ahead of the calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenAheadOutcome {
    /// A record was opened.
    Opened,
    /// No whole record is there, enough are opened, or the next one needs another key or does not open.
    NothingToOpen,
}

#[derive(Debug)]
struct AheadRecord {
    len: usize,
    inner: InnerPlaintext,
    plaintext: WipedBytes,
}

impl OpenedAhead {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes the next record and swaps its plaintext with `scratch`. Returns None if none is opened.
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

    /// Drops what was opened, under a key that is gone.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        (self.len, self.stopped) = (0, false);
    }
}

impl SocketRx {
    /// Opens the next record that is whole and not opened, while fewer than `most` bytes of wire are opened
    /// ahead.
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
