//! The interface between the record layer and cryptography.

use crate::error::Error;
use crate::suite::{AeadAlgorithm, Hash};
use crate::wire::TAG_LEN;

/// The 12 bytes that must differ for each use of a key. Derived, never stored.
pub type NonceBytes = [u8; 12];

/// The additional data of a record: in TLS 1.3 its header (5 bytes), in TLS 1.2 13 bytes.
///
/// Stored in words instead of bytes: batches write one for each record and compare it soon after,
/// and loads of another width than the stores defeat store forwarding.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Aad {
    /// The first 8 bytes, least significant first.
    head: u64,
    /// The next 15 bytes and the length.
    rest: [u64; 2],
}

/// Additional data as bytes.
#[derive(Clone, Copy, Debug)]
pub struct AadBytes {
    bytes: [u8; 24],
    len: usize,
}

impl Aad {
    /// The most bytes. More than records need, so that published test vectors fit; with the length,
    /// 24.
    pub const MAX_LEN: usize = 23;

    /// No additional data.
    pub const NONE: Self = Self {
        head: 0,
        rest: [0; 2],
    };

    /// Returns the additional data of a TLS 1.3 record: its five header bytes.
    #[must_use]
    #[inline]
    pub const fn header([a, b, c, d, e]: [u8; 5]) -> Self {
        Self {
            head: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
            rest: [0, 5 << LEN_SHIFT],
        }
    }

    /// Returns the 13 bytes of TLS 1.2: number, type, version and plaintext length (RFC 5246
    /// §6.2.3.3).
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

    /// Returns the additional data as bytes.
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
    /// Compares word by word: a wider load of words that were just stored would defeat store
    /// forwarding.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let same = |i: usize| self.rest[i] == other.rest[i];
        self.head == other.head && same(1) && same(0)
    }
}

impl TryFrom<&[u8]> for Aad {
    type Error = Error;

    /// Converts additional data of any kind, such as that of a test vector.
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

/// The position of the length in its word.
const LEN_SHIFT: u32 = 56;

/// One record to seal: everything between the header and the end of the tag.
#[derive(Debug)]
pub struct SealJob<'a> {
    /// The nonce.
    pub nonce: NonceBytes,
    /// The additional data.
    pub aad: Aad,
    /// The plaintext fragment.
    pub plaintext: &'a [u8],
    /// The content type that follows the plaintext in TLS 1.3. `None` in TLS 1.2.
    pub inner_type: Option<u8>,
    /// The output, exactly as long as ciphertext and tag. Its contents are overwritten. The
    /// ciphertext may be read back for the tag: a thread that writes to it meanwhile makes the tag
    /// valid for what it wrote.
    pub out: &'a mut [u8],
}

impl SealJob<'_> {
    /// Returns an empty job, to be filled in.
    pub const fn empty() -> Self {
        Self {
            nonce: [0; 12],
            aad: Aad::NONE,
            plaintext: &[],
            inner_type: None,
            out: &mut [],
        }
    }
}

/// One record to open.
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
    /// The output, as long as the ciphertext.
    pub out: &'a mut [u8],
}

impl OpenJob<'_> {
    /// Returns an empty job, to be filled in.
    pub const fn empty() -> Self {
        Self {
            nonce: [0; 12],
            aad: Aad::NONE,
            ciphertext: &[],
            tag: &[0; TAG_LEN],
            out: &mut [],
        }
    }
}

/// One record to open whose last byte, the content type in TLS 1.3, may be stored separately.
#[derive(Debug)]
pub struct InnerJob<'a> {
    /// The record to open.
    pub job: OpenJob<'a>,
    /// If `None`, `out` is as long as the ciphertext. Otherwise `out` is one byte shorter, and the
    /// last byte of the inner plaintext is stored here.
    pub inner_type: Option<u8>,
}

impl InnerJob<'_> {
    /// Returns an empty job, to be filled in.
    pub const fn empty() -> Self {
        Self {
            job: OpenJob::empty(),
            inner_type: None,
        }
    }
}

/// An expanded key of an AEAD, in use by one direction. Implementations make one pass over the
/// bytes and do not allocate.
pub trait RecordKey: Send + Sync {
    /// Seals one record, out of place.
    ///
    /// # Panics
    /// Panics if the lengths of the job's fields do not match, which is a bug of the record layer.
    fn seal(&self, job: SealJob<'_>);

    /// Opens one record, out of place.
    ///
    /// # Errors
    /// Returns [`Error::BadTag`] if the tag does not match. Then `out` contains no plaintext.
    fn open(&self, job: OpenJob<'_>) -> Result<(), Error>;

    /// Returns this key as [`Interleaved`] if it processes several records together faster than one
    /// after the other.
    fn interleaved(&self) -> Option<&dyn Interleaved> {
        None
    }
}

/// A key that processes several records at once.
pub trait Interleaved {
    /// Seals every job as [`RecordKey::seal`] does.
    fn seal_many(&self, jobs: &mut [SealJob<'_>]);

    /// Opens the jobs in order, as [`RecordKey::open`] does, until one fails. Returns the number of
    /// jobs that were opened. The outputs of the others contain no plaintext.
    fn open_many(&self, jobs: &mut [InnerJob<'_>]) -> usize;
}

/// The cryptography that the core needs, implemented outside of it.
pub trait Provider: Send + Sync {
    /// Expands a key.
    ///
    /// # Errors
    /// - [`Error::CipherMissing`] if the algorithm is not implemented.
    /// - [`Error::BadLength`] if `key` has the wrong length.
    fn record_key(&self, algorithm: AeadAlgorithm, key: &[u8])
    -> Result<Box<dyn RecordKey>, Error>;

    /// Computes HKDF-Expand (RFC 5869 §2.3) with `secret` as PRK, and fills `out`.
    ///
    /// # Errors
    /// - [`Error::CipherMissing`] if the hash is not implemented.
    /// - [`Error::BadLength`] if `out` is longer than HKDF allows.
    fn expand(&self, hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error>;

    /// Computes the PRF of TLS 1.2 (RFC 5246 §5), and fills `out`.
    ///
    /// # Errors
    /// - [`Error::CipherMissing`] if the hash is not implemented.
    /// - [`Error::BadLength`] if `secret` is empty.
    fn prf(
        &self,
        hash: Hash,
        secret: &[u8],
        label: &[u8],
        seed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error>;

    /// Returns the name of the implementation of the algorithm, or `None` if there is none.
    fn implementation(&self, algorithm: AeadAlgorithm) -> Option<&'static str>;
}
