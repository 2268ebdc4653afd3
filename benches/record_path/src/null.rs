//! A cipher that does nothing, so that only the instructions around a cipher are counted.

use ktls_core::aead::{InnerJob, Interleaved, OpenJob, Provider, RecordKey, SealJob};
use ktls_core::session::KeySource;
use ktls_core::suite::{AeadAlgorithm, Hash};
use ktls_core::{CryptoInfo, Direction, Error};

/// The provider of the null cipher.
pub(crate) static NULL: NullCipher = NullCipher;

/// The null cipher: its provider, its only key, and the source of keys of a session.
pub(crate) struct NullCipher;

impl Provider for NullCipher {
    fn record_key(&self, _: AeadAlgorithm, _: &[u8]) -> Result<Box<dyn RecordKey>, Error> {
        Ok(Box::new(Self))
    }

    fn expand(&self, _: Hash, _: &[u8], _: &[u8], out: &mut [u8]) -> Result<(), Error> {
        out.fill(0);
        Ok(())
    }

    fn prf(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8], out: &mut [u8]) -> Result<(), Error> {
        out.fill(0);
        Ok(())
    }

    fn implementation(&self, _: AeadAlgorithm) -> Option<&'static str> {
        Some("null")
    }
}

impl RecordKey for NullCipher {
    /// Leaves the output as it is.
    fn seal(&self, _: SealJob<'_>) {}

    /// Opens every record as application data: writes the content type and nothing else.
    fn open(&self, job: OpenJob<'_>) -> Result<(), Error> {
        if let Some(inner_type) = job.out.last_mut() {
            *inner_type = crate::APPLICATION_DATA;
        }
        Ok(())
    }

    /// Batches take the same path as with our own AES-GCM.
    fn interleaved(&self) -> Option<&dyn Interleaved> {
        Some(self)
    }
}

impl Interleaved for NullCipher {
    fn seal_many(&self, _: &mut [SealJob<'_>]) {}

    fn open_many(&self, jobs: &mut [InnerJob<'_>]) -> usize {
        for job in &mut *jobs {
            job.inner_type = Some(crate::APPLICATION_DATA);
        }
        jobs.len()
    }
}

impl KeySource for NullCipher {
    /// Fails: no case changes its key.
    fn next(&mut self, _: Direction) -> Result<CryptoInfo, Error> {
        Err(Error::NoKey)
    }

    fn is_client(&self) -> bool {
        false
    }

    fn ticket(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}
