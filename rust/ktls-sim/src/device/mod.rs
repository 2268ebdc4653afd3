//! The interface of a device, and two wrappers: one logs the calls of a device, the other keeps a
//! ledger of its keys.

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
