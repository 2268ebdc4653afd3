//! The sending direction (`docs/kernel-rules.md`, section 2).

mod egress;
mod group;
mod held;
mod limit;

use std::sync::Arc;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::key::TrafficKey;
use crate::socket::{CallFault, SendBuffers, SocketShared, options};
use crate::wiped::WipedBytes;
use crate::wire::{ContentType, MAX_PLAINTEXT};
use egress::Egress;
use group::GroupSealing;

pub use egress::RecordFramer;

/// Plaintext in, sealed records out; keeps a MSG_MORE record open.
#[derive(Debug)]
pub struct SocketTx {
    keyed: Option<InstalledKey>,
    /// Plaintext of the open record; empty when none is open.
    open: WipedBytes,
    wire: Fifo,
    /// Bytes at the end of `wire` that wait for the next transmission.
    held_bytes: usize,
    egress: Egress,
    /// What is held was sealed under the last number: it never leaves under its own key
    /// (`docs/kernel-rules.md`, S2.3-1).
    held_is_last: bool,
    max_payload: usize,
    /// Records that one key may seal; the kernel has no such limit.
    record_limit: u64,
}

/// A key in use; its number wraps, as the kernel's does.
#[derive(Debug)]
pub(super) struct InstalledKey {
    pub(super) key: Arc<TrafficKey>,
    pub(super) seq: u64,
    /// The one KeyUpdate that may leave past the record limit has left.
    key_update_sent: bool,
}

impl Default for SocketTx {
    fn default() -> Self {
        Self {
            keyed: None,
            open: WipedBytes::new(),
            wire: Fifo::default(),
            held_bytes: 0,
            egress: Egress::Wire,
            held_is_last: false,
            max_payload: MAX_PLAINTEXT,
            record_limit: u64::MAX,
        }
    }
}

impl SocketTx {
    /// Takes plaintext and makes records until `limit` bytes of wire, or records of a queue, wait; a record is
    /// never cut.
    ///
    /// Call again, after writing, while anything is left in `source`. `record_type` is that of the
    /// call's control message. The records sealed before a fault stay good.
    ///
    /// # Errors
    /// What `sk_err` holds; [`Error::SeqExhausted`] when the number wraps; [`Error::NoKey`];
    /// [`Error::KeyExhausted`] at the limit that was set.
    pub fn send(
        &mut self,
        source: &mut SendBuffers<'_>,
        record_type: Option<u8>,
        more: PartialRecord,
        limit: usize,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        if record_type.is_some() {
            self.close_open(shared)?;
        }
        let empty = source.left == 0 && source.taken == 0 && more == PartialRecord::Seal;
        let record_type = record_type.unwrap_or(ContentType::APPLICATION_DATA.0);
        if empty && self.seals_empty_calls() {
            self.check_limit()?;
            // A device's socket makes an empty record of it, or closes the open one (D-8).
            return self.seal_open(record_type, shared);
        }
        // What is held back does not count: it is released or dropped when the next record is sealed.
        while source.left > 0 && self.waiting() - self.held() < limit {
            shared.error.check_send()?;
            self.check_limit_of(source, record_type)?;
            let group = self.seal_group(source, record_type, more, limit, shared);
            if group == GroupSealing::Sealed {
                continue;
            }
            let room = self.max_payload - self.open.len();
            let len = source.left.min(room);
            if len < room && more == PartialRecord::KeepOpen {
                source.take(len, |piece| self.open.extend_from_slice(piece));
            } else {
                self.seal_next(source, len, record_type, shared)?;
            }
        }
        Ok(())
    }

