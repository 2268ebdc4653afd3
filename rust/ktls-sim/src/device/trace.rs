//! A device that logs its calls, one line for each call or descriptor.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::slot::SlotId;

use crate::device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice,
    RefusedDescriptor, ResyncRequest, SegmentCompletion, SegmentDescriptor, SegmentMark,
};

/// The lines of a log, shared between the device and its readers.
pub type TraceLog = Rc<RefCell<Vec<String>>>;

/// A device that writes its calls into a log.
#[derive(Debug)]
pub struct TraceDevice<D> {
    inner: D,
    log: TraceLog,
}

impl<D> TraceDevice<D> {
    /// Wraps `inner`, and writes its calls into `log`.
    pub const fn new(inner: D, log: TraceLog) -> Self {
        Self { inner, log }
    }

    fn write(&self, line: String) {
        self.log.borrow_mut().push(line);
    }
}

impl<D: OffloadDevice> OffloadDevice for TraceDevice<D> {
    fn capabilities(&self) -> DeviceCapabilities {
        self.inner.capabilities()
    }

    fn netdev(&self) -> NetdevState {
        self.inner.netdev()
    }

    fn set_netdev(&mut self, netdev: NetdevState) {
        self.write(format!("netdev {netdev:?}"));
        self.inner.set_netdev(netdev);
    }

    fn dev_add(
        &mut self,
        connection: DeviceConnection,
        direction: Direction,
        info: &CryptoInfo,
        start: u64,
    ) -> Result<SlotId, DeviceError> {
        let added = self.inner.dev_add(connection, direction, info, start);
        let (number, seq) = (connection.0, info.rec_seq);
        let verdict = outcome_text(added.as_ref());
        self.write(format!(
            "add {direction:?} connection {number} at {start} record {seq}: {verdict}"
        ));
        added
    }

    fn dev_del(&mut self, slot: SlotId) -> Result<(), DeviceError> {
        self.write(format!("delete slot {slot}"));
        self.inner.dev_del(slot)
    }

    fn resync(&mut self, slot: SlotId, offset: u64, rec_seq: u64) -> Result<(), DeviceError> {
        self.write(format!("resync slot {slot} at {offset} record {rec_seq}"));
        self.inner.resync(slot, offset, rec_seq)
    }

    fn request(&mut self, slot: SlotId) -> Option<ResyncRequest> {
        let request = self.inner.request(slot)?;
        self.write(format!("request slot {slot}: {request:?}"));
        Some(request)
    }

    fn submit(&mut self, descriptor: SegmentDescriptor) -> Result<(), RefusedDescriptor> {
        let (id, slot) = (descriptor.id, descriptor.slot);
        let (offset, len) = (descriptor.offset, descriptor.bytes.len());
        let submitted = self.inner.submit(descriptor);
        let verdict = match &submitted {
            Ok(()) => "queued".to_owned(),
            Err(refused) => refused.error.to_string(),
        };
        self.write(format!(
            "submit {id} slot {slot} at {offset} len {len}: {verdict}"
        ));
        submitted
    }

    fn tick(&mut self, budget: usize) {
        self.inner.tick(budget);
    }

    fn complete(&mut self) -> Option<SegmentCompletion> {
        let completion = self.inner.complete()?;
        let id = completion.descriptor.id;
        let verdict = outcome_text(completion.result.as_ref().map(|()| &"sealed"));
        self.write(format!("complete {id}: {verdict}"));
        Some(completion)
    }

    fn receive(
        &mut self,
        connection: DeviceConnection,
        offset: u64,
        bytes: &mut [u8],
    ) -> SegmentMark {
        let mark = self.inner.receive(connection, offset, bytes);
        let len = bytes.len();
        self.write(format!("receive at {offset} len {len}: {mark:?}"));
        mark
    }
}

fn outcome_text<T: Display>(result: Result<&T, &DeviceError>) -> String {
    result.map_or_else(ToString::to_string, ToString::to_string)
}
