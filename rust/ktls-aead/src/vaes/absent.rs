//! Where there is no x86-64 there is no VAES.

use ktls_core::Error;
use ktls_core::aead::RecordKey;

/// Expands a key.
type Expand = fn(&[u8]) -> Result<Box<dyn RecordKey>, Error>;

/// An engine that this CPU has.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) implementation: &'static str,
    pub(crate) aes_128: Expand,
    pub(crate) aes_256: Expand,
}

/// There is none.
///
/// # Errors
/// Always.
pub(crate) fn found() -> Result<Found, &'static str> {
    Err("this CPU is no x86-64")
}
