//! The only cryptography of the project: record keys for every suite, behind [`ktls_core::aead`].
#![deny(unsafe_code)]

mod aws_lc;

use aws_lc_rs::hkdf;
use ktls_core::Error;
use ktls_core::aead::{Provider, RecordKey};
use ktls_core::suite::{Algorithm, CIPHERS, Cipher, Hash};

/// The provider that everything above uses.
pub static PROVIDER: Aead = Aead;

/// AES-GCM and ChaCha20-Poly1305 by aws-lc; HKDF by aws-lc.
#[derive(Debug)]
pub struct Aead;

impl Provider for Aead {
    fn record_key(&self, algorithm: Algorithm, key: &[u8]) -> Result<Box<dyn RecordKey>, Error> {
        let Some(aead) = aws_lc::algorithm(algorithm) else {
            return Err(Error::CipherMissing {
                cipher: cipher_name(algorithm),
            });
        };
        Ok(Box::new(aws_lc::AwsLcKey::new(aead, key)?))
    }

    fn expand(&self, hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let algorithm = match hash {
            Hash::Sha256 => hkdf::HKDF_SHA256,
            Hash::Sha384 => hkdf::HKDF_SHA384,
            Hash::Sm3 => return Err(Error::CipherMissing { cipher: "SM3" }),
        };
        let too_long = Error::BadLength {
            what: "HKDF output",
            len: out.len(),
            want: 255,
        };
        let prk = hkdf::Prk::new_less_safe(algorithm, secret);
        let info = [info];
        let okm = prk.expand(&info, OutLen(out.len())).map_err(|_| too_long)?;
        okm.fill(out).map_err(|_| too_long)
    }

    fn implementation(&self, algorithm: Algorithm) -> Option<&'static str> {
        aws_lc::algorithm(algorithm).map(|_| "aws-lc")
    }
}

struct OutLen(usize);

impl hkdf::KeyType for OutLen {
    fn len(&self) -> usize {
        self.0
    }
}

fn cipher_name(algorithm: Algorithm) -> &'static str {
    CIPHERS
        .iter()
        .find(|cipher| cipher.algorithm == algorithm)
        .map_or("the cipher", |c: &Cipher| c.name)
}

/// The features of this CPU that matter for record speed.
#[must_use]
pub fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    macro_rules! present {
        ($($name:tt)*) => {
            [$(($name, std::arch::is_x86_feature_detected!($name))),*]
        };
    }
    #[cfg(target_arch = "x86_64")]
    let known = present!("aes" "pclmulqdq" "avx2" "vaes" "vpclmulqdq" "avx512f" "avx512bw" "avx512vl" "avx512ifma" "sha");
    #[cfg(target_arch = "aarch64")]
    let known = [
        ("aes", std::arch::is_aarch64_feature_detected!("aes")),
        ("pmull", std::arch::is_aarch64_feature_detected!("pmull")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    known
        .into_iter()
        .filter(|(_, present)| *present)
        .map(|(name, _)| name)
        .collect()
}
