//! A simulated network device that seals and opens records.
//!
//! The device processes the segments that come in order for a key, and leaves others unchanged.
//! After it has lost its place in a received stream, bytes stay ciphertext until a resync.

pub(crate) mod framed;
mod ring;
mod search;
mod walk;

use ktls_core::aead::Provider;
use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::key::TrafficKey;
use ktls_core::slot::{SlotId, SlotTable};
use ktls_core::suite::AeadAlgorithm;
use ktls_core::wire::TLS13;

use crate::device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncKind, ResyncRequest, SegmentCompletion, SegmentDescriptor,
    SegmentMark,
};
use ring::BoundedRing;
use search::HeaderSearch;
use walk::{RecordWalk, TagVerdict, WalkTask};

pub use framed::{frame, read_opened, seal_framed};
pub(crate) use walk::xor;

/// A simulated network device.
pub struct SimNic {
    provider: &'static dyn Provider,
    capabilities: DeviceCapabilities,
    netdev: NetdevState,
    slots: SlotTable<NicContext>,
    capacity: usize,
    depth: usize,
    submissions: BoundedRing<NicSubmission>,
    completions: BoundedRing<SegmentCompletion>,
}

/// The sizes of a device's tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NicSize {
    /// Number of key slots.
    pub slots: usize,
    /// Number of entries of each ring.
    pub depth: usize,
}

/// A key of one connection and direction.
struct NicContext {
    connection: DeviceConnection,
    direction: Direction,
    key: TrafficKey,
    walk: RecordWalk,
    /// Sending: the offset of the next segment that may be submitted.
    next: u64,
    /// Sending: the offset of a missing segment, to be requested.
    missed: Option<u64>,
    /// Receiving: the search for a record header, while the place is lost.
    search: Option<HeaderSearch>,
}

enum NicSubmission {
    Segment(SegmentDescriptor),
    Resync {
        slot: SlotId,
        offset: u64,
        rec_seq: u64,
    },
}

impl SimNic {
    /// Creates a device with empty slots and rings, whose interface is up.
    #[must_use]
    pub const fn new(
        provider: &'static dyn Provider,
        capabilities: DeviceCapabilities,
        size: NicSize,
    ) -> Self {
        Self {
            provider,
            capabilities,
            netdev: NetdevState::Up,
            slots: SlotTable::new(size.slots),
            capacity: size.slots,
            depth: size.depth,
            submissions: BoundedRing::new(size.depth),
            completions: BoundedRing::new(size.depth),
        }
    }

    /// Returns the number of keys in use.
    #[must_use]
    pub fn slots_taken(&self) -> usize {
        self.slots.len()
    }

    fn check(&self, direction: Direction, info: &CryptoInfo) -> Result<(), DeviceError> {
        if self.netdev == NetdevState::Down {
            return Err(DeviceError::Down);
        }
        let gcm = matches!(
            info.cipher().algorithm,
            AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes256Gcm
        );
        let side = match direction {
            Direction::Tx => self.capabilities.tx,
            Direction::Rx => self.capabilities.rx,
        };
        if gcm && side && (info.version() != TLS13 || self.capabilities.tls13) {
            return Ok(());
        }
        Err(DeviceError::Unsupported {
            cipher_type: info.cipher().cipher_type,
            version: info.version(),
        })
    }

    const fn full(&self) -> DeviceError {
        DeviceError::RingFull { depth: self.depth }
    }

    fn context(&mut self, slot: SlotId) -> Result<&mut NicContext, DeviceError> {
        self.slots
            .key_mut(slot)
            .map_err(|_| DeviceError::Stale { slot })
    }

    fn may_submit(&mut self, descriptor: &SegmentDescriptor) -> Result<(), DeviceError> {
        if self.netdev == NetdevState::Down {
            return Err(DeviceError::Down);
        }
        if self.submissions.is_full() {
            return Err(self.full());
        }
        self.context(descriptor.slot)?.take_place(descriptor)
    }

    fn work(&mut self, submission: NicSubmission) {
        match submission {
            NicSubmission::Segment(mut descriptor) => {
                let result = self.seal(&mut descriptor);
                // The ring has room: the caller checked it.
                let _ = self
                    .completions
                    .submit(SegmentCompletion { descriptor, result });
            }
            NicSubmission::Resync {
                slot,
                offset,
                rec_seq,
            } => {
                if let Ok(context) = self.context(slot) {
                    context.walk = RecordWalk::new(offset, rec_seq);
                }
            }
        }
    }

    fn seal(&mut self, descriptor: &mut SegmentDescriptor) -> Result<(), DeviceError> {
        let context = self.context(descriptor.slot)?;
        context
            .walk
            .run(&context.key, WalkTask::Seal, &mut descriptor.bytes);
        Ok(())
    }

    fn find(&self, connection: DeviceConnection, direction: Direction) -> Option<SlotId> {
        let wanted = |context: &NicContext| {
            context.connection == connection && context.direction == direction
        };
        self.slots
            .iter()
            .find_map(|(slot, context)| wanted(context).then_some(slot))
    }
}

