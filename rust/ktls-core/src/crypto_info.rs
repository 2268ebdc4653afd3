//! The kernel's `tls12_crypto_info_*` structs (`docs/kernel-rules.md`, S1.2).

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::aead::Provider;
use crate::error::Error;
use crate::suite::{Cipher, Hash};
use crate::wire::{TLS12, TLS13};

/// A direction of a socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// `TLS_TX`
    Tx,
    /// `TLS_RX`
    Rx,
}

/// A traffic key in the form in which user space passes it to the kernel. Wiped when dropped.
#[derive(Clone)]
pub struct CryptoInfo {
    version: u16,
    cipher: &'static Cipher,
    secret: CryptoInfoSecret,
    /// The number of the first record under this key.
    pub rec_seq: u64,
}

/// The longest key of any cipher in bytes. The arrays are fixed, so that a `CryptoInfo` never
/// allocates.
const MAX_KEY: usize = 32;
const NONCE_LEN: usize = 12;

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct CryptoInfoSecret {
    key: [u8; MAX_KEY],
    /// salt ‖ iv: the 12 bytes from which nonces are made.
    nonce: [u8; NONCE_LEN],
}

impl CryptoInfo {
    /// Creates the description of a key whose next record has the number `rec_seq`.
    ///
    /// # Errors
    /// - [`Error::UnknownVersion`] if `version` is neither TLS 1.2 nor TLS 1.3.
    /// - [`Error::UnknownCipher`] if the kernel has no cipher with this number.
    /// - [`Error::CipherNotIn13`] if the kernel has the cipher in TLS 1.2 only.
    /// - [`Error::BadLength`] if `iv`, `key` or `salt` has the wrong length.
    pub fn new(
        version: u16,
        cipher_type: u16,
        iv: &[u8],
        key: &[u8],
        salt: &[u8],
        rec_seq: u64,
    ) -> Result<Self, Error> {
        let cipher = check_cipher(version, cipher_type)?;
        check_len("iv", iv, cipher.iv_len)?;
        check_len("key", key, cipher.key_len)?;
        check_len("salt", salt, cipher.salt_len)?;
        let mut secret = CryptoInfoSecret {
            key: [0; MAX_KEY],
            nonce: [0; NONCE_LEN],
        };
        secret.key[..key.len()].copy_from_slice(key);
        secret.nonce[..salt.len()].copy_from_slice(salt);
        secret.nonce[salt.len()..].copy_from_slice(iv);
        Ok(Self {
            version,
            cipher,
            secret,
            rec_seq,
        })
    }

    /// Creates the description of a TLS 1.3 key from its 12-byte iv, which the kernel splits into
    /// salt and iv.
    ///
    /// # Errors
    /// Returns the errors of [`CryptoInfo::new`].
    pub fn from_key_iv(
        cipher_type: u16,
        key: &[u8],
        iv: &[u8],
        rec_seq: u64,
    ) -> Result<Self, Error> {
        check_len("iv", iv, NONCE_LEN)?;
        let (salt, rest) = iv.split_at(Cipher::by_type(cipher_type)?.salt_len);
        Self::new(TLS13, cipher_type, rest, key, salt, rec_seq)
    }

    /// Parses the kernel's struct.
    ///
    /// # Errors
    /// - The errors of [`CryptoInfo::new`].
    /// - [`Error::BadLength`] if `data` is shorter or longer than the struct.
    pub fn from_bytes(data: &[u8]) -> Result<Self, Error> {
        let (version, cipher_type) = head(data)?;
        let cipher = check_cipher(version, cipher_type)?;
        check_len("the crypto_info struct", data, cipher.info_len())?;
        let (iv, rest) = data[4..].split_at(cipher.iv_len);
        let (key, rest) = rest.split_at(cipher.key_len);
        let (salt, rec_seq) = rest.split_at(cipher.salt_len);
        let mut number = [0; 8];
        number.copy_from_slice(rec_seq);
        Self::new(
            version,
            cipher_type,
            iv,
            key,
            salt,
            u64::from_be_bytes(number),
        )
    }

