//! The entries of the rings of a device.

use ktls_core::slot::SlotId;

use super::DeviceError;

/// A segment for a device to seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentDescriptor {
    /// The submitter's number of the segment.
    pub id: u64,
    /// The slot of the key to seal it under.
    pub slot: SlotId,
    /// The offset where the segment starts in the stream.
    pub offset: u64,
    /// Framed records, which may be cut at any byte. They are sealed in place.
    pub bytes: Vec<u8>,
}

/// A descriptor that the device has completed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentCompletion {
    /// The descriptor. Its bytes are sealed if `result` is `Ok`, and plaintext otherwise.
    pub descriptor: SegmentDescriptor,
    /// Whether the bytes may be sent.
    pub result: Result<(), DeviceError>,
}
