//! Sealing and opening one record under a traffic key.

mod nonce;
mod open;
mod seal;

use std::fmt;

use crate::aead::{Interleaved, Provider, RecordKey};
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::wire::{HEADER_LEN, TAG_LEN, TLS13};

pub use open::InnerPlaintext;

/// An expanded traffic key with its iv. It does not track record numbers.
pub struct TrafficKey {
    info: CryptoInfo,
    aead: Box<dyn RecordKey>,
    tls12: bool,
    /// The values of `cipher.explicit` and `cipher.overhead` for this version, looked up once.
    explicit: usize,
    overhead: usize,
}

impl TrafficKey {
    /// Expands the key of `info`.
    ///
    /// # Errors
    /// Returns [`Error::CipherMissing`] if `provider` has no implementation of the cipher.
    pub fn new(info: CryptoInfo, provider: &dyn Provider) -> Result<Self, Error> {
        let (cipher, version) = (info.cipher(), info.version());
        Ok(Self {
            aead: provider.record_key(cipher.algorithm, info.key())?,
            tls12: version != TLS13,
            explicit: cipher.explicit(version),
            overhead: cipher.overhead(version),
            info,
        })
    }

    /// Returns the key as it was installed, with its first record number.
    #[must_use]
    pub const fn info(&self) -> &CryptoInfo {
        &self.info
    }

    /// Returns the key as `getsockopt` reports it if `seq` is the next number: with the current iv
    /// and rec_seq (`docs/kernel-rules.md`, S1.5-3).
    #[must_use]
    pub fn live_info(&self, seq: u64) -> CryptoInfo {
        let mut live = self.info.clone();
        live.rec_seq = seq;
        if self.explicit == 0 {
            return live;
        }
        let salt = self.info.salt();
        CryptoInfo::new(
            self.info.version(),
            self.info.cipher().cipher_type,
            &self.explicit_nonce(seq),
            self.info.key(),
            salt,
            seq,
        )
        .unwrap_or(live)
    }

    /// Returns the number of bytes that a record is longer than its plaintext.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.overhead
    }

    /// Returns the number of bytes in front of the ciphertext.
    #[must_use]
    pub const fn prepend(&self) -> usize {
        HEADER_LEN + self.explicit
    }

    /// Checks that `next` may follow this key (`docs/kernel-rules.md`, S1.4-3 and S1.4-4).
    ///
    /// # Errors
    /// - [`Error::NoRekeyIn12`] if this key is for TLS 1.2.
    /// - [`Error::RekeyMismatch`] if `next` has another version or cipher.
    pub fn check_rekey(&self, next: &CryptoInfo) -> Result<(), Error> {
        if self.is_tls12() {
            return Err(Error::NoRekeyIn12);
        }
        check_unchanged("version", self.info.version(), next.version())?;
        check_unchanged(
            "cipher",
            self.info.cipher().cipher_type,
            next.cipher().cipher_type,
        )
    }

    /// Returns the key as [`Interleaved`] if it processes several records together faster than one
    /// after the other.
    pub(crate) fn interleaved(&self) -> Option<&dyn Interleaved> {
        self.aead.interleaved()
    }

    /// Returns the length of the inner plaintext in a record of `record_len` bytes.
    ///
    /// # Errors
    /// Returns [`Error::RecordTooShort`] if such a record has no room for nonce and tag.
    #[inline]
    pub fn inner_len(&self, record_len: usize) -> Result<usize, Error> {
        record_len
            .checked_sub(self.prepend() + TAG_LEN)
            .ok_or_else(|| self.too_short(record_len))
    }

    #[cold]
    fn too_short(&self, record_len: usize) -> Error {
        Error::RecordTooShort {
            len: record_len.saturating_sub(HEADER_LEN),
            min: self.explicit + TAG_LEN,
        }
    }

    /// Returns the key of the AEAD, for jobs that are not whole records.
    #[must_use]
    pub fn aead(&self) -> &dyn RecordKey {
        &*self.aead
    }

    /// Returns `true` if the key is for TLS 1.2.
    pub(crate) const fn is_tls12(&self) -> bool {
        self.tls12
    }
}

fn check_unchanged(what: &'static str, installed: u16, given: u16) -> Result<(), Error> {
    if installed == given {
        return Ok(());
    }
    Err(Error::RekeyMismatch {
        what,
        installed,
        given,
    })
}

impl fmt::Debug for TrafficKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrafficKey({:?})", self.info)
    }
}
