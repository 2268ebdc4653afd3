//! AES-GCM and ChaCha20-Poly1305 by aws-lc: one pass, out of place, no allocation per record.

use std::fmt;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm as AwsAlgorithm, CHACHA20_POLY1305, LessSafeKey,
    Nonce, UnboundKey,
};
use ktls_core::Error;
use ktls_core::aead::{OpenJob, RecordKey, SealJob};
use ktls_core::suite::Algorithm;

/// aws-lc's AEAD for an algorithm, where it has one.
pub(crate) fn algorithm(algorithm: Algorithm) -> Option<&'static AwsAlgorithm> {
    match algorithm {
        Algorithm::Aes128Gcm => Some(&AES_128_GCM),
        Algorithm::Aes256Gcm => Some(&AES_256_GCM),
        Algorithm::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        Algorithm::Aes128Ccm
        | Algorithm::Sm4Gcm
        | Algorithm::Sm4Ccm
        | Algorithm::Aria128Gcm
        | Algorithm::Aria256Gcm => None,
    }
}

/// An expanded key; aws-lc wipes it when it is freed.
pub(crate) struct AwsLcKey(LessSafeKey);

impl AwsLcKey {
    pub(crate) fn new(algorithm: &'static AwsAlgorithm, key: &[u8]) -> Result<Self, Error> {
        let wrong = Error::BadLength {
            what: "key",
            len: key.len(),
            want: algorithm.key_len(),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| wrong)?;
        Ok(Self(LessSafeKey::new(key)))
    }
}

impl RecordKey for AwsLcKey {
    fn seal(&self, job: SealJob<'_>) {
        let SealJob {
            nonce,
            aad,
            plaintext,
            inner_type,
            out,
        } = job;
        let (ciphertext, tail) = out.split_at_mut(plaintext.len());
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_out_of_place_scatter(
                nonce,
                Aad::from(aad),
                plaintext,
                ciphertext,
                inner_type.as_slice(),
                tail,
            )
            .expect("a record is within the AEAD's limits");
    }

    fn open(&self, job: OpenJob<'_>) -> Result<(), Error> {
        let OpenJob {
            nonce,
            aad,
            ciphertext,
            tag,
            out,
        } = job;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self
            .0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut *out);
        opened.map_err(|_| {
            // The AEAD decrypts while it authenticates: nothing of it may be seen.
            out.fill(0);
            Error::BadTag
        })
    }
}

impl fmt::Debug for AwsLcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsLcKey")
    }
}
