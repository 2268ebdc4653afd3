//! Traffic secrets: `application_traffic_secret_N` (RFC 8446 §7).

use std::fmt;

use zeroize::Zeroizing;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::suite::{Cipher, Suite};

/// The secret of one direction and generation. Wiped when dropped.
#[derive(Clone)]
pub struct TrafficSecret {
    suite: &'static Suite,
    generation: u64,
    secret: Zeroizing<Vec<u8>>,
}

impl TrafficSecret {
    /// Stores a secret of a handshake (generation 0) or of a later generation.
    ///
    /// # Errors
    /// - [`Error::UnknownSuite`] if there is no suite with this number.
    /// - [`Error::BadLength`] if the secret is not as long as the suite's hash.
    pub fn new(suite: u16, secret: &[u8], generation: u64) -> Result<Self, Error> {
        let suite = Suite::by_id(suite)?;
        let want = suite.hash.output_len();
        if secret.len() != want {
            return Err(Error::BadLength {
                what: "the secret",
                len: secret.len(),
                want,
            });
        }
        Ok(Self {
            suite,
            generation,
            secret: Zeroizing::new(secret.to_vec()),
        })
    }

    /// Returns the suite.
    #[must_use]
    pub const fn suite(&self) -> &'static Suite {
        self.suite
    }

    /// Returns the number of key updates before this secret.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the bytes of the secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.secret
    }

    /// Derives the traffic key and iv of this secret (RFC 8446 §7.3).
    ///
    /// # Errors
    /// Returns [`Error::CipherMissing`] if `provider` has no implementation of the hash.
    pub fn crypto_info(&self, provider: &dyn Provider, rec_seq: u64) -> Result<CryptoInfo, Error> {
        let cipher = Cipher::by_type(self.suite.cipher_type)?;
        let key = self.expand_label(provider, "key", cipher.key_len)?;
        let iv = self.expand_label(provider, "iv", cipher.salt_len + cipher.iv_len)?;
        CryptoInfo::from_key_iv(cipher.cipher_type, &key, &iv, rec_seq)
    }

    /// Derives the secret of the next generation (RFC 8446 §7.2).
    ///
    /// # Errors
    /// - [`Error::CipherMissing`] if `provider` has no implementation of the hash.
    /// - [`Error::SeqExhausted`] if this is generation 2^64 - 1.
    pub fn next(&self, provider: &dyn Provider) -> Result<Self, Error> {
        let generation = self.generation.checked_add(1).ok_or(Error::SeqExhausted)?;
        Ok(Self {
            generation,
            ..self.derive_next(provider)?
        })
    }

    /// Checks that two directions have different secrets, even if one of them is up to three key
    /// updates behind the other. Otherwise one direction would reach the other's key, and nonces
    /// would repeat.
    ///
    /// # Errors
    /// - [`Error::OneSecret`] if the secrets are the same.
    /// - [`Error::CipherMissing`] if `provider` has no implementation of the hash.
    pub fn check_apart(&self, other: &Self, provider: &dyn Provider) -> Result<(), Error> {
        let (mut one, mut two) = (self.clone(), other.clone());
        for _ in 0..=MAX_UPDATES_APART {
            if one.has_same_secret(other) || two.has_same_secret(self) {
                return Err(Error::OneSecret);
            }
            (one, two) = (one.derive_next(provider)?, two.derive_next(provider)?);
        }
        Ok(())
    }

    /// Compares the secrets in constant time.
    fn has_same_secret(&self, other: &Self) -> bool {
        let pairs = std::iter::zip(&*self.secret, &*other.secret);
        let difference = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0 && self.secret.len() == other.secret.len()
    }

    /// Derives the next secret, with the generation unchanged.
    fn derive_next(&self, provider: &dyn Provider) -> Result<Self, Error> {
        let secret = self.expand_label(provider, "traffic upd", self.suite.hash.output_len())?;
        Ok(Self {
            secret,
            ..self.clone()
        })
    }

    /// Computes HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
    fn expand_label(
        &self,
        provider: &dyn Provider,
        label: &str,
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut out = Zeroizing::new(vec![0; len]);
        provider.expand(
            self.suite.hash,
            &self.secret,
            &hkdf_label(label, len),
            &mut out,
        )?;
        Ok(out)
    }
}

/// The most key updates between two secrets that are still recognized as the same.
const MAX_UPDATES_APART: usize = 3;

/// Encodes `HkdfLabel`: length, "tls13 " + label, empty context. All labels are shorter than 250
/// bytes.
fn hkdf_label(label: &str, len: usize) -> Vec<u8> {
    let mut info = vec![0, len as u8, (6 + label.len()) as u8];
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    info
}

impl fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TrafficSecret({}, generation {})",
            self.suite.name, self.generation
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_that_of_the_rfc() {
        assert_eq!(hkdf_label("key", 16), b"\x00\x10\x09tls13 key\x00");
    }

    #[test]
    fn a_secret_of_another_length_is_refused() {
        let error = TrafficSecret::new(0x1302, &[0; 32], 0).unwrap_err();
        assert_eq!(
            error,
            Error::BadLength {
                what: "the secret",
                len: 32,
                want: 48
            }
        );
    }
}
