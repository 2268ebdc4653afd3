//! AES-GCM and ChaCha20-Poly1305 by aws-lc: in one pass, out of place, without allocation per
//! record.

use std::fmt;

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use ktls_core::Error;
use ktls_core::aead::{OpenJob, RecordKey, SealJob};

/// Expands a key.
///
/// # Errors
/// [`Error::BadLength`] if the key has another length than the algorithm wants.
pub(crate) fn record_key(
    algorithm: &'static Algorithm,
    key: &[u8],
) -> Result<Box<dyn RecordKey>, Error> {
    let wrong = Error::BadLength {
        what: "key",
        len: key.len(),
        want: algorithm.key_len(),
    };
    let key = UnboundKey::new(algorithm, key).map_err(|_| wrong)?;
    Ok(Box::new(AwsLcKey(LessSafeKey::new(key))))
}

/// An expanded key, which aws-lc wipes when it is dropped.
struct AwsLcKey(LessSafeKey);

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
                Aad::from(aad.bytes()),
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
        let opened =
            self.0
                .open_separate_gather(nonce, Aad::from(aad.bytes()), ciphertext, tag, &mut *out);
        opened.map_err(|_| {
            // aws-lc decrypts while it authenticates: nothing of a forgery may be seen.
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
