//! The only cryptography of the project: record keys for every suite, behind the traits of
//! [`ktls_core::aead`].
#![deny(unsafe_code)]

mod aws_lc;
mod expand;
mod prf;
mod rustcrypto;
mod select;
#[cfg_attr(not(target_arch = "x86_64"), path = "vaes/absent.rs")]
mod vaes;

use ktls_core::Error;
use ktls_core::aead::{Provider, RecordKey};
use ktls_core::suite::{AeadAlgorithm, Hash};

pub use crate::select::AesGcmPreference;
use crate::select::implementation_of;

/// The provider that all other crates use. The environment variable `KTLS_FAST_AEAD` decides which
/// implementation of AES-GCM it uses.
pub static PROVIDER: Aead = Aead { preference: None };

/// Every AEAD and hash of the kernel's table of ciphers, each in its chosen implementation.
#[derive(Debug)]
pub struct Aead {
    /// `None` if the environment variable decides.
    preference: Option<AesGcmPreference>,
}

impl Aead {
    /// Returns a provider that implements AES-GCM according to `preference`. The environment
    /// variable is ignored.
    #[must_use]
    pub const fn with(preference: AesGcmPreference) -> Self {
        Self {
            preference: Some(preference),
        }
    }
}

impl Provider for Aead {
    fn record_key(
        &self,
        algorithm: AeadAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn RecordKey>, Error> {
        let expanded = (implementation_of(algorithm, self.preference)?.record_key)(key);
        wipe_stack();
        expanded
    }

    fn expand(&self, hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
        expand::expand(hash, secret, info, out)
    }

    fn prf(
        &self,
        hash: Hash,
        secret: &[u8],
        label: &[u8],
        seed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        prf::prf(hash, secret, label, seed, out)
    }

    fn implementation(&self, algorithm: AeadAlgorithm) -> Option<&'static str> {
        let chosen = implementation_of(algorithm, self.preference).ok()?;
        Some(chosen.implementation)
    }
}

/// Overwrites what functions that have returned left on the stack. Constructors of expanded keys
/// return them by value, so a copy of each may be there.
#[inline(never)]
fn wipe_stack() {
    let mut below = [0_u8; 8192];
    std::hint::black_box(&mut below);
}

/// Returns the features of this CPU that matter for the speed of records.
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
