//! HKDF-Expand (RFC 5869 §2.3): with SHA-2 by aws-lc, with SM3 by RustCrypto.

use aws_lc_rs::hkdf::{Algorithm, HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use hkdf::Hkdf;
use ktls_core::Error;
use ktls_core::suite::Hash;
use sm3::Sm3;

/// Fills `out` by HKDF-Expand with `secret` as PRK. See [`ktls_core::aead::Provider::expand`].
///
/// # Errors
/// [`Error::BadLength`] if `secret` is shorter than the output of the hash, or `out` is longer than
/// 255 times that.
pub(crate) fn expand(hash: Hash, secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if secret.len() < hash.output_len() {
        return Err(Error::BadLength {
            what: "secret",
            len: secret.len(),
            want: hash.output_len(),
        });
    }
    let too_long = Error::BadLength {
        what: "HKDF output",
        len: out.len(),
        want: 255 * hash.output_len(),
    };
    match hash {
        Hash::Sha256 => by_aws_lc(HKDF_SHA256, secret, info, out),
        Hash::Sha384 => by_aws_lc(HKDF_SHA384, secret, info, out),
        Hash::Sm3 => by_rustcrypto(secret, info, out),
    }
    .ok_or(too_long)
}

fn by_aws_lc(hash: Algorithm, secret: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
    let prk = Prk::new_less_safe(hash, secret);
    let info = [info];
    let okm = prk.expand(&info, OutLen(out.len())).ok()?;
    okm.fill(out).ok()
}

fn by_rustcrypto(secret: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
    let prk = Hkdf::<Sm3>::from_prk(secret).ok()?;
    prk.expand(info, out).ok()
}

/// The length of the output, in bytes, as aws-lc takes it.
struct OutLen(usize);

impl KeyType for OutLen {
    fn len(&self) -> usize {
        self.0
    }
}
