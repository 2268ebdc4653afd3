//! Helpers that seal and open one record.

use ktls_aead::{Aead, PROVIDER};
use ktls_core::Error;
use ktls_core::aead::{Aad, NonceBytes, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::suite::{AeadAlgorithm, CIPHERS, Cipher};
use ktls_core::wire::TAG_LEN;

/// The value of every byte of a buffer before a job, unlike any result.
pub(crate) const STALE: u8 = 0xa5;

/// A key, and the nonce and additional data of one record under it.
pub(crate) struct Context {
    pub(crate) key: Box<dyn RecordKey>,
    pub(crate) nonce: NonceBytes,
    pub(crate) aad: Vec<u8>,
}

impl Context {
    pub(crate) fn new(
        provider: &Aead,
        algorithm: AeadAlgorithm,
        key: &[u8],
        nonce: NonceBytes,
        aad: &[u8],
    ) -> Self {
        let aad = aad.to_vec();
        let key = provider.record_key(algorithm, key).unwrap();
        Self { key, nonce, aad }
    }

    /// Returns a context whose key and additional data are counted bytes.
    pub(crate) fn counted(cipher: &Cipher) -> Self {
        let key = counted(cipher.key_len);
        Self::new(&PROVIDER, cipher.algorithm, &key, [7; 12], &counted(13))
    }

    /// Returns ciphertext and tag.
    pub(crate) fn seal(&self, plaintext: &[u8], inner_type: Option<u8>) -> Vec<u8> {
        let inner_len = plaintext.len() + usize::from(inner_type.is_some());
        let mut out = vec![STALE; inner_len + TAG_LEN];
        self.seal_into(plaintext, inner_type, &mut out);
        out
    }

    pub(crate) fn seal_into(&self, plaintext: &[u8], inner_type: Option<u8>, out: &mut [u8]) {
        self.key.seal(SealJob {
            nonce: self.nonce,
            aad: self.aad(),
            plaintext,
            inner_type,
            out,
        });
    }

    /// Returns the plaintext; a refusal must leave only zeros in the output.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = vec![STALE; sealed.len() - TAG_LEN];
        let opened = self.open_into(sealed, &mut out);
        assert!(opened.is_ok() || out.iter().all(|&byte| byte == 0));
        opened.map(|()| out)
    }

    pub(crate) fn open_into(&self, sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let (ciphertext, tag) = sealed.split_last_chunk().unwrap();
        self.key.open(OpenJob {
            nonce: self.nonce,
            aad: self.aad(),
            ciphertext,
            tag,
            out,
        })
    }

    fn aad(&self) -> Aad {
        Aad::try_from(&*self.aad).unwrap()
    }
}

/// Returns the cipher of this name in the kernel's table.
pub(crate) fn cipher(name: &str) -> &'static Cipher {
    CIPHERS.iter().find(|cipher| cipher.name == name).unwrap()
}

/// Returns bytes without a short period, so that a shifted copy differs.
pub(crate) fn counted(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}