impl OffloadDevice for SimNic {
    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities
    }

    fn netdev(&self) -> NetdevState {
        self.netdev
    }

    fn set_netdev(&mut self, netdev: NetdevState) {
        self.netdev = netdev;
    }

    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError> {
        self.check(direction, info)?;
        let unsupported = DeviceError::Unsupported {
            cipher_type: info.cipher().cipher_type,
            version: info.version(),
        };
        let key = TrafficKey::new(info.clone(), self.provider).map_err(|_| unsupported)?;
        let context = NicContext {
            connection,
            direction,
            key,
            walk: RecordWalk::new(start, info.rec_seq),
            next: start,
            missed: None,
            search: None,
        };
        let capacity = self.capacity;
        self.slots
            .add(context)
            .map_err(|_| DeviceError::NoSlot { capacity })
    }

    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError> {
        let deleted = self.slots.delete(slot);
        deleted.map(|_| ()).map_err(|_| DeviceError::Stale { slot })
    }

    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError> {
        let kind = self.capabilities.resync;
        if self.context(slot)?.direction == Direction::Rx {
            self.context(slot)?.found(kind, offset, rec_seq);
            return Ok(());
        }
        let entry = NicSubmission::Resync {
            slot,
            offset,
            rec_seq,
        };
        let submitted = self.submissions.submit(entry);
        submitted.map_err(|_| self.full())?;
        let context = self.context(slot)?;
        (context.next, context.missed) = (offset, None);
        Ok(())
    }

    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest> {
        self.context(slot).ok()?.request()
    }

    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor> {
        if let Err(error) = self.may_submit(&descriptor) {
            return Err(RefusedDescriptor { descriptor, error });
        }
        // The ring has room: `may_submit` checked it.
        let _ = self.submissions.submit(NicSubmission::Segment(descriptor));
        Ok(())
    }

    fn tick(&mut self, budget: usize) {
        for _ in 0..budget {
            if self.completions.is_full() {
                return;
            }
            let Some(submission) = self.submissions.acquire() else {
                return;
            };
            self.work(submission);
        }
    }

    fn complete(&mut self) -> Option<SegmentCompletion> {
        self.completions.acquire()
    }

    fn receive(
        &mut self,
        connection: DeviceConnection,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark {
        let slot = self.find(connection, Direction::Rx);
        let Some(slot) = slot.filter(|_| self.netdev == NetdevState::Up) else {
            return SegmentMark::Untouched;
        };
        let kind = self.capabilities.resync;
        match self.context(slot) {
            Ok(context) => context.receive(kind, slot, offset, bytes),
            Err(_) => SegmentMark::Untouched,
        }
    }
}

impl NicContext {
    /// Accepts a segment to be sealed if it is the next one, and remembers a gap otherwise.
    fn take_place(&mut self, descriptor: &SegmentDescriptor) -> Result<(), DeviceError> {
        if descriptor.offset == self.next {
            self.next += descriptor.bytes.len() as u64;
            return Ok(());
        }
        if descriptor.offset > self.next {
            self.missed.get_or_insert(self.next);
        }
        Err(DeviceError::OutOfOrder {
            expected: self.next,
            offset: descriptor.offset,
        })
    }

    fn request(&mut self) -> Option<ResyncRequest> {
        match self.direction {
            Direction::Tx => self.missed.map(|expected| ResyncRequest::Tx { expected }),
            Direction::Rx => self.search.as_mut()?.request(),
        }
    }

    fn receive(
        &mut self,
        kind: ResyncKind,
        slot: SlotId,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark {
        if let Some(search) = &mut self.search {
            search.look(kind, offset, bytes);
            return SegmentMark::Untouched;
        }
        if offset == self.walk.position {
            return match self.walk.run(&self.key, WalkTask::Open, bytes) {
                TagVerdict::Authentic => SegmentMark::Opened(slot),
                TagVerdict::Wrong => SegmentMark::Failed(slot),
            };
        }
        self.catch_up(kind, offset, bytes);
        SegmentMark::Untouched
    }

    /// Handles a segment that is not the next one; its bytes stay unchanged. The place is not lost
    /// if the segment contains the next byte, or if a record boundary after the gap is known.
    fn catch_up(&mut self, kind: ResyncKind, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        if offset > self.walk.position {
            match self.walk.next_start().filter(|&start| start >= offset) {
                Some(start) => self.walk.next_record(start, 1),
                None => return self.lose(kind, offset, bytes),
            }
        }
        if end > self.walk.position {
            let from = (self.walk.position - offset) as usize;
            let mut aside = bytes[from..].to_vec();
            self.walk.run(&self.key, WalkTask::Open, &mut aside);
        }
    }

    fn lose(&mut self, kind: ResyncKind, offset: u64, bytes: &[u8]) {
        let mut search = HeaderSearch::default();
        search.look(kind, offset, bytes);
        self.search = Some(search);
    }

    /// Handles a position that the record layer has told the device.
    fn found(&mut self, kind: ResyncKind, offset: u64, rec_seq: u64) {
        let Some(search) = &self.search else {
            return;
        };
        let place = match kind {
            ResyncKind::NextHint => Some((offset, rec_seq)),
            ResyncKind::DriverRequest | ResyncKind::Async => search.confirm(offset, rec_seq),
        };
        if let Some((position, seq)) = place {
            self.walk = RecordWalk::new(position, seq);
            self.search = None;
        }
    }
}

impl std::fmt::Debug for SimNic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimNic({} of {} slots)", self.slots.len(), self.capacity)
    }
}