    /// What may be written to TCP now; nothing where records leave by a queue.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        let wire = self.wire.bytes();
        if self.is_queued() {
            return wire;
        }
        &wire[..wire.len() - self.held_bytes]
    }

    /// TCP took `len` bytes of [`SocketTx::wire`].
    pub fn wrote(&mut self, len: usize) {
        self.wire.consume(len);
    }

    /// Drops sealed records that can no longer reach the peer.
    pub fn discard_wire(&mut self) {
        self.hold(0);
        self.held_is_last = false;
        if let Egress::Queue(records) = &mut self.egress {
            records.staged.clear();
        }
        self.wire.consume(self.wire.len());
    }

    /// Puts a key in use; an open record will be sealed with it, sealed ones stay (K-24, K-25).
    pub fn install(&mut self, key: TrafficKey) {
        let seq = key.info().rec_seq;
        let key = Arc::new(key);
        // Seen in trace send.seq_wrap_rekey: with a next key it does leave, in front of the next record.
        self.held_is_last = false;
        let past = self.keyed.replace(InstalledKey {
            key,
            seq,
            key_update_sent: false,
        });
        if let (Egress::Framed(framer), Some(past)) = (&mut self.egress, past) {
            framer.replaced(past.key);
        }
    }

    /// The key in use.
    #[must_use]
    pub fn key(&self) -> Option<&TrafficKey> {
        self.keyed.as_ref().map(|keyed| &*keyed.key)
    }

    /// The key in use with its running iv and number (`docs/kernel-rules.md`, S1.5-3).
    #[must_use]
    pub fn live_info(&self) -> Option<CryptoInfo> {
        self.keyed
            .as_ref()
            .map(|keyed| keyed.key.live_info(keyed.seq))
    }

    /// The number of the next record; 0 without a key.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.keyed.as_ref().map_or(0, |keyed| keyed.seq)
    }

    /// Bytes of the open record.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Takes memory from `pool` for what will be sealed.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Gives memory that holds nothing back to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        if self.open.is_empty() {
            self.open = WipedBytes::new();
        }
    }

    /// True while sealed bytes wait, those for the next transmission too.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.waiting() > 0
    }

    /// The payload limit.
    #[must_use]
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Sets the payload limit; `value` is the option's, `other` the other direction's version.
    ///
    /// # Errors
    /// [`Error::OpenRecord`] before those of [`options::payload_limit`].
    pub fn set_max_payload(&mut self, value: &[u8], other: Option<u16>) -> Result<(), Error> {
        if !self.open.is_empty() {
            return Err(Error::OpenRecord {
                len: self.open.len(),
            });
        }
        let version = self.key().map(|key| key.info().version()).or(other);
        self.max_payload = options::payload_limit(value, version)?;
        Ok(())
    }

    /// Seals a record of `len` bytes: straight from the caller's buffer where it lies in one piece.
    fn seal_next(
        &mut self,
        source: &mut SendBuffers<'_>,
        len: usize,
        record_type: u8,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        if let Some(piece) = source.piece(len).filter(|_| self.open.is_empty()) {
            self.seal_record(record_type, piece, Some(source), shared)?;
            source.take(len, |_| {});
            return Ok(());
        }
        source.take(len, |piece| self.open.extend_from_slice(piece));
        self.seal_open(record_type, shared)
            .inspect_err(|_| source.untake(len))
    }

    fn seal_open(&mut self, record_type: u8, shared: &SocketShared) -> Result<(), CallFault> {
        let mut open = std::mem::take(&mut self.open);
        let sealed = self.seal_record(record_type, &open, None, shared);
        open.clear();
        self.open = open;
        sealed
    }

    fn seals_empty_calls(&self) -> bool {
        matches!(&self.egress, Egress::Framed(framer) if framer.seals_empty_calls())
    }

    fn seal_record(
        &mut self,
        record_type: u8,
        plaintext: &[u8],
        source: Option<&SendBuffers<'_>>,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        self.release();
        let keyed = self.keyed.as_mut().ok_or(Error::NoKey)?;
        let last = keyed.seq == u64::MAX;
        keyed.count_past_limit(1, shared);
        let wire = &mut self.wire;
        let made = match &mut self.egress {
            Egress::Wire => keyed.write_record(record_type, plaintext, wire, None),
            Egress::Framed(framer) => {
                keyed.write_record(record_type, plaintext, wire, Some(&mut **framer))
            }
            Egress::Queue(records) => {
                let sealer = records.sealer;
                let record = keyed.queued_record(record_type, plaintext, source, sealer);
                records.staged.push(record);
                1
            }
        };
        keyed.seq = keyed.seq.wrapping_add(1);
        if !last {
            return Ok(());
        }
        self.hold(made);
        // A framer has counted it.
        self.held_is_last = !matches!(self.egress, Egress::Framed(_));
        shared.error.set_in_call(Error::SeqExhausted);
        Err(Error::SeqExhausted.into())
    }
}

/// What becomes of a last record that is not full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartialRecord {
    /// It is sealed.
    Seal,
    /// It stays open (`MSG_MORE`).
    KeepOpen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nothing_is_taken() {
        let (mut tx, shared) = (SocketTx::default(), SocketShared::default());
        let mut source = SendBuffers::new(&[b"data"]);
        let sent = tx.send(&mut source, None, PartialRecord::Seal, 1, &shared);
        assert_eq!(sent, Err(Error::NoKey.into()));
        assert_eq!((source.taken(), tx.wire()), (0, &[][..]));
    }
}
