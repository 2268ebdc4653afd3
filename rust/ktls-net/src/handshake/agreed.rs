//! The parameters of a complete handshake.

use rustls::{CommonState, Error as Rustls, HandshakeKind};

use super::config::suite_name;
use super::groups::group_name;

/// The parameters that both sides agreed on.
pub(super) struct AgreedParameters {
    pub(super) version: u16,
    pub(super) suite: u16,
    pub(super) suite_name: String,
    pub(super) group: Option<String>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) peer_certificates: Vec<Vec<u8>>,
    pub(super) resumed: bool,
}

impl AgreedParameters {
    /// Returns the parameters of a connection.
    ///
    /// # Errors
    /// Returns `HandshakeNotComplete` if they are not all agreed on.
    pub(super) fn of(common: &CommonState) -> Result<Self, Rustls> {
        let version = common
            .protocol_version()
            .ok_or(Rustls::HandshakeNotComplete)?;
        let suite = common
            .negotiated_cipher_suite()
            .ok_or(Rustls::HandshakeNotComplete)?
            .suite();
        let certificates = common.peer_certificates().unwrap_or_default();
        Ok(Self {
            version: version.into(),
            suite: suite.into(),
            suite_name: suite_name(suite),
            group: common
                .negotiated_key_exchange_group()
                .map(|group| group_name(group.name())),
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificates: certificates.iter().map(|cert| cert.to_vec()).collect(),
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}
