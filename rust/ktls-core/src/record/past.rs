//! Which keys an object has had before.

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;

/// The keys before the one in use, each as a digest of 8 bytes that does not give it away.
///
/// It grows by that much with each key, and by no more. Two different keys are taken for one with a
/// chance of 2^-64.
#[derive(Debug, Default)]
pub(super) struct PastKeys(Vec<u64>);

impl PastKeys {
    /// Refuses `next` when it is the key in use or one of those before; gives the digest of the key in
    /// use, to be [added](Self::add) once `next` has followed it.
    ///
    /// Salt, iv and record number do not make another key of it: it would go past its limits, and with
    /// an iv for which the numbers overlap, nonces would come twice.
    ///
    /// # Errors
    /// [`Error::KeyUsed`]; [`Error::CipherMissing`] without SHA-256.
    pub(super) fn check(
        &self,
        in_use: &CryptoInfo,
        next: &CryptoInfo,
        provider: &dyn Provider,
    ) -> Result<u64, Error> {
        let (digest, next) = (in_use.key_digest(provider)?, next.key_digest(provider)?);
        // All of them, whether one was found or not: the time tells nothing.
        let differences = self.0.iter().chain([&digest]).map(|past| past ^ next);
        let found = differences.fold(0, |found, difference| found | u64::from(difference == 0));
        if std::hint::black_box(found) != 0 {
            return Err(Error::KeyUsed);
        }
        Ok(digest)
    }

    pub(super) fn add(&mut self, digest: u64) {
        self.0.push(digest);
    }
}
