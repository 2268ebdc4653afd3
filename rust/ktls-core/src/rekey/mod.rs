//! Key updates: a state machine for each direction, and a scanner that finds KeyUpdate messages.

mod rx_state;
mod scan;
mod tx_state;

pub use rx_state::{RxRekey, RxRekeyEvent};
pub use scan::{FoundKeyUpdate, KeyUpdateFault, KeyUpdateScanner};
pub use tx_state::{TxRekey, TxRekeyEvent};

/// The `request_update` byte of a KeyUpdate (RFC 8446 §4.6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// `update_not_requested`
    NotRequested,
    /// `update_requested`
    Requested,
}

impl Reply {
    /// Returns the byte of a KeyUpdate that requests one in return if `is_requested`.
    #[must_use]
    pub const fn requested_if(is_requested: bool) -> Self {
        if is_requested {
            Self::Requested
        } else {
            Self::NotRequested
        }
    }

    /// Returns a complete KeyUpdate message with this byte.
    #[must_use]
    pub const fn message(self) -> [u8; 5] {
        [crate::wire::KEY_UPDATE, 0, 0, 1, self as u8]
    }
}
