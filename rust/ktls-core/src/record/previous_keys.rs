//! The keys that a sealer or opener had before.

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;

/// The keys before the one in use, each as a digest of 8 bytes, from which the key cannot be
/// computed.
///
/// Grows by 8 bytes with each key. Two different keys have the same digest with a probability of
/// 2^-64.
#[derive(Debug, Default)]
pub(super) struct PastKeys(Vec<u64>);

impl PastKeys {
    /// Checks that `next` is neither the key in use nor one before it. Returns the digest of the
    /// key in use, to be [added](Self::add) once `next` is installed.
    ///
    /// Salt, iv and record number are not compared: with another value of these the same key would
    /// still exceed its limits, and nonces would repeat if the numbers overlap.
    ///
    /// # Errors
    /// [`Error::KeyUsed`] if the key was used before; [`Error::CipherMissing`] if the provider has
    /// no SHA-256.
    pub(super) fn check(
        &self,
        in_use: &CryptoInfo,
        next: &CryptoInfo,
        provider: &dyn Provider,
    ) -> Result<u64, Error> {
        let (digest, next) = (in_use.key_digest(provider)?, next.key_digest(provider)?);
        // Constant time: every digest is compared, even after a match.
        let differences = self.0.iter().chain([&digest]).map(|past| past ^ next);
        let found = differences.fold(0, |found, difference| found | u64::from(difference == 0));
        if std::hint::black_box(found) != 0 {
            return Err(Error::KeyUsed);
        }
        Ok(digest)
    }

    /// Adds the digest of a key that was replaced.
    pub(super) fn add(&mut self, digest: u64) {
        self.0.push(digest);
    }
}
