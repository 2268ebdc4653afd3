//! The sending direction (spec 2).

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::key::TrafficKey;
use crate::offload::TxOffload;
use crate::socket::{Fault, Fifo, Shared, options};
use crate::wire::{ContentType, MAX_PLAINTEXT};

/// Plaintext in, sealed records out; keeps a MSG_MORE record open.
#[derive(Debug)]
pub struct Tx {
    pub(crate) keyed: Option<Keyed>,
    /// What it knows of a device, once it was offered one.
    pub(crate) offload: Option<TxOffload>,
    /// Plaintext of the open record; empty when none is open.
    open: Vec<u8>,
    wire: Fifo,
    /// Bytes at the end of `wire` that wait for the next transmission (spec 2.3).
    held: usize,
    max_payload: usize,
}

/// A key in use; its number wraps, as the kernel's does.
#[derive(Debug)]
pub(crate) struct Keyed {
    key: TrafficKey,
    seq: u64,
}

impl Keyed {
    pub(crate) const fn key(&self) -> &TrafficKey {
        &self.key
    }

    /// The number of the next record.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }
}

/// The buffers of one send call, and how far they are taken.
#[derive(Debug)]
pub struct Source<'a> {
    slices: &'a [&'a [u8]],
    index: usize,
    offset: usize,
    left: usize,
    taken: usize,
}

impl Default for Tx {
    fn default() -> Self {
        Self {
            keyed: None,
            offload: None,
            open: Vec::new(),
            wire: Fifo::default(),
            held: 0,
            max_payload: MAX_PLAINTEXT,
        }
    }
}

impl Tx {
    /// Takes plaintext and seals records until `limit` bytes of wire wait; a record is never cut.
    ///
    /// Call again, after writing, while anything is left in `source`. `record_type` is that of the
    /// call's control message. The records sealed before a fault stay good.
    ///
    /// # Errors
    /// What `sk_err` holds; [`Error::SeqExhausted`] when the number wraps; [`Error::NoKey`].
    pub fn send(
        &mut self,
        source: &mut Source<'_>,
        record_type: Option<u8>,
        more: More,
        limit: usize,
        shared: &Shared,
    ) -> Result<(), Fault> {
        self.held = 0;
        if record_type.is_some() {
            self.close_open(shared)?;
        }
        let empty = source.left == 0 && source.taken == 0 && more == More::Seal;
        let record_type = record_type.unwrap_or(ContentType::APPLICATION_DATA.0);
        if empty && self.on_device() {
            // A device's socket makes an empty record of it, or closes the open one (D-8).
            return self.seal_open(record_type, shared);
        }
        while source.left > 0 && self.wire.len() < limit {
            shared.error.check_send()?;
            let room = self.max_payload - self.open.len();
            let len = source.left.min(room);
            if len < room && more == More::KeepOpen {
                source.take(len, |piece| self.open.extend_from_slice(piece));
            } else {
                self.seal_next(source, len, record_type, shared)?;
            }
        }
        Ok(())
    }

