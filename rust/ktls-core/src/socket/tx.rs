//! The sending direction (`docs/kernel-rules.md`, section 2).

mod egress;
mod group;
mod key_limit;
mod waiting_records;

use std::sync::Arc;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::key::TrafficKey;
use crate::socket::{CallFault, SendBuffers, SocketShared, options};
use crate::wiped_memory::WipedBytes;
use crate::wire::{ContentType, MAX_PLAINTEXT};
use egress::Egress;
use group::GroupSealing;

pub use egress::RecordFramer;

/// The sending direction of a socket: takes plaintext and makes sealed records.
///
/// After a send with `MSG_MORE` the last record stays open, and the next send adds to it.
#[derive(Debug)]
pub struct SocketTx {
    keyed: Option<InstalledKey>,
    /// The plaintext of the open record. Empty if no record is open.
    open: WipedBytes,
    wire: Fifo,
    /// The number of bytes at the end of `wire` that wait for the next transmission.
    held_bytes: usize,
    egress: Egress,
    /// The held record was sealed under the last sequence number: it does not leave while its key
    /// is in use (`docs/kernel-rules.md`, S2.3-1).
    held_is_last: bool,
    max_payload: usize,
    /// The most records that one key may seal. The kernel has no such limit.
    record_limit: u64,
}

/// A key in use and its next sequence number, which wraps as in the kernel.
#[derive(Debug)]
pub(super) struct InstalledKey {
    pub(super) key: Arc<TrafficKey>,
    pub(super) seq: u64,
    /// The one KeyUpdate that may be sealed beyond the record limit has been sealed.
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
    /// Seals plaintext from `source` until it is empty, or until `limit` sealed bytes wait to be
    /// written. The last record may exceed `limit`. If records leave by a queue, `limit` is a
    /// number of records.
    ///
    /// Call this again after writing, while bytes are left in `source`. `record_type` is the
    /// content type of the call's control message, if it has one. Records sealed before an error
    /// stay valid.
    ///
    /// # Errors
    /// - The error in `sk_err`.
    /// - [`Error::SeqExhausted`] if the sequence number wrapped.
    /// - [`Error::NoKey`] if no key was installed.
    /// - [`Error::KeyExhausted`] if the key has sealed as many records as
    ///   [`SocketTx::set_record_limit`] allows.
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
            // The socket of a device makes an empty record, or seals the open one (D-8).
            return self.seal_open(record_type, shared);
        }
        // Held bytes do not count: they are released or dropped when the next record is sealed.
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

    /// Returns the bytes that may be written to TCP now. Once records leave by a queue, these are
    /// only the bytes sealed before.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        let wire = self.wire.bytes();
        if self.is_queued() {
            return wire;
        }
        &wire[..wire.len() - self.held_bytes]
    }

    /// Removes the first `len` bytes of [`SocketTx::wire`], which TCP has taken.
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

    /// Installs the next key. An open record will be sealed with it; records that are sealed stay
    /// as they are (K-24, K-25).
    pub fn install(&mut self, key: TrafficKey) {
        let seq = key.info().rec_seq;
        let key = Arc::new(key);
        // Trace send.seq_wrap_rekey: once the next key is installed, the held record leaves in
        // front of the next one.
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

    /// Returns the key in use, or `None` before the first one.
    #[must_use]
    pub fn key(&self) -> Option<&TrafficKey> {
        self.keyed.as_ref().map(|keyed| &*keyed.key)
    }

    /// Returns the key in use with its current iv and rec_seq (`docs/kernel-rules.md`, S1.5-3), or
    /// `None` before the first key.
    #[must_use]
    pub fn live_info(&self) -> Option<CryptoInfo> {
        self.keyed
            .as_ref()
            .map(|keyed| keyed.key.live_info(keyed.seq))
    }

    /// Returns the sequence number of the next record, or 0 before the first key.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.keyed.as_ref().map_or(0, |keyed| keyed.seq)
    }

    /// Returns the length in bytes of the plaintext of the open record, or 0 if no record is open.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Takes memory from `pool` for the next sealed records.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Returns unused memory to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        if self.open.is_empty() {
            self.open = WipedBytes::new();
        }
    }

    /// Returns `true` while sealed records wait to leave, including those held for the next
    /// transmission.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.waiting() > 0
    }

    /// Returns the value of `TLS_TX_MAX_PAYLOAD_LEN`: the most bytes of plaintext in one record.
    #[must_use]
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Sets `TLS_TX_MAX_PAYLOAD_LEN` to `value`, the bytes given to `setsockopt`. `other` is the
    /// version of the receiving direction, which counts while this direction has no key.
    ///
    /// # Errors
    /// [`Error::OpenRecord`] while a record is open. Also returns the errors of
    /// [`options::payload_limit`].
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

    /// Seals a record of the next `len` bytes, without a copy if they are contiguous and no record
    /// is open.
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

    /// Seals the open record, which may be empty.
    fn seal_open(&mut self, record_type: u8, shared: &SocketShared) -> Result<(), CallFault> {
        let mut open = std::mem::take(&mut self.open);
        let sealed = self.seal_record(record_type, &open, None, shared);
        open.clear();
        self.open = open;
        sealed
    }

    /// Returns `true` if a send without data makes a record (D-8).
    fn seals_empty_calls(&self) -> bool {
        matches!(&self.egress, Egress::Framed(framer) if framer.seals_empty_calls())
    }

    /// Seals one record. `source` is the origin of `plaintext` if it was not copied.
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
        // The record of a framer leaves: the framer has already counted its number.
        self.held_is_last = !matches!(self.egress, Egress::Framed(_));
        shared.error.set_in_call(Error::SeqExhausted);
        Err(Error::SeqExhausted.into())
    }
}

/// Whether a last record that is not full is sealed at the end of a send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartialRecord {
    /// The record is sealed.
    Seal,
    /// The record stays open (`MSG_MORE`).
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
