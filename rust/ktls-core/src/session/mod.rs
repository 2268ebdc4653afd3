//! The RFC face: TLS sessions after their handshake, by RFC 8446 and RFC 9846 (TLS 1.3) and RFC
//! 5246 (TLS 1.2). A session holds the secrets, sends and answers KeyUpdates, changes keys before
//! the limit of the AEAD, ends with close_notify, and sends the alerts that the RFCs require.
//!
//! Its two halves, [`SessionSender`] and [`SessionReceiver`], share only the [`KeySource`], so that
//! one thread can read while another writes. The driver polls the receiver for [`SessionEvent`]s
//! and passes them to the sender, which acts on them.

mod handshake;
mod key_update_schedule;
mod key_update_storm;
mod keys;
mod ktls_keys;
mod receive;
mod send;

pub use key_update_storm::KeyUpdateLimit;
pub use keys::{FixedKeys, KeySource, SecretChain};
pub use ktls_keys::{KtlsKeys, KtlsSendLimits};
pub use receive::{SessionEvent, SessionRead, SessionReceiver, SettleOutcome, UnreadBytes};
pub use send::{LastWord, SendEnding, SessionSender};

use std::sync::Arc;
use std::time::Duration;

use crate::aead::Provider;
use crate::stats::Stats;

/// The settings that both halves of a session use.
#[derive(Clone)]
pub struct SessionSettings {
    /// The implementation of the ciphers.
    pub provider: &'static dyn Provider,
    /// When keys change.
    pub policy: KeyUpdatePolicy,
    /// The counters of the session's events.
    pub stats: Arc<Stats>,
    /// The limit on sealed bytes that wait to be sent.
    pub unsent: UnsentLimit,
}

/// The limit on sealed bytes that wait until the driver has sent them.
#[derive(Clone, Copy, Debug)]
pub struct UnsentLimit {
    /// The most wire bytes of any kind.
    pub(crate) most: usize,
    /// If more wire bytes than this are waiting, the peer is not reading: a KeyUpdate that no limit
    /// requires waits as well.
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
    /// The bytes of plaintext under one key after which a KeyUpdate is sent, but not within
    /// `rekey_interval` of our last one. If `None`, the number of bytes causes no KeyUpdate.
    pub rekey_bytes: Option<u64>,
    /// The records under one key after which a KeyUpdate is sent; `None` for the soft limit of the
    /// suite. This limit does not wait for `rekey_interval`, since it protects the key.
    pub rekey_records: Option<u64>,
    /// The time from the first data under one key after which a KeyUpdate is sent, before the next
    /// data; but not within `rekey_interval` of our last one. If `None`, time causes no KeyUpdate.
    pub rekey_age: Option<Duration>,
    /// The shortest time between our last KeyUpdate and one that only `rekey_bytes` or `rekey_age`
    /// causes. Peers
    /// refuse more than a few KeyUpdates per second: GnuTLS tolerates eight.
    pub rekey_interval: Duration,
    /// Whether these KeyUpdates also request one of the peer.
    pub rekey_peer: bool,
    /// The limit on the peer's KeyUpdates.
    pub key_updates: KeyUpdateLimit,
}

impl Default for KeyUpdatePolicy {
    fn default() -> Self {
        Self {
            rekey_bytes: None,
            rekey_records: None,
            rekey_age: None,
            rekey_interval: Duration::from_millis(150),
            rekey_peer: false,
            key_updates: KeyUpdateLimit::default(),
        }
    }
}
