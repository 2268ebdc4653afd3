//! The kernel's ciphers, and the TLS 1.3 suites that use them.

mod tls12;

use crate::error::Error;
use crate::wire::{HEADER_LEN, TAG_LEN, TLS13};

pub use tls12::TLS12_SUITES;

/// The AEAD algorithm of a cipher.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AeadAlgorithm {
    /// AES-128-GCM
    Aes128Gcm,
    /// AES-256-GCM
    Aes256Gcm,
    /// AES-128-CCM with a 16-byte tag
    Aes128Ccm,
    /// ChaCha20-Poly1305
    ChaCha20Poly1305,
    /// SM4-GCM
    Sm4Gcm,
    /// SM4-CCM
    Sm4Ccm,
    /// ARIA-128-GCM
    Aria128Gcm,
    /// ARIA-256-GCM
    Aria256Gcm,
}

/// One of the kernel's ciphers: the layout of its `tls12_crypto_info_*` struct and its record
/// format.
#[derive(Debug, Eq, PartialEq)]
pub struct Cipher {
    /// The kernel's number: 51 to 58.
    pub cipher_type: u16,
    /// The kernel's name without `TLS_CIPHER_`.
    pub name: &'static str,
    /// The AEAD algorithm.
    pub algorithm: AeadAlgorithm,
    /// The length of the struct's `iv` in bytes.
    pub iv_len: usize,
    /// The length of the struct's `key` in bytes.
    pub key_len: usize,
    /// The length of the struct's `salt` in bytes: the first bytes of the nonce.
    pub salt_len: usize,
    /// The length in bytes of the explicit nonce that a TLS 1.2 record carries.
    pub explicit_len: usize,
    /// Whether the kernel supports the cipher in TLS 1.3.
    pub in_tls13: bool,
    /// The number of records that one key may seal.
    pub limits: KeyLimits,
}

/// How many records one key may seal (RFC 8446 §5.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyLimits {
    /// After this many records the key should be replaced.
    pub soft: u64,
    /// The most records.
    pub hard: u64,
}

/// AES-GCM: with 2^24.5 full-size records the safety margin of RFC 8446 §5.5 is kept.
const GCM: KeyLimits = KeyLimits {
    soft: 1 << 24,
    hard: 23_726_566,
};
/// CCM: 2^23 records (RFC 9147 §4.5.3, which has the same AEAD).
const CCM: KeyLimits = KeyLimits {
    soft: 1 << 22,
    hard: 1 << 23,
};
/// ChaCha20-Poly1305: the record numbers end before the safety margin is reached.
const CHACHA: KeyLimits = KeyLimits {
    soft: 1 << 62,
    hard: u64::MAX,
};

/// The kernel's ciphers in the order of their numbers.
pub static CIPHERS: [Cipher; 8] = [
    gcm_like(51, "AES_GCM_128", AeadAlgorithm::Aes128Gcm, 16, true, GCM),
    gcm_like(52, "AES_GCM_256", AeadAlgorithm::Aes256Gcm, 32, true, GCM),
    gcm_like(53, "AES_CCM_128", AeadAlgorithm::Aes128Ccm, 16, true, CCM),
    Cipher {
        cipher_type: 54,
        name: "CHACHA20_POLY1305",
        algorithm: AeadAlgorithm::ChaCha20Poly1305,
        iv_len: 12,
        key_len: 32,
        salt_len: 0,
        explicit_len: 0,
        in_tls13: true,
        limits: CHACHA,
    },
    gcm_like(55, "SM4_GCM", AeadAlgorithm::Sm4Gcm, 16, true, GCM),
    gcm_like(56, "SM4_CCM", AeadAlgorithm::Sm4Ccm, 16, true, CCM),
    gcm_like(
        57,
        "ARIA_GCM_128",
        AeadAlgorithm::Aria128Gcm,
        16,
        false,
        GCM,
    ),
    gcm_like(
        58,
        "ARIA_GCM_256",
        AeadAlgorithm::Aria256Gcm,
        32,
        false,
        GCM,
    ),
];

const fn gcm_like(
    cipher_type: u16,
    name: &'static str,
    algorithm: AeadAlgorithm,
    key_len: usize,
    in_tls13: bool,
    limits: KeyLimits,
) -> Cipher {
    Cipher {
        cipher_type,
        name,
        algorithm,
        iv_len: 8,
        key_len,
        salt_len: 4,
        explicit_len: 8,
        in_tls13,
        limits,
    }
}

