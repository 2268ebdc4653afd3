//! The receiving device, TCP's receiving side, and the reading program.

use ktls_core::Error;
use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{CallFault, NoBytesReason, ReceiveBuffers, ReceiveCall, ReceiveStep};
use ktls_core::wire::KEY_UPDATE;

use super::host::Host;
use super::key::expand;
use super::{ScheduledEvent, World};
use crate::oracle::BrokenInvariant;
use crate::report::EventKind;

/// The record type and the bytes that one receive call returned; `None` if there was nothing to
/// read.
type ReceiveOutcome = Result<Option<(u8, Vec<u8>)>, CallFault>;

impl World<'_> {
    /// Handles an arriving packet: the device opens it if it can, and TCP puts it in order.
    pub(super) fn packet_arrives(&mut self, index: usize, offset: u64, mut bytes: Vec<u8>) {
        let host = &mut self.hosts[index];
        let connection = crate::device::DeviceConnection(1);
        let mark = host.device.receive(connection, offset, &mut bytes);
        host.receiver.arrive(offset, &bytes, mark);
        if !host.closed {
            host.rx.arrived(host.receiver.arrived());
            host.rx.serve_device(&mut *host.device);
        }
        self.plan_read(index);
        self.send_ack(index);
    }

    fn plan_read(&mut self, index: usize) {
        if !std::mem::replace(&mut self.hosts[index].reader.planned, true) {
            let lag = self.rng.u64(1..=self.scenario.read_lag);
            self.schedule_after(lag, ScheduledEvent::Read(index));
        }
    }

    /// Lets the program read until there is nothing more to read.
    pub(super) fn read(&mut self, index: usize) {
        self.hosts[index].reader.planned = false;
        if self.hosts[index].closed {
            return;
        }
        self.hosts[index].feed_socket();
        loop {
            let len = self.rng.usize(1..=MAX_READ);
            match self.hosts[index].receive(len) {
                Ok(Some((record_type, bytes))) => self.deliver(index, record_type, &bytes),
                Ok(None) | Err(CallFault::Tls(Error::KeyExpired)) => return,
                Err(fault) => {
                    let errno = fault.code();
                    return self.violate(1 - index, 0, BrokenInvariant::ReceiveFailed { errno });
                }
            }
        }
    }

    fn deliver(&mut self, index: usize, record_type: u8, bytes: &[u8]) {
        let delivered = self.hosts[1 - index]
            .oracle
            .check_delivery(record_type, bytes);
        if let Err(broken) = delivered {
            self.violate(1 - index, 0, broken);
        }
        if record_type == 22 && bytes.first() == Some(&KEY_UPDATE) {
            let lag = self.rng.u64(0..=self.scenario.read_lag);
            let generation = self.hosts[index].reader.generation + 1;
            self.schedule_after(lag, ScheduledEvent::ReadKey(index, generation));
        }
    }

    /// Does `setsockopt(TLS_RX)` with the key of `generation`.
    pub(super) fn install_read_key(&mut self, index: usize, generation: u32) {
        let host = &mut self.hosts[index];
        if host.closed {
            return;
        }
        let key = expand(host.peer_keys.info(generation));
        let device = &mut *host.device;
        if let Err(error) = host.rx.rekey(key, device) {
            let errno = error.errno().code();
            return self.violate(1 - index, 0, BrokenInvariant::ReceiveFailed { errno });
        }
        host.reader.generation = generation;
        self.summary.rx_rekeys[index] += 1;
        self.note(index, EventKind::RxKey { generation });
        self.plan_read(index);
    }
}

impl Host {
    /// Feeds the socket everything that TCP has in order.
    fn feed_socket(&mut self) {
        while let Some((bytes, mark)) = self.receiver.next() {
            let space = self.rx.socket_mut().space(bytes.len());
            space.copy_from_slice(&bytes);
            self.rx.push_mark(bytes.len(), mark);
            self.rx.socket_mut().fed(bytes.len(), &self.shared);
        }
    }

    /// Does one receive call with room for `len` bytes and a control message.
    fn receive(&mut self, len: usize) -> ReceiveOutcome {
        let mut buffer = vec![0; len];
        let slices: &mut [&mut [u8]] = &mut [&mut buffer];
        let mut target = ReceiveBuffers::new(slices);
        let mut call = ReceiveCall::new(RecvFlags::default(), ControlRoom::Full, len, 1);
        let got = self.call(&mut call, &mut target);
        self.rx.serve_device(&mut *self.device);
        got?;
        let received = call.received();
        buffer.truncate(received.len);
        Ok(received.record_type.map(|kind| (kind, buffer)))
    }

    fn call(
        &mut self,
        call: &mut ReceiveCall,
        target: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<(), CallFault> {
        let rx = self.rx.socket_mut();
        if rx.start(call, target, &self.shared)? == ReceiveStep::NeedBytes {
            rx.go_on_without_bytes(call, NoBytesReason::Yet, &self.shared)?;
        }
        Ok(())
    }
}

const MAX_READ: usize = 20_000;
