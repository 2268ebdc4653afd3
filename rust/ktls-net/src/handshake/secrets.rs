//! The traffic secrets of a TLS 1.3 handshake, taken from rustls's key log.
//!
//! rustls does not expose its keys, but they are needed to recognize early data that must be
//! skipped, to open a record that rustls has refused, and to seal an alert that rustls owes and
//! does not send. These secrets are wiped when the handshake ends. The secret of the exporter is kept for the
//! connection.

use std::fmt;
use std::sync::{Arc, Mutex};

use ktls_aead::PROVIDER;
use ktls_core::wire::ContentType;
use ktls_core::{Error, Opener, Sealer, TrafficSecret};
use rustls::KeyLog;
use zeroize::Zeroizing;

use super::exporter::LoggedSecret;
use crate::mutex::lock;

/// The secrets under which the rest of the handshake is sealed, in both directions.
#[derive(Default)]
struct RecordSecrets {
    peer: Option<Zeroizing<Vec<u8>>>,
    own: Option<Zeroizing<Vec<u8>>>,
}

/// The secrets of application data, in both directions.
#[derive(Default)]
struct DataSecrets {
    client: Option<Zeroizing<Vec<u8>>>,
    server: Option<Zeroizing<Vec<u8>>>,
}

/// A key log that keeps the secrets that one handshake needs, and passes all of them on to another
/// key log.
pub(super) struct HandshakeSecrets {
    secrets: Mutex<RecordSecrets>,
    exporter: Mutex<Option<LoggedSecret>>,
    /// For the connection, which has to derive its next keys and may be handed over with its secrets.
    data: Mutex<DataSecrets>,
    /// The labels of [`RecordSecrets::peer`] and of [`RecordSecrets::own`].
    labels: [&'static str; 2],
    log: Arc<dyn KeyLog>,
}

impl HandshakeSecrets {
    /// Keeps the secrets of a server's handshake.
    ///
    /// A server's alerts are sealed under the key of its application data: its flight is complete
    /// before it reads any sealed record.
    pub(super) fn for_server(log: Arc<dyn KeyLog>) -> Arc<Self> {
        Self::new(log, [CLIENT_HANDSHAKE, SERVER_APPLICATION])
    }

    /// Keeps the secrets of a client's handshake. A client sends no data before its handshake is
    /// complete.
    pub(super) fn for_client(log: Arc<dyn KeyLog>) -> Arc<Self> {
        Self::new(log, [SERVER_HANDSHAKE, CLIENT_HANDSHAKE])
    }

    fn new(log: Arc<dyn KeyLog>, labels: [&'static str; 2]) -> Arc<Self> {
        Arc::new(Self {
            secrets: Mutex::default(),
            exporter: Mutex::default(),
            data: Mutex::default(),
            labels,
            log,
        })
    }

    /// Returns an opener for the peer's records from number `rec_seq` on, once there are keys.
    pub(super) fn opener(&self, suite: u16, rec_seq: u64) -> Option<Opener> {
        let secret = lock(&self.secrets).peer.clone()?;
        let secret = TrafficSecret::new(suite, &secret, 0).ok()?;
        let info = secret.crypto_info(&PROVIDER, rec_seq).ok()?;
        Opener::new(info, &PROVIDER).ok()
    }

    /// Returns `true` once our alerts have to be sealed.
    pub(super) fn has_own_secret(&self) -> bool {
        lock(&self.secrets).own.is_some()
    }

    /// Seals an alert as our record number `rec_seq`.
    ///
    /// # Errors
    /// - [`Error::NoKey`] if there are no keys yet.
    /// - [`Error::CipherMissing`] if the suite's cipher is not available.
    pub(super) fn seal_alert(
        &self,
        suite: u16,
        rec_seq: u64,
        message: [u8; 2],
    ) -> Result<Vec<u8>, Error> {
        let secret = lock(&self.secrets).own.clone().ok_or(Error::NoKey)?;
        let info = TrafficSecret::new(suite, &secret, 0)?.crypto_info(&PROVIDER, rec_seq)?;
        let mut sealer = Sealer::new(info, &PROVIDER)?;
        let mut record = vec![0; message.len() + sealer.overhead()];
        sealer.seal(ContentType::ALERT.0, &message, &mut record)?;
        Ok(record)
    }

    /// Takes the secret of the exporter, once it is known.
    pub(super) fn take_exporter(&self) -> Option<LoggedSecret> {
        lock(&self.exporter).take()
    }

    /// Takes the secrets of application data of a TLS 1.3 connection: the client's and the server's.
    pub(super) fn take_data_secrets(&self, suite: u16) -> Option<(TrafficSecret, TrafficSecret)> {
        let DataSecrets { client, server } = std::mem::take(&mut *lock(&self.data));
        let secret = |bytes: Option<Zeroizing<Vec<u8>>>| TrafficSecret::new(suite, &bytes?, 0).ok();
        Some((secret(client)?, secret(server)?))
    }

    /// Wipes the secrets of the handshake. Those of application data and of the exporter stay.
    pub(super) fn wipe(&self) {
        *lock(&self.secrets) = RecordSecrets::default();
    }
}

impl KeyLog for HandshakeSecrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let [peer, own] = self.labels;
        if label == peer {
            lock(&self.secrets).peer = Some(Zeroizing::new(secret.to_vec()));
        }
        if label == own {
            lock(&self.secrets).own = Some(Zeroizing::new(secret.to_vec()));
        }
        if EXPORTER.contains(&label) {
            *lock(&self.exporter) = Some(LoggedSecret {
                client_random: client_random.to_vec(),
                secret: Zeroizing::new(secret.to_vec()),
            });
        }
        match label {
            CLIENT_APPLICATION => lock(&self.data).client = Some(Zeroizing::new(secret.to_vec())),
            SERVER_APPLICATION => lock(&self.data).server = Some(Zeroizing::new(secret.to_vec())),
            _ => {}
        }
        if self.log.will_log(label) {
            self.log.log(label, client_random, secret);
        }
    }

    fn will_log(&self, label: &str) -> bool {
        let is_kept = matches!(label, CLIENT_APPLICATION | SERVER_APPLICATION);
        is_kept
            || EXPORTER.contains(&label)
            || self.labels.contains(&label)
            || self.log.will_log(label)
    }
}

impl fmt::Debug for HandshakeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandshakeSecrets")
    }
}

/// The labels of the exporter secret of TLS 1.3 and of the master secret of TLS 1.2.
const EXPORTER: [&str; 2] = ["EXPORTER_SECRET", "CLIENT_RANDOM"];
const CLIENT_HANDSHAKE: &str = "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
const SERVER_HANDSHAKE: &str = "SERVER_HANDSHAKE_TRAFFIC_SECRET";
const CLIENT_APPLICATION: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER_APPLICATION: &str = "SERVER_TRAFFIC_SECRET_0";
