//! Sealing in order under one key.

use std::ops::Range;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::key::{RecSeq, TrafficKey};
use crate::record::group::seal_group;
use crate::record::past::PastKeys;
use crate::suite::KeyLimits;
use crate::wire::MAX_PLAINTEXT;

/// Seals records in order under one traffic key, and keeps to the limit of its AEAD.
///
/// The number of the next record tells how many the key may have sealed: those before `rec_seq` count,
/// whoever has sealed them.
#[derive(Debug)]
pub struct Sealer {
    key: TrafficKey,
    seq: RecSeq,
    limits: KeyLimits,
    generation: u64,
    past: PastKeys,
}

/// A key that may follow the one in use; only [`Sealer::prepare`] makes it.
#[derive(Debug)]
pub struct NextKey(TrafficKey);

/// One record to be: its type and its plaintext.
#[derive(Clone, Copy, Debug)]
pub struct RecordPlaintext<'a> {
    /// The content type. 0 stands for none in TLS 1.3: then the last byte of `plaintext` that is not 0
    /// is it, and what follows is padding.
    pub record_type: u8,
    /// At most 2^14 bytes.
    pub plaintext: &'a [u8],
}

impl Sealer {
    /// Starts under `info` with the limits of its cipher.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
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

    /// Lowers (or raises) the limits of this and all later keys.
    #[must_use]
    pub fn with_limits(mut self, limits: KeyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Installs the next key.
    ///
    /// # Errors
    /// [`Error::KeyUsed`] for one that this sealer has had; [`Error::NoRekeyIn12`],
    /// [`Error::RekeyMismatch`], [`Error::CipherMissing`]. Nothing changed then.
    pub fn rekey(&mut self, info: CryptoInfo, provider: &dyn Provider) -> Result<(), Error> {
        let next = self.prepare(info, provider)?;
        let digest = self.past.check(self.key.info(), next.0.info(), provider)?;
        self.install(next);
        self.past.add(digest);
        Ok(())
    }

    /// Expands the next key: all of a key update that can fail. That the key is new is not asked here:
    /// keys that are derived one from the other never repeat.
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::RekeyMismatch`], [`Error::CipherMissing`]
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

    /// Seals one record at the start of `out`; gives its length.
    ///
    /// # Errors
    /// As [`Sealer::seal_batch`].
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

    /// Seals every piece in order into `out`, back to back, or none of them.
    ///
    /// `done` learns where each record lies. Gives the bytes written.
    ///
    /// # Errors
    /// [`Error::FragmentTooLong`], [`Error::NoRoom`], [`Error::SeqExhausted`], [`Error::KeyExhausted`];
    /// no number is spent then.
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

    /// Takes the numbers of all pieces, or none; `room` is what there is for them.
    ///
    /// # Errors
    /// As [`Sealer::seal_batch`].
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

    /// The key in use.
    pub(super) const fn key(&self) -> &TrafficKey {
        &self.key
    }

    /// How many records the pieces make, and how many bytes.
    ///
    /// # Errors
    /// [`Error::FragmentTooLong`]
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

    /// Takes numbers within the limit, all or none.
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

    /// The number of the next record.
    #[must_use]
    pub const fn rec_seq(&self) -> u64 {
        self.seq.next()
    }

    /// How often the key was changed.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// True once the soft limit is reached.
    #[must_use]
    pub const fn needs_rekey(&self) -> bool {
        self.seq.next() >= self.limits.soft
    }

    /// The limits of this and all later keys.
    #[must_use]
    pub const fn limits(&self) -> KeyLimits {
        self.limits
    }

    /// Records that this key may still seal.
    #[must_use]
    pub fn left(&self) -> u64 {
        // 2^64 - 1 is never given out, and no limit is higher.
        self.limits.hard.saturating_sub(self.seq.next())
    }

    /// Records until the soft limit.
    #[must_use]
    pub const fn until_soft(&self) -> u64 {
        self.limits.soft.saturating_sub(self.seq.next())
    }

    /// Bytes that a record has on top of its plaintext.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.key.overhead()
    }

    /// 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.key.info().version()
    }
}
