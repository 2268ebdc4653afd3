//! Stands in for the engine where the CPU is not x86-64.

use ktls_core::Error;
use ktls_core::aead::RecordKey;

/// Expands a key.
type ExpandKey = fn(&[u8]) -> Result<Box<dyn RecordKey>, Error>;

/// An engine that this CPU has: never, here.
#[derive(Clone, Copy)]
pub(crate) struct DetectedEngine {
    pub(crate) implementation: &'static str,
    pub(crate) aes_128: ExpandKey,
    pub(crate) aes_256: ExpandKey,
}

/// Finds no engine.
///
/// # Errors
/// Always, with the reason.
pub(crate) fn detected_engine() -> Result<DetectedEngine, &'static str> {
    Err("this CPU is not an x86-64")
}
