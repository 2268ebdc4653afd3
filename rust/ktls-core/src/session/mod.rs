//! The RFC face: TLS sessions after their handshake, as RFC 8446 and RFC 9846 (TLS 1.3) and RFC 5246
//! (TLS 1.2) want them. A session holds the secrets, sends and answers KeyUpdates, changes keys before the
//! limit of the AEAD, ends with close_notify, and sends the alerts that the RFCs demand.
//!
//! Its two halves, [`SessionSender`] and [`SessionReceiver`], share nothing but the [`KeySource`], so that one
//! thread can read while another writes. What one half learns and the other must act on is a [`SessionEvent`],
//! which the driver polls from the receiver and passes on to the sender.

mod handshake;
mod key_update_schedule;
mod key_update_storm;
mod keys;
mod receive;
mod send;

pub use key_update_storm::KeyUpdateLimit;
pub use keys::{FixedKeys, KeySource, SecretChain};
pub use receive::{SessionEvent, SessionRead, SessionReceiver};
pub use send::{LastWord, SendEnding, SessionSender};

use std::sync::Arc;
use std::time::Duration;

use crate::aead::Provider;
use crate::stats::Stats;

/// What both halves of a session are given from outside.
#[derive(Clone)]
pub struct SessionSettings {
    /// The cryptography.
    pub provider: &'static dyn Provider,
    /// When keys change.
    pub policy: KeyUpdatePolicy,
    /// The counters for what the session does.
    pub stats: Arc<Stats>,
    /// How many sealed bytes may wait to be sent.
    pub unsent: UnsentLimit,
}

/// How many sealed bytes may wait until the driver has sent them.
#[derive(Clone, Copy, Debug)]
pub struct UnsentLimit {
    /// The most wire bytes of any kind.
    pub(crate) most: usize,
    /// With more wire bytes waiting than this the peer is not reading: a KeyUpdate that no limit
    /// demands waits.
    pub(crate) calm: usize,
}

impl UnsentLimit {
    /// The limit for drivers with a socket: it bounds the memory of a connection, and fits into
    /// second level caches.
    pub const BOUNDED: Self = Self {
        most: send::wire_of(16),
        calm: send::wire_of(4),
    };

    /// No limit, for drivers whose callers bound the memory themselves. Every write is taken whole.
    pub const NONE: Self = Self {
        most: usize::MAX,
        calm: usize::MAX,
    };
}

/// When our keys change, and how many KeyUpdates of the peer are tolerated.
#[derive(Clone, Copy, Debug)]
pub struct KeyUpdatePolicy {
    /// Bytes of plaintext under one key after which a KeyUpdate is sent, but not within `rekey_interval` of
    /// our last one. None sends no KeyUpdate because of bytes.
    pub rekey_bytes: Option<u64>,
    /// Records under one key after which a KeyUpdate is sent; None is the suite's soft limit. As a limit of
    /// the key it does not wait for `rekey_interval`.
    pub rekey_records: Option<u64>,
    /// Least time from a KeyUpdate of ours to one that only `rekey_bytes` asks for. Peers refuse
    /// more than a few KeyUpdates a second: GnuTLS tolerates eight.
    pub rekey_interval: Duration,
    /// Whether these KeyUpdates ask the peer to change its key, too.
    pub rekey_peer: bool,
    /// How many KeyUpdates of the peer are a storm.
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
