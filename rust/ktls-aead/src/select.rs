//! Which implementation serves which algorithm: one table.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
use ktls_core::Error;
use ktls_core::aead::RecordKey;
use ktls_core::suite::Algorithm;

use crate::rustcrypto::{Aes128Ccm, Aria128Gcm, Aria256Gcm, Sm4Ccm, Sm4Gcm};
use crate::{aws_lc, rustcrypto};

/// Expands a key of one algorithm.
type Expand = fn(&[u8]) -> Result<Box<dyn RecordKey>, Error>;

/// One implementation of one algorithm.
pub(crate) struct Choice {
    pub(crate) implementation: &'static str,
    pub(crate) record_key: Expand,
}

/// The table: aws-lc where it has the AEAD with a 12-byte nonce and a 16-byte tag.
pub(crate) fn choice(algorithm: Algorithm) -> Choice {
    match algorithm {
        Algorithm::Aes128Gcm => by_aws_lc(|key| aws_lc::record_key(&AES_128_GCM, key)),
        Algorithm::Aes256Gcm => by_aws_lc(|key| aws_lc::record_key(&AES_256_GCM, key)),
        Algorithm::Aes128Ccm => by_rustcrypto(rustcrypto::record_key::<Aes128Ccm>),
        Algorithm::ChaCha20Poly1305 => by_aws_lc(|key| aws_lc::record_key(&CHACHA20_POLY1305, key)),
        Algorithm::Sm4Gcm => by_rustcrypto(rustcrypto::record_key::<Sm4Gcm>),
        Algorithm::Sm4Ccm => by_rustcrypto(rustcrypto::record_key::<Sm4Ccm>),
        Algorithm::Aria128Gcm => by_rustcrypto(rustcrypto::record_key::<Aria128Gcm>),
        Algorithm::Aria256Gcm => by_rustcrypto(rustcrypto::record_key::<Aria256Gcm>),
    }
}

fn by_aws_lc(record_key: Expand) -> Choice {
    Choice {
        implementation: "aws-lc",
        record_key,
    }
}

fn by_rustcrypto(record_key: Expand) -> Choice {
    Choice {
        implementation: "rustcrypto",
        record_key,
    }
}
