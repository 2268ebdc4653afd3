//! Sockets over a device that works inline: the socket code of `ktls-core` and what the kernel's device layer
//! keeps beside it.
//!
//! A sending socket frames its records for the device, keeps them in a list until they are acknowledged, and
//! seals a segment again when the device cannot. A receiving socket knows what the device did to each
//! stretch of the stream, and undoes what was done with the wrong key. Key updates of both are led by the
//! driver that ships, [`ktls_core::offload::OffloadDriver`].

mod fallback;
mod marks;
mod record_list;
mod resync;
mod rx;
mod rx_slots;
mod tx;
mod tx_records;

pub use fallback::seal_segment;
pub use record_list::{LocatedRecord, RecordList};
pub use rx::{ArrivedStream, DeviceSocketRx, RxTally};
pub use tx::DeviceSocketTx;
pub use tx_records::{SealPath, StreamSegment, TransmitOutcome, TxTally};
