//! What lies in the rings of a device.

use ktls_core::slot::SlotId;

use super::DeviceError;

/// One segment for a device to seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentDescriptor {
    /// What the submitter knows it by.
    pub id: u64,
    /// Under which key.
    pub slot: SlotId,
    /// Where the segment starts in the stream.
    pub offset: u64,
    /// Framed records, cut anywhere; sealed in place.
    pub bytes: Vec<u8>,
}

/// A descriptor that the device is done with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentCompletion {
    /// The descriptor, its bytes sealed if `result` is Ok. Otherwise they are plaintext still.
    pub descriptor: SegmentDescriptor,
    /// Whether they may leave.
    pub result: Result<(), DeviceError>,
}
