//! RFC 8446 / RFC 9846 on top of the record layer: who holds the secrets, sends and answers
//! KeyUpdates, renews keys before the AEAD limit, closes with close_notify and owes alerts.
//!
//! Two halves that share nothing but the [`KeySource`]: [`SessionSender`] and [`SessionReceiver`]. What one
//! learns and the other must act on comes out as an [`SessionEvent`] for the driver to pass on.

mod handshake;
mod keys;
mod receive;
mod schedule;
mod send;
mod storm;

pub use keys::{KeySource, SecretChain};
pub use receive::{SessionEvent, SessionRead, SessionReceiver};
pub use send::{LastWord, SendEnding, SessionSender};
pub use storm::KeyUpdateLimit;

use std::sync::Arc;
use std::time::Duration;

use crate::aead::Provider;
use crate::stats::Stats;

/// What both halves are given from outside.
#[derive(Clone)]
pub struct SessionSettings {
    /// The cryptography.
    pub provider: &'static dyn Provider,
    /// When keys change.
    pub policy: KeyUpdatePolicy,
    /// Where it is counted.
    pub stats: Arc<Stats>,
}

/// When own keys are renewed, and how many KeyUpdates of the peer are tolerated.
#[derive(Clone, Copy, Debug)]
pub struct KeyUpdatePolicy {
    /// Plaintext bytes under one key after which a KeyUpdate is sent, but not before
    /// `rekey_interval` has passed since our last one.
    pub rekey_bytes: Option<u64>,
    /// Records under one key after which a KeyUpdate is sent; default: the suite's soft limit. As a
    /// limit of the key it does not wait for `rekey_interval`.
    pub rekey_records: Option<u64>,
    /// Least time from a KeyUpdate of ours to one that only `rekey_bytes` asks for. Peers refuse
    /// more than a few KeyUpdates a second: GnuTLS tolerates eight.
    pub rekey_interval: Duration,
    /// Whether such a KeyUpdate asks the peer to renew its key, too.
    pub rekey_peer: bool,
    /// What counts as a storm.
    pub key_updates: KeyUpdateLimit,
}

impl Default for KeyUpdatePolicy {
    fn default() -> Self {
        Self {
            rekey_bytes: None,
            rekey_records: None,
            rekey_interval: Duration::from_millis(150),
            rekey_peer: false,
            key_updates: KeyUpdateLimit::default(),
        }
    }
}
