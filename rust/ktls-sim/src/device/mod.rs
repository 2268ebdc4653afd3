//! The interface of a device, and two devices around a device: one logs its calls, and one keeps account
//! of the keys.

mod ledger;
mod offload_device;
mod segment;
mod trace;

pub use ledger::{DirectionLedger, KeyLedger, LedgerDevice, SharedLedger};
pub use offload_device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncKind, ResyncRequest, SegmentMark,
};
pub use segment::{SegmentCompletion, SegmentDescriptor};
pub use trace::{TraceDevice, TraceLog};
