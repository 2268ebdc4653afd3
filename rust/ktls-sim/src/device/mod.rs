//! Devices: what one offers, and devices around a device, of which one fails on purpose, one writes down
//! what it is asked, and one keeps account of the keys.

mod fault;
mod ledger;
mod offload_device;
mod segment;
mod trace;

pub use fault::FaultyDevice;
pub use ledger::{DirectionLedger, KeyLedger, LedgerDevice, SharedLedger};
pub use offload_device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncKind, ResyncRequest, SegmentMark,
};
pub use segment::{SegmentCompletion, SegmentDescriptor};
pub use trace::{TraceDevice, TraceLog};