    /// Returns the bytes of the kernel's struct, in which version and cipher are in the host's byte
    /// order. They contain the key.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.cipher.info_len()));
        out.extend_from_slice(&self.version.to_ne_bytes());
        out.extend_from_slice(&self.cipher.cipher_type.to_ne_bytes());
        out.extend_from_slice(self.iv());
        out.extend_from_slice(self.key());
        out.extend_from_slice(self.salt());
        out.extend_from_slice(&self.rec_seq.to_be_bytes());
        out
    }

    /// Returns the protocol version: 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Returns the cipher.
    #[must_use]
    pub const fn cipher(&self) -> &'static Cipher {
        self.cipher
    }

    /// Returns the traffic key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.secret.key[..self.cipher.key_len]
    }

    /// Returns the part of the nonce after the salt.
    #[must_use]
    pub fn iv(&self) -> &[u8] {
        &self.secret.nonce[self.cipher.salt_len..]
    }

    /// Returns the first bytes of the nonce.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.secret.nonce[..self.cipher.salt_len]
    }

    /// Returns salt ‖ iv.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; NONCE_LEN] {
        &self.secret.nonce
    }

    /// Returns 8 bytes of a one-way function of the key, to recognize it later without storing it.
    ///
    /// # Errors
    /// Returns [`Error::CipherMissing`] if `provider` has no SHA-256.
    pub(crate) fn key_digest(&self, provider: &dyn Provider) -> Result<u64, Error> {
        let mut digest = [0; 8];
        let label = b"ktls_fast key digest";
        provider.expand(Hash::Sha256, &self.secret.key, label, &mut digest)?;
        Ok(u64::from_ne_bytes(digest))
    }

    /// Checks that the two directions of a connection do not share their key.
    ///
    /// # Errors
    /// Returns [`Error::OneSecret`] if they do: nonces would repeat. Compares the keys in constant
    /// time.
    pub fn check_apart(&self, other: &Self) -> Result<(), Error> {
        let pairs = std::iter::zip(&self.secret.key, &other.secret.key);
        let difference = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        if std::hint::black_box(difference) == 0 {
            return Err(Error::OneSecret);
        }
        Ok(())
    }

    /// Returns `true` if both describe the same key. Compares secrets in constant time.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let difference = std::iter::zip(&self.secret.key, &other.secret.key)
            .chain(std::iter::zip(&self.secret.nonce, &other.secret.nonce))
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
            && self.version == other.version
            && self.cipher == other.cipher
            && self.rec_seq == other.rec_seq
    }
}

/// Parses the version and the cipher number at the start of a struct.
///
/// # Errors
/// Returns [`Error::BadLength`] if `data` has fewer than four bytes.
pub fn head(data: &[u8]) -> Result<(u16, u16), Error> {
    let &[a, b, c, d, ..] = data else {
        return Err(Error::BadLength {
            what: "the crypto_info header",
            len: data.len(),
            want: 4,
        });
    };
    Ok((u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])))
}

fn check_cipher(version: u16, cipher_type: u16) -> Result<&'static Cipher, Error> {
    if !matches!(version, TLS12 | TLS13) {
        return Err(Error::UnknownVersion { version });
    }
    let cipher = Cipher::by_type(cipher_type)?;
    if version == TLS13 && !cipher.in_tls13 {
        return Err(Error::CipherNotIn13 {
            cipher: cipher.name,
        });
    }
    Ok(cipher)
}

/// Checks that a record of this version can have this content type.
///
/// # Errors
/// Returns [`Error::NoRecordTypeZero`] for type 0 in TLS 1.3: zeros after the plaintext are padding
/// (RFC 8446 §5.4).
pub const fn check_record_type(version: u16, record_type: u8) -> Result<(), Error> {
    if version == TLS13 && record_type == 0 {
        return Err(Error::NoRecordTypeZero);
    }
    Ok(())
}

fn check_len(what: &'static str, bytes: &[u8], expected_len: usize) -> Result<(), Error> {
    if bytes.len() == expected_len {
        return Ok(());
    }
    Err(Error::BadLength {
        what,
        len: bytes.len(),
        want: expected_len,
    })
}

impl fmt::Debug for CryptoInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CryptoInfo({:#06x}, {})", self.version, self.cipher.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::CIPHERS;

    fn numbered(len: usize, from: u8) -> Vec<u8> {
        (0..len).map(|i| from.wrapping_add(i as u8)).collect()
    }

    #[test]
    fn each_struct_reads_back_and_no_other_length_does() {
        for cipher in &CIPHERS {
            let (iv, key) = (numbered(cipher.iv_len, 1), numbered(cipher.key_len, 50));
            let salt = numbered(cipher.salt_len, 200);
            let info = CryptoInfo::new(TLS12, cipher.cipher_type, &iv, &key, &salt, 7).unwrap();
            let mut bytes = info.to_bytes();
            assert_eq!(bytes.len(), cipher.info_len(), "{}", cipher.name);
            assert_eq!(
                bytes[4..4 + cipher.iv_len],
                iv,
                "{}: iv comes first",
                cipher.name
            );
            assert!(CryptoInfo::from_bytes(&bytes).unwrap().same_as(&info));
            assert!(CryptoInfo::from_bytes(&bytes[..bytes.len() - 1]).is_err());
            bytes.push(0);
            assert!(CryptoInfo::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn aria_is_refused_in_tls13() {
        let error = CryptoInfo::new(TLS13, 57, &[0; 8], &[0; 16], &[0; 4], 0).unwrap_err();
        assert_eq!(
            error,
            Error::CipherNotIn13 {
                cipher: "ARIA_GCM_128"
            }
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let info = CryptoInfo::new(TLS13, 51, &[0xab; 8], &[0xcd; 16], &[0xef; 4], 0).unwrap();
        assert_eq!(format!("{info:?}"), "CryptoInfo(0x0304, AES_GCM_128)");
    }
}