    /// What may be written to TCP now.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        let wire = self.wire.bytes();
        &wire[..wire.len() - self.held]
    }

    /// TCP took `len` bytes of [`Tx::wire`].
    pub fn wrote(&mut self, len: usize) {
        self.wire.consume(len);
    }

    /// Lets everything sealed go out, also what waited for a next transmission.
    pub fn release(&mut self) {
        self.held = 0;
    }

    /// Drops sealed records that can no longer reach the peer.
    pub fn discard_wire(&mut self) {
        self.held = 0;
        self.wire.consume(self.wire.len());
    }

    /// Puts a key in use; an open record will be sealed with it, sealed ones stay (K-24, K-25).
    pub fn install(&mut self, key: TrafficKey) {
        let seq = key.info().rec_seq;
        let past = self.keyed.replace(Keyed { key, seq });
        if let (Some(offload), Some(past)) = (&mut self.offload, past) {
            offload.replaced(past.key);
        }
    }

    /// The key in use.
    #[must_use]
    pub fn key(&self) -> Option<&TrafficKey> {
        self.keyed.as_ref().map(|keyed| &keyed.key)
    }

    /// The key in use with its running iv and number (spec 1.5).
    #[must_use]
    pub fn live_info(&self) -> Option<CryptoInfo> {
        self.keyed
            .as_ref()
            .map(|keyed| keyed.key.live_info(keyed.seq))
    }

    /// Bytes of the open record.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// True while sealed bytes wait, those of a last record under the last number too.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        !self.wire.is_empty()
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
        source: &mut Source<'_>,
        len: usize,
        record_type: u8,
        shared: &Shared,
    ) -> Result<(), Fault> {
        if let Some(piece) = source.piece(len).filter(|_| self.open.is_empty()) {
            self.seal_record(record_type, piece, shared)?;
            source.take(len, |_| {});
            return Ok(());
        }
        source.take(len, |piece| self.open.extend_from_slice(piece));
        self.seal_open(record_type, shared)
            .inspect_err(|_| source.untake(len))
    }

    pub(crate) fn close_open(&mut self, shared: &Shared) -> Result<(), Fault> {
        if self.open.is_empty() {
            return Ok(());
        }
        shared.error.check_send()?;
        self.seal_open(ContentType::APPLICATION_DATA.0, shared)
    }

    fn seal_open(&mut self, record_type: u8, shared: &Shared) -> Result<(), Fault> {
        let mut open = std::mem::take(&mut self.open);
        let sealed = self.seal_record(record_type, &open, shared);
        open.clear();
        self.open = open;
        sealed
    }

    fn on_device(&self) -> bool {
        self.offload.as_ref().is_some_and(TxOffload::on_device)
    }

    fn seal_record(
        &mut self,
        record_type: u8,
        plaintext: &[u8],
        shared: &Shared,
    ) -> Result<(), Fault> {
        let Keyed { key, seq } = self.keyed.as_mut().ok_or(Error::NoKey)?;
        let len = plaintext.len() + key.overhead();
        let out = self.wire.space(len);
        match &mut self.offload {
            Some(offload) if offload.on_device() => {
                key.frame(*seq, record_type, plaintext, out);
                offload.framed(*seq, out);
            }
            offload => {
                key.seal(*seq, record_type, plaintext, out);
                offload.iter_mut().for_each(|offload| offload.sealed(len));
            }
        }
        self.wire.commit(len);
        *seq = seq.wrapping_add(1);
        if *seq > 0 {
            return Ok(());
        }
        // The record is sealed and leaves later, yet its send fails (trace send.seq_wrap_rekey).
        self.held = len;
        shared.error.set(Error::SeqExhausted);
        Err(Error::SeqExhausted.into())
    }
}

/// What becomes of a last record that is not full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum More {
    /// It is sealed.
    Seal,
    /// It stays open (`MSG_MORE`).
    KeepOpen,
}

impl<'a> Source<'a> {
    /// Starts at the first byte of `slices`.
    #[must_use]
    pub fn new(slices: &'a [&'a [u8]]) -> Self {
        let left = slices.iter().map(|slice| slice.len()).sum();
        Self {
            slices,
            index: 0,
            offset: 0,
            left,
            taken: 0,
        }
    }

    /// Bytes not yet taken.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Bytes taken: what the call returns.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// The rest of the current buffer.
    pub fn rest(&mut self) -> &'a [u8] {
        while let Some(slice) = self.slices.get(self.index) {
            if self.offset < slice.len() {
                return &slice[self.offset..];
            }
            self.index += 1;
            self.offset = 0;
        }
        &[]
    }

    /// Takes `len` bytes, piece by piece.
    ///
    /// # Panics
    /// When fewer are left: a bug of the caller.
    pub fn take(&mut self, len: usize, mut each: impl FnMut(&'a [u8])) {
        assert!(
            len <= self.left,
            "{len} bytes asked for, {} left",
            self.left
        );
        let mut want = len;
        while want > 0 {
            let rest = self.rest();
            let piece = &rest[..rest.len().min(want)];
            each(piece);
            self.offset += piece.len();
            want -= piece.len();
        }
        self.left -= len;
        self.taken += len;
    }

    /// The next `len` bytes if they lie in one piece.
    fn piece(&mut self, len: usize) -> Option<&'a [u8]> {
        self.rest().get(..len)
    }

    /// The last `len` bytes do not count: their record failed.
    fn untake(&mut self, len: usize) {
        self.taken -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gives_its_bytes_in_order_whatever_the_pieces() {
        let slices: &[&[u8]] = &[b"ab", b"", b"cdefg", b"h"];
        for step in 1..=8 {
            let (mut source, mut got) = (Source::new(slices), Vec::new());
            while source.left() > 0 {
                let len = step.min(source.left());
                source.take(len, |piece| got.extend_from_slice(piece));
            }
            assert_eq!((got.as_slice(), source.taken()), (&b"abcdefgh"[..], 8));
        }
    }

    #[test]
    fn without_a_key_nothing_is_taken() {
        let (mut tx, shared) = (Tx::default(), Shared::default());
        let mut source = Source::new(&[b"data"]);
        let sent = tx.send(&mut source, None, More::Seal, 1, &shared);
        assert_eq!(sent, Err(Error::NoKey.into()));
        assert_eq!((source.taken(), tx.wire()), (0, &[][..]));
    }
}
