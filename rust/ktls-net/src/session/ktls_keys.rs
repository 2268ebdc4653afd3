//! The keys of a session whose records a kTLS socket carries, for several threads.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ktls_core::session::KtlsKeys;

use crate::NetError;
use crate::fork::Ownership;
use crate::mutex::lock;

/// A [`KtlsKeys`] with a lock and a clock. After a fork it belongs to the process that uses it
/// first: both would derive the same next keys.
pub struct KtlsKeyState {
    keys: Mutex<KtlsKeys>,
    /// The start of the session's clock.
    start: Instant,
    owner: Arc<Ownership>,
}

impl KtlsKeyState {
    pub(super) fn new(keys: KtlsKeys, start: Instant) -> Self {
        Self {
            keys: Mutex::new(keys),
            start,
            owner: Ownership::new(),
        }
    }

    /// Calls `act` with the keys and the time. It must not wait for anything.
    ///
    /// # Errors
    /// EBUSY if the other process of a fork uses the keys.
    pub fn with<R>(&self, act: impl FnOnce(&mut KtlsKeys, Duration) -> R) -> Result<R, NetError> {
        let _call = self.owner.enter()?;
        let now = self.start.elapsed();
        Ok(act(&mut lock(&self.keys), now))
    }
}
