//! AES-GCM for x86-64 with VAES and VPCLMULQDQ; `docs/aead.md` explains it.
//!
//! The algorithm is written once, over [`simd::Simd`] and [`record_job::RecordJob`], and compiled
//! for each vector unit by [`engine::entry_points`]. No branch and no index depends on a secret.

mod aes;
#[expect(
    unsafe_code,
    reason = "intrinsics, and functions compiled for a CPU that has them"
)]
mod avx2;
#[expect(
    unsafe_code,
    reason = "intrinsics, and functions compiled for a CPU that has them"
)]
mod avx512;
#[expect(unsafe_code, reason = "an empty line of assembly")]
mod barrier;
mod batch;
mod engine;
mod expanded_key;
mod ghash;
mod ghash_frame;
#[expect(unsafe_code, reason = "a buffer that is not cleared before use")]
mod keystream;
mod lanes;
mod partial_block;
mod record_job;
mod self_test;
mod simd;
mod stitched;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::slice::from_mut;
use std::sync::OnceLock;

use ktls_core::Error;
use ktls_core::aead::{InnerJob, Interleaved, OpenJob, RecordKey, SealJob};

use self::avx2::Avx2;
use self::avx512::Avx512;
use self::engine::Engine;
use self::expanded_key::ExpandedKey;

/// Expands a key.
type ExpandKey = fn(&[u8]) -> Result<Box<dyn RecordKey>, Error>;

/// An engine that this CPU has, and that passed its self-test.
#[derive(Clone, Copy)]
pub(crate) struct DetectedEngine {
    pub(crate) implementation: &'static str,
    pub(crate) aes_128: ExpandKey,
    pub(crate) aes_256: ExpandKey,
}

/// Returns the engine of this CPU with the widest vectors. It is detected and tested once.
///
/// # Errors
/// Returns the reason why there is no engine.
pub(crate) fn detected_engine() -> Result<DetectedEngine, &'static str> {
    static FOUND: OnceLock<Result<DetectedEngine, String>> = OnceLock::new();
    let found =
        FOUND.get_or_init(|| detect_engine::<Avx512>().or_else(|_| detect_engine::<Avx2>()));
    found.as_ref().copied().map_err(String::as_str)
}

/// Returns the engine of one vector unit.
///
/// # Errors
/// Returns the reason why this CPU does not have it.
fn detect_engine<S: Engine>() -> Result<DetectedEngine, String> {
    S::detect().map_err(|missing| format!("this CPU lacks {}", missing.join(", ")))?;
    let found = DetectedEngine {
        implementation: S::NAME,
        aes_128: record_key::<S, 10>,
        aes_256: record_key::<S, 14>,
    };
    self_test::passes(&found)
        .then_some(found)
        .ok_or_else(|| format!("{} does not seal as aws-lc does", S::NAME))
}

/// Expands a key of AES-128 (`ROUNDS` = 10) or AES-256 (`ROUNDS` = 14).
fn record_key<S: Engine, const ROUNDS: usize>(key: &[u8]) -> Result<Box<dyn RecordKey>, Error> {
    let (what, len, want) = ("key", key.len(), 4 * (ROUNDS - 6));
    if len != want {
        return Err(Error::BadLength { what, len, want });
    }
    let s = S::detect().map_err(|_| Error::CipherMissing { cipher: S::NAME })?;
    let mut schedule = Box::<ExpandedKey>::default();
    s.expand::<ROUNDS>(&mut schedule, key);
    Ok(Box::new(VaesKey::<S, ROUNDS> { schedule, s }))
}

/// An expanded key. It is wiped when it is dropped.
struct VaesKey<S, const ROUNDS: usize> {
    /// On the heap, so that moving the key leaves no copy in its former place.
    schedule: Box<ExpandedKey>,
    s: S,
}

impl<S: Engine, const ROUNDS: usize> RecordKey for VaesKey<S, ROUNDS> {
    fn seal(&self, mut job: SealJob<'_>) {
        self.s.seal::<ROUNDS>(&self.schedule, from_mut(&mut job));
    }

    fn open(&self, job: OpenJob<'_>) -> Result<(), Error> {
        let mut job = InnerJob {
            job,
            inner_type: None,
        };
        match self.s.open::<ROUNDS>(&self.schedule, from_mut(&mut job)) {
            1 => Ok(()),
            _ => Err(Error::BadTag),
        }
    }

    fn interleaved(&self) -> Option<&dyn Interleaved> {
        Some(self)
    }
}

impl<S: Engine, const ROUNDS: usize> Interleaved for VaesKey<S, ROUNDS> {
    fn seal_many(&self, jobs: &mut [SealJob<'_>]) {
        self.s.seal::<ROUNDS>(&self.schedule, jobs);
    }

    fn open_many(&self, jobs: &mut [InnerJob<'_>]) -> usize {
        self.s.open::<ROUNDS>(&self.schedule, jobs)
    }
}

impl<S, const ROUNDS: usize> fmt::Debug for VaesKey<S, ROUNDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaesKey")
    }
}
