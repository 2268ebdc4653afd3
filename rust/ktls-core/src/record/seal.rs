//! Seals records in order under one key.

use std::ops::Range;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::key::{RecSeq, TrafficKey};
use crate::record::group::seal_group;
use crate::record::previous_keys::PastKeys;
use crate::suite::KeyLimits;
use crate::wire::MAX_PLAINTEXT;

/// Seals records in order under one traffic key, and keeps to the limit of its AEAD.
///
/// The number of the next record is the number of records that the key may have sealed: those
/// before `rec_seq` count, even if another program has sealed them.
#[derive(Debug)]
pub struct Sealer {
    key: TrafficKey,
    seq: RecSeq,
    limits: KeyLimits,
    generation: u64,
    past: PastKeys,
}

/// A key that may follow the one in use. Only [`Sealer::prepare`] makes it.
#[derive(Debug)]
pub struct NextKey(TrafficKey);

/// The content type and plaintext of a record to seal.
#[derive(Clone, Copy, Debug)]
pub struct RecordPlaintext<'a> {
    /// The content type. In TLS 1.3 the value 0 adds no type: the last byte of `plaintext` that is
    /// not 0 is then the type, and the zeros behind it are padding.
    pub record_type: u8,
    /// The plaintext, at most 2^14 bytes.
    pub plaintext: &'a [u8],
}

impl Sealer {
    /// Makes a sealer that starts under the key of `info`, with the limits of its cipher.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if `provider` does not have the cipher.
    pub fn new(info: CryptoInfo, provider: &dyn Provider) -> Result<Self, Error> {
        let limits = info.cipher().limits;
        let seq = RecSeq::new(info.rec_seq);
        Ok(Self {
            key: TrafficKey::new(info, provider)?,
            seq,
            limits,
            generation: 0,
            past: PastKeys::default(),
        })
    }

    /// Sets the limits of this and all later keys.
    #[must_use]
    pub fn with_limits(mut self, limits: KeyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Installs the next key.
    ///
    /// # Errors
    /// Nothing is changed by an error. [`Error::KeyUsed`] if this sealer has had the key. Also
    /// returns the errors of [`Sealer::prepare`].
    pub fn rekey(&mut self, info: CryptoInfo, provider: &dyn Provider) -> Result<(), Error> {
        let next = self.prepare(info, provider)?;
        let digest = self.past.check(self.key.info(), next.0.info(), provider)?;
        self.install(next);
        self.past.add(digest);
        Ok(())
    }

    /// Expands the next key. Nothing else in a key update can fail. Does not check that the key is
    /// new: keys that are derived from each other never repeat.
    ///
    /// # Errors
    /// - [`Error::NoRekeyIn12`] if this sealer is for TLS 1.2.
    /// - [`Error::RekeyMismatch`] if the key is for another version or cipher.
    /// - [`Error::CipherMissing`] if `provider` does not have the cipher.
    pub fn prepare(&self, info: CryptoInfo, provider: &dyn Provider) -> Result<NextKey, Error> {
        self.key.check_rekey(&info)?;
        Ok(NextKey(TrafficKey::new(info, provider)?))
    }

    /// Switches to a prepared key.
    pub fn install(&mut self, NextKey(key): NextKey) {
        self.seq = RecSeq::new(key.info().rec_seq);
        self.key = key;
        self.generation += 1;
    }

    /// Seals one record into the start of `out`, and returns its length.
    ///
    /// # Errors
    /// Returns the errors of [`Sealer::seal_batch`].
    pub fn seal(
        &mut self,
        record_type: u8,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let piece = RecordPlaintext {
            record_type,
            plaintext,
        };
        self.seal_batch(std::iter::once(piece), out, |_| {})
    }

    /// Seals all `pieces` in order into `out`, back to back, or none of them.
    ///
    /// Calls `done` with the range of each record in `out`, and returns the number of bytes
    /// written.
    ///
    /// # Errors
    /// No sequence number is spent by an error.
    /// - [`Error::FragmentTooLong`] if a plaintext is longer than 2^14 bytes.
    /// - [`Error::NoRoom`] if the records do not fit `out`.
    /// - [`Error::SeqExhausted`] if the sequence numbers of the key run out.
    /// - [`Error::KeyExhausted`] if the records exceed the hard limit of the key.
    pub fn seal_batch<'a>(
        &mut self,
        pieces: impl Iterator<Item = RecordPlaintext<'a>> + Clone,
        out: &mut [u8],
        done: impl FnMut(Range<usize>),
    ) -> Result<usize, Error> {
        let numbers = self.take_numbers(pieces.clone(), out.len())?;

        // Nothing below may fail: the sequence numbers are spent.
        Ok(seal_group(&self.key, numbers, pieces, out, done))
    }

