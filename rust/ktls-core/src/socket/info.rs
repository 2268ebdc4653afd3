//! What `sock_diag` tells of a socket (`docs/kernel-rules.md`, S6.2).

use crate::crypto_info::CryptoInfo;

/// What the kernel answers for a socket with the ULP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UlpInfo {
    /// Version and cipher, once a direction has a key.
    pub suite: Option<(u16, u16)>,
    /// The sending direction.
    pub tx_conf: DirectionConf,
    /// The receiving direction.
    pub rx_conf: DirectionConf,
    /// `TLS_RX_EXPECT_NO_PAD`
    pub rx_no_pad: bool,
    /// `TLS_TX_MAX_PAYLOAD_LEN`
    pub tx_max_payload_len: usize,
}

/// What carries a direction, by its number in the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum DirectionConf {
    /// TCP: there is no key.
    Base = 1,
    /// The record layer in software.
    Sw = 2,
    /// A device.
    Hw = 3,
}

impl DirectionConf {
    /// Of a direction with this key.
    #[must_use]
    pub const fn new(key: Option<&CryptoInfo>) -> Self {
        match key {
            None => Self::Base,
            Some(_) => Self::Sw,
        }
    }
}
