//! What a handshake agreed on, and what a session has sent and received.

use ktls_core::wire::TLS13;

use crate::handshake::{EstablishedConnection, KeyingMaterialExporter};

/// What the handshake agreed on.
#[derive(Clone, Debug, Default)]
pub struct HandshakeFacts {
    /// The protocol version: 0x0303 or 0x0304.
    pub version: u16,
    /// The name of the suite.
    pub cipher: String,
    /// The name of the group of the key exchange, if there was one and it is known.
    pub group: Option<String>,
    /// Derives keying material, if its secret is known.
    pub exporter: Option<KeyingMaterialExporter>,
    /// The ALPN protocol, if one was negotiated.
    pub alpn: Option<Vec<u8>>,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
    /// The peer's certificate chain as DER, leaf first.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl HandshakeFacts {
    /// Returns the name of the protocol version, as `ssl` has it.
    #[must_use]
    pub const fn version_name(&self) -> &'static str {
        if self.version == TLS13 {
            "TLSv1.3"
        } else {
            "TLSv1.2"
        }
    }

    /// Moves the facts out of `established`.
    pub(super) fn take_from(established: &mut EstablishedConnection) -> Self {
        Self {
            version: established.version,
            cipher: std::mem::take(&mut established.suite_name),
            group: established.group.take(),
            exporter: established.exporter.take(),
            alpn: established.alpn.take(),
            server_name: established.server_name.take(),
            peer_certificates: std::mem::take(&mut established.peer_certificates),
            resumed: established.resumed,
        }
    }
}

/// What a connection has sent and received so far.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionCounts {
    /// What we have sent.
    pub sent: DirectionCounts,
    /// What the peer has sent.
    pub received: DirectionCounts,
}

/// What was sent in one direction so far.
#[derive(Clone, Copy, Debug)]
pub struct DirectionCounts {
    /// Key updates.
    pub generation: u64,
    /// Records, including those of KeyUpdates and alerts.
    pub records: u64,
    /// Bytes of application data.
    pub bytes: u64,
}