    /// Takes the sequence numbers of all pieces, or none. `room` is the space for them in bytes.
    ///
    /// # Errors
    /// Returns the errors of [`Sealer::seal_batch`].
    pub(super) fn take_numbers<'a>(
        &mut self,
        pieces: impl Iterator<Item = RecordPlaintext<'a>>,
        room: usize,
    ) -> Result<Range<u64>, Error> {
        let (count, need) = self.measure(pieces)?;
        if need > room {
            return Err(Error::NoRoom { need, have: room });
        }
        self.reserve(count)
    }

    /// Returns the key in use.
    pub(super) const fn key(&self) -> &TrafficKey {
        &self.key
    }

    /// Returns the number of records that the pieces make, and their length in bytes.
    ///
    /// # Errors
    /// [`Error::FragmentTooLong`] if a plaintext is longer than 2^14 bytes.
    pub fn measure<'a>(
        &self,
        pieces: impl Iterator<Item = RecordPlaintext<'a>>,
    ) -> Result<(u64, usize), Error> {
        let (mut count, mut need) = (0, 0);
        for piece in pieces {
            let len = piece.plaintext.len();
            if len > MAX_PLAINTEXT {
                return Err(Error::FragmentTooLong {
                    len,
                    max: MAX_PLAINTEXT,
                });
            }
            count += 1;
            need += len + self.key.overhead();
        }
        Ok((count, need))
    }

    /// Takes `count` sequence numbers within the limit, or none.
    fn reserve(&mut self, count: u64) -> Result<Range<u64>, Error> {
        let limit = self.limits.hard;
        let mut seq = self.seq;
        let numbers = seq.reserve(count)?;
        if count > 0 && numbers.end > limit {
            return Err(Error::KeyExhausted { limit });
        }
        self.seq = seq;
        Ok(numbers)
    }

    /// Returns the sequence number of the next record.
    #[must_use]
    pub const fn rec_seq(&self) -> u64 {
        self.seq.next()
    }

    /// Returns how many times the key was changed.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns `true` once the soft limit is reached.
    #[must_use]
    pub const fn needs_rekey(&self) -> bool {
        self.seq.next() >= self.limits.soft
    }

    /// Returns the limits of this and all later keys.
    #[must_use]
    pub const fn limits(&self) -> KeyLimits {
        self.limits
    }

    /// Returns how many records this key may still seal.
    #[must_use]
    pub fn left(&self) -> u64 {
        // The sequence number 2^64 - 1 is never used, and no limit is higher.
        self.limits.hard.saturating_sub(self.seq.next())
    }

    /// Returns how many records are left until the soft limit.
    #[must_use]
    pub const fn until_soft(&self) -> u64 {
        self.limits.soft.saturating_sub(self.seq.next())
    }

    /// Returns the bytes that a record has on top of its plaintext.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.key.overhead()
    }

    /// Returns the key in use, with the number of the next record.
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.key.live_info(self.seq.next())
    }

    /// Returns the protocol version: 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.key.info().version()
    }
}