impl Cipher {
    /// Returns the cipher with this number.
    ///
    /// # Errors
    /// Returns [`Error::UnknownCipher`] if the kernel has no such cipher.
    pub fn by_type(cipher_type: u16) -> Result<&'static Self, Error> {
        CIPHERS
            .iter()
            .find(|cipher| cipher.cipher_type == cipher_type)
            .ok_or(Error::UnknownCipher { cipher_type })
    }

    /// Returns the length of the kernel's struct in bytes.
    #[must_use]
    pub const fn info_len(&self) -> usize {
        4 + self.iv_len + self.key_len + self.salt_len + 8
    }

    /// Returns the number of bytes in front of the ciphertext: the header and, in TLS 1.2, the
    /// explicit nonce.
    #[must_use]
    pub const fn prepend(&self, version: u16) -> usize {
        HEADER_LEN + self.explicit(version)
    }

    /// Returns the number of nonce bytes that each record carries.
    #[must_use]
    pub const fn explicit(&self, version: u16) -> usize {
        if version == TLS13 {
            0
        } else {
            self.explicit_len
        }
    }

    /// Returns the number of bytes that a record is longer than its plaintext.
    #[must_use]
    pub const fn overhead(&self, version: u16) -> usize {
        self.prepend(version) + TAG_LEN + (version == TLS13) as usize
    }
}

/// The hash function of a suite.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SM3
    Sm3,
}

impl Hash {
    /// Returns the length of the digest in bytes, which is also that of a traffic secret.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 | Self::Sm3 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// A suite: a cipher and a hash (RFC 8446 §B.4, RFC 8998; RFC 5246 §A.5 and its successors).
#[derive(Debug, Eq, PartialEq)]
pub struct Suite {
    /// The number in the IANA registry.
    pub id: u16,
    /// The name in the IANA registry.
    pub name: &'static str,
    /// The kernel's number of the cipher.
    pub cipher_type: u16,
    /// The hash function.
    pub hash: Hash,
}

/// The TLS 1.3 suites whose cipher the kernel has.
pub static SUITES: [Suite; 6] = [
    suite(0x1301, "TLS_AES_128_GCM_SHA256", 51, Hash::Sha256),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", 52, Hash::Sha384),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", 54, Hash::Sha256),
    suite(0x1304, "TLS_AES_128_CCM_SHA256", 53, Hash::Sha256),
    suite(0x00c6, "TLS_SM4_GCM_SM3", 55, Hash::Sm3),
    suite(0x00c7, "TLS_SM4_CCM_SM3", 56, Hash::Sm3),
];

const fn suite(id: u16, name: &'static str, cipher_type: u16, hash: Hash) -> Suite {
    Suite {
        id,
        name,
        cipher_type,
        hash,
    }
}

impl Suite {
    /// Returns the TLS 1.3 suite with this number.
    ///
    /// # Errors
    /// Returns [`Error::UnknownSuite`] if there is no such suite here.
    pub fn by_id(id: u16) -> Result<&'static Self, Error> {
        SUITES
            .iter()
            .find(|suite| suite.id == id)
            .ok_or(Error::UnknownSuite { suite: id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TLS12;

    #[test]
    fn struct_sizes_and_overheads_are_those_of_the_kernel() {
        // docs/kernel-rules.md, S1.2-2 and S2.1-1: total size, overhead in 1.2, overhead in 1.3
        for (cipher_type, info, in12, in13) in [
            (51, 40, 29, 22),
            (52, 56, 29, 22),
            (53, 40, 29, 22),
            (54, 56, 21, 22),
            (55, 40, 29, 22),
            (56, 40, 29, 22),
            (57, 40, 29, 22),
            (58, 56, 29, 22),
        ] {
            let cipher = Cipher::by_type(cipher_type).unwrap();
            let got = (
                cipher.info_len(),
                cipher.overhead(TLS12),
                cipher.overhead(TLS13),
            );
            assert_eq!(got, (info, in12, in13), "{}", cipher.name);
        }
        assert_eq!(
            Cipher::by_type(50),
            Err(Error::UnknownCipher { cipher_type: 50 })
        );
    }

    #[test]
    fn soft_limits_come_before_hard_ones() {
        for cipher in &CIPHERS {
            assert!(cipher.limits.soft < cipher.limits.hard, "{}", cipher.name);
        }
    }

    #[test]
    fn every_suite_has_its_cipher() {
        for suite in &SUITES {
            assert!(
                Cipher::by_type(suite.cipher_type).unwrap().in_tls13,
                "{}",
                suite.name
            );
        }
    }
}
