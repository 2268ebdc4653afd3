//! The interface of a network device for the record layer (`docs/offload-rules.md`, D-1 to D-5),
//! and its errors.

use std::fmt;

use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::error::Errno;
use ktls_core::slot::SlotId;

use super::segment::{SegmentCompletion, SegmentDescriptor};

/// A connection, identified by a number that is unique at its host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeviceConnection(pub u32);

/// A device that seals and opens records as they are sent and received. Wrappers of a device
/// implement it too.
///
/// Positions in a stream are 64-bit byte offsets, which do not wrap.
pub trait OffloadDevice {
    /// Returns the capabilities of the device.
    fn capabilities(&self) -> DeviceCapabilities;

    /// Returns whether the device's network interface is up.
    fn netdev(&self) -> NetdevState;

    /// Sets whether the interface is up. Key slots stay until their owners delete them (D-5).
    fn set_netdev(&mut self, netdev: NetdevState);

    /// Puts a key into use from stream offset `start`. The record there has the number
    /// `info.rec_seq` (D-3).
    ///
    /// # Errors
    /// Returns the reason why the device refuses the key; nothing has changed then.
    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError>;

    /// Deletes a key. Descriptors that name it complete with [`DeviceError::Stale`] (D-3).
    ///
    /// # Errors
    /// [`DeviceError::Stale`] if the slot does not hold this key any more.
    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError>;

    /// Tells the device that the record at `offset`, or the record that it requested with `offset`,
    /// has the number `rec_seq` (D-11, D-13).
    ///
    /// # Errors
    /// [`DeviceError::Stale`] if the slot does not hold this key any more;
    /// [`DeviceError::RingFull`] if the ring has no free entry.
    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError>;

    /// Returns the device's next question about a key that it has lost its place with.
    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest>;

    /// Queues a segment to be sealed. This is the transmit hook.
    ///
    /// # Errors
    /// Returns the descriptor, and the reason why it has to be sealed in software.
    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor>;

    /// Processes up to `budget` queued descriptors.
    fn tick(&mut self, budget: usize);

    /// Returns the next completed descriptor, if there is one.
    fn complete(&mut self) -> Option<SegmentCompletion>;

    /// Opens a segment of ciphertext in place if it is the next one. This is the receive hook.
    fn receive(
        &mut self,
        connection: DeviceConnection,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark;
}

/// The capabilities of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceCapabilities {
    /// Whether it seals (HW-TLS-TX).
    pub tx: bool,
    /// Whether it opens (HW-TLS-RX).
    pub rx: bool,
    /// Whether it supports TLS 1.3 (the driver has to opt in, D-1).
    pub tls13: bool,
    /// How it resynchronises when receiving.
    pub resync: ResyncKind,
}

/// How a receiving device resynchronises (D-13).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ResyncKind {
    /// Type 0: the device asks whether bytes that look like a record header are one.
    #[default]
    DriverRequest,
    /// Type 1: the record layer tells the device where the next record starts, without being asked.
    NextHint,
    /// Type 2: the device first announces a window, and later asks for a position in it.
    Async,
}

/// The state of a device's network interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NetdevState {
    /// The interface is up.
    #[default]
    Up,
    /// The interface is down; software does all the work (D-5).
    Down,
}

/// What a device did to a received segment (D-12, V-RX-8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SegmentMark {
    /// The bytes are unchanged.
    Untouched,
    /// The bytes were decrypted with the key of this slot, and all tags in them were right.
    Opened(SlotId),
    /// The bytes were decrypted with the key of this slot, and a tag was wrong.
    Failed(SlotId),
}

impl SegmentMark {
    /// Returns the slot of the key that was used on the bytes, if any.
    #[must_use]
    pub const fn slot(self) -> Option<SlotId> {
        match self {
            Self::Untouched => None,
            Self::Opened(slot) | Self::Failed(slot) => Some(slot),
        }
    }
}

/// A request of a device that has lost its place (D-11, D-13).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ResyncRequest {
    /// Sending: the segment at `expected` was missing when a later one was submitted.
    Tx {
        /// The offset of the missing segment.
        expected: u64,
    },
    /// Type 0: asks whether `header_end` is the offset of the last byte of a header.
    Header {
        /// Offset of the fifth byte of what looks like a header.
        header_end: u64,
    },
    /// Type 2: asks to log the headers that end in the `len` bytes from `start`.
    Window {
        /// The offset where the window starts.
        start: u64,
        /// The length of the window in bytes.
        len: u64,
    },
    /// Type 2: names the header in question by the offset where it ends.
    WindowEnd {
        /// Offset of the fifth byte of the header.
        header_end: u64,
    },
}

/// A descriptor that the device refused, with the reason.
#[derive(Debug)]
pub struct RefusedDescriptor {
    /// The refused descriptor.
    pub descriptor: SegmentDescriptor,
    /// The reason.
    pub error: DeviceError,
}

/// The reason why a device did not do something. It is never fatal, since software does it instead.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeviceError {
    /// Every key slot is in use.
    NoSlot {
        /// Number of key slots.
        capacity: usize,
    },
    /// The device does not support this cipher or version.
    Unsupported {
        /// The kernel's number of the cipher.
        cipher_type: u16,
        /// The protocol version: 0x0303 or 0x0304.
        version: u16,
    },
    /// The device did not answer.
    Timeout,
    /// The network interface is down.
    Down,
    /// The slot holds another key now, or none.
    Stale {
        /// The slot of the deleted key.
        slot: SlotId,
    },
    /// The segment is not the next one of its key.
    OutOfOrder {
        /// The offset of the next segment.
        expected: u64,
        /// The offset where the refused segment starts.
        offset: u64,
    },
    /// A ring has no free entry.
    RingFull {
        /// Number of entries of the ring.
        depth: usize,
    },
}

impl DeviceError {
    /// Returns the errno that a driver returns for this error.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::NoSlot { .. } => Errno::NoSpc,
            Self::Unsupported { .. } => Errno::OpNotSupp,
            Self::Timeout => Errno::TimedOut,
            Self::Down => Errno::NoDev,
            Self::Stale { .. } => Errno::NoEnt,
            Self::OutOfOrder { .. } => Errno::Inval,
            Self::RingFull { .. } => Errno::Again,
        }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSlot { capacity } => write!(f, "all {capacity} key slots are taken"),
            Self::Unsupported {
                cipher_type,
                version,
            } => write!(
                f,
                "the device has no cipher {cipher_type} in version {version:#06x}"
            ),
            Self::Timeout => f.write_str("the device did not answer in time"),
            Self::Down => f.write_str("the network interface is down"),
            Self::Stale { slot } => write!(f, "key slot {slot} was deleted"),
            Self::OutOfOrder { expected, offset } => {
                write!(f, "a segment at {offset} came where {expected} was next")
            }
            Self::RingFull { depth } => write!(f, "all {depth} places of the ring are taken"),
        }
    }
}

impl std::error::Error for DeviceError {}
