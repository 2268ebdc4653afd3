//! Key updates while a network device does the cryptography (`docs/offload-rules.md`).
//!
//! [`TxPhase`] and [`RxPhase`] hold every rule of a rekey, as pure state machines; the sockets' own
//! [`crate::socket::SocketTx`] and [`crate::socket::SocketRx`] follow them over any [`OffloadDevice`]. [`SimNic`] is one.
//! Offsets into a stream are 64 bits long and do not wrap.

mod count;
mod device;
mod fallback;
mod marks;
mod nic;
mod policy;
mod record_list;
mod resync;
mod rings;
mod rx;
mod rx_offload;
mod tx;
mod tx_calls;
mod tx_offload;

pub use count::{Carrier, OffloadGauges};
pub use device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncKind, ResyncRequest, SegmentMark,
};
pub use fallback::seal_segment;
pub use nic::{NicSize, SimNic};
pub use policy::{InstallPolicy, RekeyOutcome};
pub use record_list::{LocatedRecord, RecordList};
pub use rings::{BoundedRing, SegmentCompletion, SegmentDescriptor};
pub use rx::{RxDeed, RxOffloadEvent, RxPhase, RxStep, UnreadStream};
pub(crate) use rx_offload::HeadOpener;
pub use rx_offload::{ArrivedStream, RxOffload, RxTally};
pub use tx::{StreamPosition, TxOffloadEvent, TxPhase, TxStep};
pub use tx_offload::{SealPath, StreamSegment, TransmitOutcome, TxOffload, TxTally};
