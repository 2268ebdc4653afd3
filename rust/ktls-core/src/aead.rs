//! What the record layer asks of a cipher.

use crate::error::Error;
use crate::suite::{AeadAlgorithm, Hash};
use crate::wire::TAG_LEN;

/// The 12 bytes that make one use of a key unlike any other; derived, never stored.
pub type NonceBytes = [u8; 12];

/// Additional data of a record: its header in TLS 1.3 (5 bytes), 13 bytes in TLS 1.2.
///
/// Kept in words and not in bytes: batches write one for each record and compare it soon after.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Aad {
    /// The first 8 bytes, least significant first.
    head: u64,
    /// The next 15, and the length.
    rest: [u64; 2],
}

/// Additional data as bytes.
#[derive(Clone, Copy, Debug)]
pub struct AadBytes {
    bytes: [u8; 24],
    len: usize,
}

impl Aad {
    /// More than a record has, so that published vectors fit; 24 bytes with the length.
    pub const MAX_LEN: usize = 23;

    /// No additional data.
    pub const NONE: Self = Self {
        head: 0,
        rest: [0; 2],
    };

    /// The five header bytes of a TLS 1.3 record.
    #[must_use]
    #[inline]
    pub const fn header([a, b, c, d, e]: [u8; 5]) -> Self {
        Self {
            head: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
            rest: [0, 5 << LEN_SHIFT],
        }
    }

    /// The 13 bytes of TLS 1.2: number, type, version, plaintext length (RFC 5246 §6.2.3.3).
    #[must_use]
    pub const fn numbered(number: u64, [a, b, c, d, e]: [u8; 5]) -> Self {
        Self {
            head: number.swap_bytes(),
            rest: [
                u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
                13 << LEN_SHIFT,
            ],
        }
    }

    /// The bytes in their order.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> AadBytes {
        let mut bytes = [0; 24];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.words()) {
            *place = word.to_le_bytes();
        }
        let len = (self.rest[1] >> LEN_SHIFT) as usize;
        AadBytes { bytes, len }
    }

    const fn words(&self) -> [u64; 3] {
        let [middle, end] = self.rest;
        [self.head, middle, end]
    }
}

impl PartialEq for Aad {
    /// Word by word: a wider load of words that were just written would have to wait.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let same = |i: usize| self.rest[i] == other.rest[i];
        self.head == other.head && same(1) && same(0)
    }
}

impl TryFrom<&[u8]> for Aad {
    type Error = Error;

    /// Any additional data, as a test vector has it.
    fn try_from(from: &[u8]) -> Result<Self, Error> {
        if from.len() > Self::MAX_LEN {
            return Err(Error::BadLength {
                what: "additional data",
                len: from.len(),
                want: Self::MAX_LEN,
            });
        }
        let mut words = [0; 3];
        for (word, bytes) in words.iter_mut().zip(from.chunks(8)) {
            for (byte, shift) in bytes.iter().zip((0..).step_by(8)) {
                *word |= u64::from(*byte) << shift;
            }
        }
        let [head, middle, end] = words;
        let rest = [middle, end | (from.len() as u64) << LEN_SHIFT];
        Ok(Self { head, rest })
    }
}

impl AsRef<[u8]> for AadBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len.min(Aad::MAX_LEN)]
    }
}

/// Where the length is in its word.
const LEN_SHIFT: u32 = 56;

/// One record to protect: everything between header and end of tag.
#[derive(Debug)]
pub struct SealJob<'a> {
    /// The nonce.
    pub nonce: NonceBytes,
    /// The additional data.
    pub aad: Aad,
    /// The fragment.
    pub plaintext: &'a [u8],
    /// The content type that follows it inside, in TLS 1.3.
    pub inner_type: Option<u8>,
    /// Exactly ciphertext and tag. What lay there before means nothing, but the ciphertext may be read
    /// back for the tag: who writes to it meanwhile gets a tag that is valid for what they wrote.
    pub out: &'a mut [u8],
}

impl SealJob<'_> {
    /// Where a job will be.
    pub const fn none() -> Self {
        Self {
            nonce: [0; 12],
            aad: Aad::NONE,
            plaintext: &[],
            inner_type: None,
            out: &mut [],
        }
    }
}

/// One record to unprotect.
#[derive(Debug)]
pub struct OpenJob<'a> {
    /// The nonce.
    pub nonce: NonceBytes,
    /// The additional data.
    pub aad: Aad,
    /// The ciphertext without its tag.
    pub ciphertext: &'a [u8],
    /// The tag.
    pub tag: &'a [u8; TAG_LEN],
    /// As long as the ciphertext.
    pub out: &'a mut [u8],
}

impl OpenJob<'_> {
    /// Where a job will be.
    pub const fn none() -> Self {
        Self {
            nonce: [0; 12],
            aad: Aad::NONE,
            ciphertext: &[],
            tag: &[0; TAG_LEN],
            out: &mut [],
        }
    }
}

/// One record to unprotect whose last byte, the content type in TLS 1.3, may be kept apart.
#[derive(Debug)]
pub struct InnerJob<'a> {
    /// The record.
    pub job: OpenJob<'a>,
    /// None: `out` is as long as the ciphertext. Otherwise it is one byte shorter, and the last byte
    /// of the inner plaintext comes here.
    pub inner_type: Option<u8>,
}

impl InnerJob<'_> {
    /// Where a job will be.
    pub const fn none() -> Self {
        Self {
            job: OpenJob::none(),
            inner_type: None,
        }
    }
}

/// An expanded key of some AEAD, in use by one direction. One pass over the bytes, no allocation.
pub trait RecordKey: Send + Sync {
    /// Protects one record, out of place.
    ///
    /// # Panics
    /// When the lengths of a job do not fit together: a bug of the record layer.
    fn seal(&self, job: SealJob<'_>);

    /// Unprotects one record, out of place.
    ///
    /// # Errors
    /// [`Error::BadTag`]; no plaintext is left in `out` then.
    fn open(&self, job: OpenJob<'_>) -> Result<(), Error>;

    /// This key, if several records together take it less time than one after the other.
    fn interleaved(&self) -> Option<&dyn Interleaved> {
        None
    }
}

/// A key that works on several records at once.
pub trait Interleaved {
    /// As [`RecordKey::seal`] for every job.
    fn seal_many(&self, jobs: &mut [SealJob<'_>]);

    /// As [`RecordKey::open`] for the jobs in order, until one fails; gives how many were opened.
    /// No plaintext of the others is left.
    fn open_many(&self, jobs: &mut [InnerJob<'_>]) -> usize;
}

/// All the cryptography that the core needs, handed in from outside.
pub trait Provider: Send + Sync {
    /// Expands a key.
    ///
    /// # Errors
    /// [`Error::CipherMissing`], [`Error::BadLength`]
    fn record_key(&self, algorithm: AeadAlgorithm, key: &[u8])
    -> Result<Box<dyn RecordKey>, Error>;

    /// HKDF-Expand (RFC 5869 §2.3) with `secret` as PRK, filling `out`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] when the hash is not there, [`Error::BadLength`]
    fn expand(&self, hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error>;

    /// Which implementation serves the algorithm, or None.
    fn implementation(&self, algorithm: AeadAlgorithm) -> Option<&'static str>;
}
