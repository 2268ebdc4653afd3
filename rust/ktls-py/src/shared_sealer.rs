//! The sealer below `Sealer` and below the C interface: its lock and its checks.

use std::sync::{Arc, Mutex};

use ktls_core::crypto_info::check_record_type;
use ktls_core::{Error, Sealer};
use ktls_net::NetError;
use ktls_net::fork::{CountedCall, Ownership};

/// A sealer that several threads use, and that only one of two forked processes may use.
pub(crate) struct SharedSealer {
    inner: Mutex<Sealer>,
    overhead: usize,
    version: u16,
    /// Ensures that only one of two processes seals: both would use the same nonces.
    owner: Arc<Ownership>,
}

/// A running call that may seal records or change the key. It is counted until it is dropped.
pub(crate) struct SealerCall<'a> {
    pub(crate) sealer: &'a Mutex<Sealer>,
    _counted: CountedCall,
}

impl SharedSealer {
    pub(crate) fn new(sealer: Sealer) -> Self {
        Self {
            overhead: sealer.overhead(),
            version: sealer.version(),
            inner: Mutex::new(sealer),
            owner: Ownership::new(),
        }
    }

    /// Returns the number of bytes that a record is longer than its plaintext.
    pub(crate) const fn overhead(&self) -> usize {
        self.overhead
    }

    /// Checks that the sealer's TLS version has records of this type.
    ///
    /// # Errors
    /// Returns [`Error::NoRecordTypeZero`] for type 0 in TLS 1.3.
    pub(crate) fn check_type(&self, record_type: u8) -> Result<(), Error> {
        check_record_type(self.version, record_type)
    }

    /// Begins a call. The first call after a fork claims the sealer for this process.
    ///
    /// # Errors
    /// Returns EBUSY if the other process of a fork has claimed the sealer, or was in a call when
    /// it was forked.
    pub(crate) fn begin_call(&self) -> Result<SealerCall<'_>, NetError> {
        Ok(SealerCall {
            _counted: self.owner.enter()?,
            sealer: &self.inner,
        })
    }

    /// Returns the sealer for reading its state only, which does not claim it for this process.
    ///
    /// # Errors
    /// Returns EBUSY if the lock may be a copy that will never be released: in a child that was
    /// forked during a call, or without the hooks of `fork`.
    pub(crate) fn for_reading(&self) -> Result<&Mutex<Sealer>, NetError> {
        self.owner.check_reachable()?;
        Ok(&self.inner)
    }
}
