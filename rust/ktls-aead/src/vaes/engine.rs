//! The algorithm, compiled for one vector unit.

use ktls_core::aead::{InnerJob, SealJob};

use super::expanded_key::ExpandedKey;
use super::simd::Simd;

/// The algorithm on one vector unit. `ROUNDS` is 10 for keys of 16 bytes and 14 for 32.
pub(super) trait Engine: Simd + Send + Sync + 'static {
    /// The name that `aead_in_use` returns.
    const NAME: &'static str;

    /// Returns the vector unit, if this CPU has it.
    ///
    /// # Errors
    /// Returns the features that the CPU lacks.
    fn detect() -> Result<Self, Vec<&'static str>>;
    /// Expands a key.
    fn expand<const ROUNDS: usize>(self, schedule: &mut ExpandedKey, key: &[u8]);
    /// Seals every job.
    fn seal<const ROUNDS: usize>(self, key: &ExpandedKey, jobs: &mut [SealJob<'_>]);
    /// Opens jobs until one fails; returns how many were opened. No plaintext of the others is
    /// left.
    fn open<const ROUNDS: usize>(self, key: &ExpandedKey, jobs: &mut [InnerJob<'_>]) -> usize;
}

/// Implements [`Engine`]. Everything that these functions call is inlined into them, so that it is
/// compiled for the features named here.
macro_rules! entry_points {
    ($token:ident, $name:literal, $($feature:tt)*) => {
        $(#[target_feature(enable = $feature)])*
        fn expand<const ROUNDS: usize>(s: $token, schedule: &mut ExpandedKey, key: &[u8]) {
            schedule.fill::<_, ROUNDS>(s, key);
        }

        $(#[target_feature(enable = $feature)])*
        fn seal<const ROUNDS: usize>(s: $token, key: &ExpandedKey, jobs: &mut [SealJob<'_>]) {
            super::batch::seal::<_, ROUNDS>(s, key, jobs);
        }

        $(#[target_feature(enable = $feature)])*
        fn open<const ROUNDS: usize>(
            s: $token,
            key: &ExpandedKey,
            jobs: &mut [InnerJob<'_>],
        ) -> usize {
            super::batch::open::<_, ROUNDS>(s, key, jobs)
        }

        impl Engine for $token {
            const NAME: &'static str = $name;

            fn detect() -> Result<Self, Vec<&'static str>> {
                let all = [$(($feature, std::arch::is_x86_feature_detected!($feature))),*];
                let missing = all.into_iter().filter(|(_, there)| !there);
                let missing: Vec<_> = missing.map(|(name, _)| name).collect();
                missing.is_empty().then_some(Self(())).ok_or(missing)
            }

            fn expand<const ROUNDS: usize>(self, schedule: &mut ExpandedKey, key: &[u8]) {
                // SAFETY: only `detect` makes a `$token`, after it has found these features.
                unsafe { expand::<ROUNDS>(self, schedule, key) }
            }

            fn seal<const ROUNDS: usize>(self, key: &ExpandedKey, jobs: &mut [SealJob<'_>]) {
                // SAFETY: only `detect` makes a `$token`, after it has found these features.
                unsafe { seal::<ROUNDS>(self, key, jobs) }
            }

            fn open<const ROUNDS: usize>(
                self,
                key: &ExpandedKey,
                jobs: &mut [InnerJob<'_>],
            ) -> usize {
                // SAFETY: only `detect` makes a `$token`, after it has found these features.
                unsafe { open::<ROUNDS>(self, key, jobs) }
            }
        }
    };
}

pub(super) use entry_points;
