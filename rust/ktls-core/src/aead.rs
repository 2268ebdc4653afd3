//! What the record layer asks of a cipher.

use crate::error::Error;
use crate::suite::{Algorithm, Hash};
use crate::wire::TAG_LEN;

/// The 12 bytes that make one use of a key unlike any other; derived, never stored.
pub type NonceBytes = [u8; 12];

/// Additional data of a record: its header in TLS 1.3 (5 bytes), 13 bytes in TLS 1.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Aad {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Aad {
    /// More than a record has, so that published vectors fit; 24 bytes with the length.
    pub const MAX_LEN: usize = 23;

    /// No additional data.
    pub const NONE: Self = Self {
        bytes: [0; Self::MAX_LEN],
        len: 0,
    };

    /// The five header bytes of a TLS 1.3 record.
    #[must_use]
    pub fn header(header: [u8; 5]) -> Self {
        Self::fitting(&header)
    }

    /// The 13 bytes of TLS 1.2: number, type, version, plaintext length (RFC 5246 §6.2.3.3).
    #[must_use]
    pub fn numbered(bytes: [u8; 13]) -> Self {
        Self::fitting(&bytes)
    }

    /// The only maker, for `len` to be a length: its callers know that `from` fits.
    fn fitting(from: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..from.len()].copy_from_slice(from);
        Self {
            bytes,
            len: from.len() as u8,
        }
    }
}

impl TryFrom<&[u8]> for Aad {
    type Error = Error;

    /// Any additional data, as a test vector has it.
    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() <= Self::MAX_LEN {
            return Ok(Self::fitting(bytes));
        }
        Err(Error::BadLength {
            what: "additional data",
            len: bytes.len(),
            want: Self::MAX_LEN,
        })
    }
}

impl AsRef<[u8]> for Aad {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

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
    /// Exactly ciphertext and tag; none of it is read.
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
            job: OpenJob {
                nonce: [0; 12],
                aad: Aad::NONE,
                ciphertext: &[],
                tag: &[0; TAG_LEN],
                out: &mut [],
            },
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
    fn record_key(&self, algorithm: Algorithm, key: &[u8]) -> Result<Box<dyn RecordKey>, Error>;

    /// HKDF-Expand (RFC 5869 §2.3) with `secret` as PRK, filling `out`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] when the hash is not there, [`Error::BadLength`]
    fn expand(&self, hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error>;

    /// Which implementation serves the algorithm, or None.
    fn implementation(&self, algorithm: Algorithm) -> Option<&'static str>;
}
