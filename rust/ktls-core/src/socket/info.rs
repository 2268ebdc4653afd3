//! The values that `sock_diag` reports for a socket (`docs/kernel-rules.md`, S6.2).

use crate::crypto_info::CryptoInfo;

/// The values that the kernel reports for a socket with the ULP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UlpInfo {
    /// The version and the cipher, once a direction has a key.
    pub suite: Option<(u16, u16)>,
    /// How the sending direction is processed.
    pub tx_conf: DirectionConf,
    /// How the receiving direction is processed.
    pub rx_conf: DirectionConf,
    /// The value of `TLS_RX_EXPECT_NO_PAD`.
    pub rx_no_pad: bool,
    /// The value of `TLS_TX_MAX_PAYLOAD_LEN`.
    pub tx_max_payload_len: usize,
}

/// How a direction is processed, by the kernel's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum DirectionConf {
    /// By TCP alone: the direction has no key.
    Base = 1,
    /// By the record layer in software.
    Sw = 2,
    /// By a device.
    Hw = 3,
}

impl DirectionConf {
    /// Returns the value for a direction with this key.
    #[must_use]
    pub const fn new(key: Option<&CryptoInfo>) -> Self {
        match key {
            None => Self::Base,
            Some(_) => Self::Sw,
        }
    }
}
