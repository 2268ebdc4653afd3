//! AES-CCM, SM4 and ARIA by RustCrypto: without allocation per record; expanded keys are wiped when
//! they are dropped.
//!
//! Sealing copies the plaintext to the output and encrypts it there, since a content type may have
//! to follow it. Opening is out of place.

use std::fmt;

use aes_gcm::AesGcm;
use ccm::Ccm;
use ccm::aead::consts::{U12, U16};
use ccm::aead::inout::InOutBuf;
use ccm::aead::{AeadCore, AeadInOut, KeyInit};
use ktls_core::Error;
use ktls_core::aead::{OpenJob, RecordKey, SealJob};
use ktls_core::wire::TAG_LEN;

/// CCM with the lengths of nonce and tag of RFC 6655 §4 and RFC 8998 §3.2.
type RecordCcm<C> = Ccm<C, U16, U12>;
/// GCM over any cipher with blocks of 16 bytes, despite the name of the crate's type (RFC 6209, RFC
/// 8998).
type RecordGcm<C> = AesGcm<C, U12>;

pub(crate) type Aes128Ccm = RecordCcm<aes::Aes128>;
pub(crate) type Sm4Ccm = RecordCcm<sm4::Sm4>;
pub(crate) type Sm4Gcm = RecordGcm<sm4::Sm4>;
pub(crate) type Aria128Gcm = RecordGcm<aria::Aria128>;
pub(crate) type Aria256Gcm = RecordGcm<aria::Aria256>;

/// An AEAD with a nonce of 12 bytes and a tag of 16, as records have.
pub(crate) trait RecordAead:
    KeyInit + AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync + 'static
{
}

impl<A> RecordAead for A where
    A: KeyInit + AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync + 'static
{
}

/// Expands a key.
///
/// # Errors
/// [`Error::BadLength`] if the key has another length than the algorithm wants.
pub(crate) fn record_key<A: RecordAead>(key: &[u8]) -> Result<Box<dyn RecordKey>, Error> {
    let wrong = Error::BadLength {
        what: "key",
        len: key.len(),
        want: A::key_size(),
    };
    let key = A::new_from_slice(key).map_err(|_| wrong)?;
    Ok(Box::new(RustCryptoKey(key)))
}

/// An expanded key, which RustCrypto wipes when it is dropped.
struct RustCryptoKey<A>(A);

impl<A: RecordAead> RecordKey for RustCryptoKey<A> {
    fn seal(&self, job: SealJob<'_>) {
        let SealJob {
            nonce,
            aad,
            plaintext,
            inner_type,
            out,
        } = job;
        let (inner, tag_out) = out.split_at_mut(out.len() - TAG_LEN);
        let (data, type_out) = inner.split_at_mut(plaintext.len());
        data.copy_from_slice(plaintext);
        type_out.copy_from_slice(inner_type.as_slice());
        let tag = self
            .0
            .encrypt_inout_detached(&nonce.into(), aad.bytes().as_ref(), inner.into())
            .expect("a record is within the AEAD's limits");
        tag_out.copy_from_slice(&tag);
    }

    fn open(&self, job: OpenJob<'_>) -> Result<(), Error> {
        let OpenJob {
            nonce,
            aad,
            ciphertext,
            tag,
            out,
        } = job;
        let buffer = InOutBuf::new(ciphertext, out).expect("out is as long as the ciphertext");
        let opened =
            self.0
                .decrypt_inout_detached(&nonce.into(), aad.bytes().as_ref(), buffer, tag.into());
        opened.map_err(|_| {
            // CCM decrypts before it authenticates: nothing of a forgery may be seen.
            out.fill(0);
            Error::BadTag
        })
    }
}

impl<A> fmt::Debug for RustCryptoKey<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustCryptoKey")
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// Compiles only if a `T` is wiped when it is dropped. CCM has no state besides its cipher.
    fn assert_wiped<T: ZeroizeOnDrop>() {}

    #[test]
    fn expanded_keys_are_wiped() {
        assert_wiped::<aes::Aes128>();
        assert_wiped::<sm4::Sm4>();
        assert_wiped::<Sm4Gcm>();
        assert_wiped::<Aria128Gcm>();
        assert_wiped::<Aria256Gcm>();
    }

    #[test]
    fn debug_shows_no_key() {
        let key = RustCryptoKey(Sm4Gcm::new(&[0x4b; 16].into()));
        assert_eq!(format!("{key:?}"), "RustCryptoKey");
    }
}
