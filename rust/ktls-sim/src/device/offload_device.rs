//! What a network device offers to the record layer (`docs/offload-rules.md`, D-1 to D-5), and how
//! it fails.

use std::fmt;

use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::error::Errno;
use ktls_core::slot::SlotId;

use super::segment::{SegmentCompletion, SegmentDescriptor};

/// One connection, by its number at the host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeviceConnection(pub u32);

/// A device that seals and opens records on their way. Wrappers of a device are devices, too.
///
/// Places in the stream are 64-bit offsets of the connection's bytes, which do not wrap.
pub trait OffloadDevice {
    /// What the device can do.
    fn capabilities(&self) -> DeviceCapabilities;

    /// Whether the device's network interface is up.
    fn netdev(&self) -> NetdevState;

    /// The interface goes up or down. Key slots stay until their owners delete them (D-5).
    fn set_netdev(&mut self, netdev: NetdevState);

    /// Puts a key in use from stream offset `start` on, whose record has the number `info.rec_seq` (D-3).
    ///
    /// # Errors
    /// Why the device does not take it; nothing changed then.
    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError>;

    /// Takes a key out; descriptors that name it complete with [`DeviceError::Stale`] (D-3).
    ///
    /// # Errors
    /// [`DeviceError::Stale`]
    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError>;

    /// Tells that the record at, or asked for by, `offset` has the number `rec_seq` (D-11, D-13).
    ///
    /// # Errors
    /// [`DeviceError::Stale`], [`DeviceError::RingFull`]
    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError>;

    /// What the device asks about a key it has lost its place with, once.
    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest>;

    /// The transmit hook: queues a segment to be sealed.
    ///
    /// # Errors
    /// Why it has to be sealed in software; the descriptor comes back.
    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor>;

    /// Time goes on: at most `budget` queued descriptors are worked on.
    fn tick(&mut self, budget: usize);

    /// The next finished descriptor.
    fn complete(&mut self) -> Option<SegmentCompletion>;

    /// The receive hook: opens a segment of ciphertext in place if it is the next one.
    fn receive(
        &mut self,
        connection: DeviceConnection,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark;
}

/// What a device can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceCapabilities {
    /// It seals (HW-TLS-TX).
    pub tx: bool,
    /// It opens (HW-TLS-RX).
    pub rx: bool,
    /// It knows TLS 1.3 (the driver has to opt in, D-1).
    pub tls13: bool,
    /// How it finds its place again when receiving.
    pub resync: ResyncKind,
}

/// How a receiving device finds its place again (D-13).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ResyncKind {
    /// Type 0: the device asks whether a header that it believes to see is one.
    #[default]
    DriverRequest,
    /// Type 1: the record layer tells where the next record starts, unasked.
    NextHint,
    /// Type 2: the device announces a window first and asks for a place in it later.
    Async,
}

/// The network interface of a device.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NetdevState {
    /// In use.
    #[default]
    Up,
    /// Gone: everything is done in software (D-5).
    Down,
}

/// What a device has done to a received segment (D-12, V-RX-8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SegmentMark {
    /// The bytes are as they came.
    Untouched,
    /// Opened under the key of this slot; tags that the segment holds were right.
    Opened(SlotId),
    /// Decrypted under the key of this slot, and a tag was wrong.
    Failed(SlotId),
}

impl SegmentMark {
    /// The key that was used on the bytes.
    #[must_use]
    pub const fn slot(self) -> Option<SlotId> {
        match self {
            Self::Untouched => None,
            Self::Opened(slot) | Self::Failed(slot) => Some(slot),
        }
    }
}

/// A question of a device that has lost its place (D-11, D-13).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ResyncRequest {
    /// Sending: a segment came that was not the next one; `expected` was.
    Tx {
        /// The offset that did not come.
        expected: u64,
    },
    /// Type 0: is `header_end` the last byte of a header?
    Header {
        /// Offset of the fifth byte of the header that the device believes to see.
        header_end: u64,
    },
    /// Type 2: log the headers that end from `start` on, for `len` bytes.
    Window {
        /// Where the window starts.
        start: u64,
        /// Its length.
        len: u64,
    },
    /// Type 2: the header that the device meant ends here.
    WindowEnd {
        /// Offset of the fifth byte.
        header_end: u64,
    },
}

/// A descriptor that the device did not take, and why.
#[derive(Debug)]
pub struct RefusedDescriptor {
    /// The descriptor.
    pub descriptor: SegmentDescriptor,
    /// Why.
    pub error: DeviceError,
}

/// Why a device did not do something. Never fatal: software does it instead.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DeviceError {
    /// Every key slot is taken.
    NoSlot {
        /// How many there are.
        capacity: usize,
    },
    /// The device does not know this cipher or version.
    Unsupported {
        /// The kernel's number of the cipher.
        cipher_type: u16,
        /// 0x0303 or 0x0304.
        version: u16,
    },
    /// The device did not answer.
    Timeout,
    /// The network interface is down.
    Down,
    /// The slot holds another key, or none, by now.
    Stale {
        /// The handle.
        slot: SlotId,
    },
    /// The segment is not the next one of its key.
    OutOfOrder {
        /// What is.
        expected: u64,
        /// Where the segment starts.
        offset: u64,
    },
    /// No room in a ring.
    RingFull {
        /// Its depth.
        depth: usize,
    },
}

impl DeviceError {
    /// The errno that a driver gives.
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
