//! Key updates while a network device does the cryptography (`docs/offload-rules.md`).
//!
//! [`TxPhase`] and [`RxPhase`] hold every rule of a rekey, as pure state machines; the sockets' own
//! [`crate::socket::Tx`] and [`crate::socket::Rx`] follow them over any [`OffloadDevice`]. [`SimNic`] is one.
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
mod rx_side;
mod tx;
mod tx_calls;
mod tx_side;

pub use count::{Carrier, Gauges};
pub use device::{
    Capabilities, Connection, DeviceError, Mark, Netdev, OffloadDevice, Refused, ResyncKind,
    ResyncRequest,
};
pub use fallback::seal_segment;
pub use nic::{SimNic, Size};
pub use policy::{Outcome, Policy};
pub use record_list::{Found, RecordList};
pub use rings::{Completion, Descriptor, Ring};
pub use rx::{Queue, RxDeed, RxEvent, RxPhase, RxStep};
pub(crate) use rx_side::Judged;
pub use rx_side::{Arrived, RxOffload, RxTally};
pub use tx::{Line, TxEvent, TxPhase, TxStep};
pub use tx_side::{Path, Segment, Transmit, TxOffload, TxTally};
