//! Sockets over a device that works inline: the socket code of `ktls-core`, with the state that the
//! kernel's device layer keeps.
//!
//! A sending socket frames its records for the device and keeps them in a list until they are
//! acknowledged. It seals a segment in software if the device cannot. A receiving socket knows what
//! the device did to each range of the stream, and undoes decryption with the wrong key. The driver
//! of the product, [`ktls_core::offload::OffloadDriver`], controls the key updates of both.

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
