//! The PRF of TLS 1.2 (RFC 5246 §5) by aws-lc.

use aws_lc_rs::tls_prf::{P_SHA256, P_SHA384, Secret};
use ktls_core::Error;
use ktls_core::suite::Hash;

/// Fills `out`. See [`ktls_core::aead::Provider::prf`].
///
/// # Errors
/// - [`Error::CipherMissing`] for SM3, which no suite of TLS 1.2 here uses.
/// - [`Error::BadLength`] if `secret` is empty.
pub(crate) fn prf(
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    seed: &[u8],
    out: &mut [u8],
) -> Result<(), Error> {
    let algorithm = match hash {
        Hash::Sha256 => &P_SHA256,
        Hash::Sha384 => &P_SHA384,
        Hash::Sm3 => return Err(Error::CipherMissing { cipher: "SM3" }),
    };
    let derived = Secret::new(algorithm, secret)
        .and_then(|secret| secret.derive(label, seed, out.len()))
        .map_err(|_| Error::BadLength {
            what: "the secret of the PRF",
            len: secret.len(),
            want: 48,
        })?;
    out.copy_from_slice(derived.as_ref());
    Ok(())
}
