//! Key updates of sockets over a simulated device.

mod receive;
mod send;

use ktls_aead::PROVIDER;
use ktls_core::Errno;
use ktls_core::crypto_info::CryptoInfo;
use ktls_core::key::TrafficKey;
use ktls_core::offload::{InstallPolicy, RxPhase, TxPhase};
use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{
    CallFault, PartialRecord, ReceiveBuffers, ReceiveCall, SendBuffers, SocketRx, SocketShared,
    SocketTx,
};
use ktls_core::stats::Counter;
use ktls_core::wire::TLS13;
use ktls_sim::device::{
    DeviceCapabilities, DeviceConnection, NetdevState, OffloadDevice, ResyncKind, SegmentMark,
};
use ktls_sim::device_socket::{
    DeviceSocketRx, DeviceSocketTx, SealPath, StreamSegment, TransmitOutcome,
};
use ktls_sim::nic::{NicSize, SimNic};

const ONE: DeviceConnection = DeviceConnection(1);
const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];

fn key(fill: u8) -> TrafficKey {
    let info = CryptoInfo::new(TLS13, 51, &[fill; 8], &[fill; 16], &[fill; 4], 0).unwrap();
    TrafficKey::new(info, &PROVIDER).unwrap()
}

fn sealed(fill: u8, seq: u64, record_type: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; data.len() + 22];
    key(fill).seal(seq, record_type, data, &mut out);
    out
}

fn nic() -> SimNic {
    let capabilities = DeviceCapabilities {
        tx: true,
        rx: true,
        tls13: true,
        resync: ResyncKind::DriverRequest,
    };
    SimNic::new(&PROVIDER, capabilities, NicSize { slots: 4, depth: 8 })
}

/// A sender whose first key is in its device.
struct Sender {
    tx: DeviceSocketTx,
    nic: SimNic,
    shared: SocketShared,
}

impl Sender {
    fn new(policy: InstallPolicy) -> Self {
        let (mut socket, mut nic) = (SocketTx::default(), nic());
        let shared = SocketShared::default();
        socket.install(key(0));
        let tx = DeviceSocketTx::start(socket, policy, ONE, &mut nic, &shared.stats);
        assert_eq!(tx.phase(), TxPhase::Offloaded);
        Self { tx, nic, shared }
    }

    fn send(&mut self, data: &[u8], more: PartialRecord) {
        let slices = [data];
        let mut source = SendBuffers::new(&slices);
        self.tx.begin_send(&mut self.nic, &self.shared).unwrap();
        self.tx
            .socket_mut()
            .send(&mut source, None, more, 1 << 16, &self.shared)
            .unwrap();
        self.tx.end_send(&mut self.nic);
    }

    fn rekey(&mut self, fill: u8, room: usize) -> Result<(), CallFault> {
        self.tx.rekey(key(fill), room, &mut self.nic, &self.shared)
    }

    fn acked(&mut self, offset: u64) {
        self.tx.acked(offset);
    }
}

/// D-3, R-TX-1, R-TX-3, R-TX-6, R-TX-7, K-24.
#[test]
fn the_open_record_is_sealed_before_the_device_gets_the_key() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    sender.send(b"first", PartialRecord::Seal);
    let first = sender.tx.write_offset();
    sender.rekey(1, 1).unwrap();
    assert_eq!(sender.tx.phase(), TxPhase::Pending { boundary: first });
    sender.send(b"open", PartialRecord::KeepOpen);
    sender.acked(first);
    assert_eq!(sender.tx.phase(), TxPhase::Ready);
    sender.send(b"next", PartialRecord::Seal);
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);

    let open = first + 4 + 22;
    assert_eq!(sender.tx.path(first), (SealPath::Sealed, open));
    assert_eq!(sender.tx.path(open), (SealPath::Device, u64::MAX));
    let record = &sender.tx.socket().wire()[first as usize..open as usize];
    let mut out = [0; 32];
    let inner = key(1).open(0, record, &mut out).unwrap();
    assert_eq!(&out[..inner.len], b"open");
    assert_eq!(sender.tx.socket().live_info().unwrap().rec_seq, 2);
}

/// R-TX-4.
#[test]
fn an_idle_sender_installs_at_once() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    sender.rekey(1, 1).unwrap();
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
    assert_eq!(sender.nic.slots_taken(), 1);
    assert_eq!(sender.shared.stats.value(Counter::TlsTxRekeyOk), 1);
}

/// V-TX-1, V-TX-2.
#[test]
fn v17_flushes_the_open_record_under_the_old_key_or_changes_nothing() {
    let mut sender = Sender::new(InstallPolicy::V17);
    sender.send(b"open", PartialRecord::KeepOpen);
    let again = CallFault::System(Errno::Again.code());
    assert_eq!(sender.rekey(1, 0), Err(again));
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
    assert_eq!(sender.tx.socket().open_len(), 4);
    assert!(
        sender
            .tx
            .socket()
            .key()
            .unwrap()
            .info()
            .same_as(key(0).info())
    );

    sender.rekey(1, 1).unwrap();
    assert_eq!(sender.tx.socket().open_len(), 0);
    assert_eq!(sender.tx.phase(), TxPhase::Pending { boundary: 26 });
    assert_eq!(sender.tx.path(0), (SealPath::Device, 26));
}

/// D-8, S2.2-10.
#[test]
fn an_empty_send_makes_a_record_on_the_device_and_none_in_software() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    sender.send(b"", PartialRecord::Seal);
    assert_eq!(sender.tx.write_offset(), 22);
    sender.rekey(1, 1).unwrap();
    sender.send(b"", PartialRecord::Seal);
    assert_eq!(sender.tx.write_offset(), 22);
}

/// V-TX-9.
#[test]
fn a_segment_queued_before_its_key_was_replaced_is_dropped() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        let mut sender = Sender::new(policy);
        sender.send(b"first", PartialRecord::Seal);
        let waits = StreamSegment {
            id: 1,
            offset: 0,
            bytes: sender.tx.socket().wire().to_vec(),
            path: SealPath::Device,
        };
        sender.acked(27);
        sender.rekey(1, 1).unwrap();
        assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
        let left = sender.tx.transmit(waits, &mut sender.nic);
        assert_eq!(left, TransmitOutcome::Dropped, "{policy}");
    }
}

/// D-5, D-10.
#[test]
fn the_fallback_seals_after_the_interface_went_down() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    sender.nic.set_netdev(NetdevState::Down);
    sender.tx.netdev_changed(&mut sender.nic);
    sender.send(b"data", PartialRecord::Seal);
    let segment = StreamSegment {
        id: 1,
        offset: 0,
        bytes: sender.tx.socket().wire().to_vec(),
        path: SealPath::Device,
    };
    let want = sealed(0, 0, 23, b"data");
    let left = sender.tx.transmit(segment, &mut sender.nic);
    assert_eq!(left, TransmitOutcome::Fallback(want));
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
}

/// A receiver whose first key is in its device.
struct Receiver {
    rx: DeviceSocketRx,
    nic: SimNic,
    shared: SocketShared,
    offset: u64,
}

impl Receiver {
    fn new(policy: InstallPolicy) -> Self {
        let (mut nic, shared) = (nic(), SocketShared::default());
        let socket = SocketRx::new(key(0));
        let rx = DeviceSocketRx::start(socket, policy, ONE, &mut nic, &shared.stats);
        assert_eq!(rx.phase(), RxPhase::Offloaded);
        Self {
            rx,
            nic,
            shared,
            offset: 0,
        }
    }

    /// Receives a record in one segment.
    fn arrives(&mut self, fill: u8, seq: u64, record_type: u8, data: &[u8]) -> SegmentMark {
        let mut bytes = sealed(fill, seq, record_type, data);
        let mark = self.nic.receive(ONE, self.offset, &mut bytes);
        self.takes(&bytes, mark);
        mark
    }

    /// Feeds the socket a segment that comes from the device.
    fn takes(&mut self, bytes: &[u8], mark: SegmentMark) {
        self.offset += bytes.len() as u64;
        let space = self.rx.socket_mut().space(bytes.len());
        space.copy_from_slice(bytes);
        self.rx.push_mark(bytes.len(), mark);
        self.rx.arrived(ktls_sim::device_socket::ArrivedStream {
            in_order: self.offset,
            farthest: self.offset,
        });
        self.rx.socket_mut().fed(bytes.len(), &self.shared);
    }

    fn receive(&mut self) -> Result<Vec<u8>, CallFault> {
        let mut out = vec![0; 100];
        let slices: &mut [&mut [u8]] = &mut [&mut out];
        let mut call = ReceiveCall::new(RecvFlags::default(), ControlRoom::Full, 100, 1);
        let mut target = ReceiveBuffers::new(slices);
        let started = self
            .rx
            .socket_mut()
            .start(&mut call, &mut target, &self.shared);
        self.rx.serve_device(&mut self.nic);
        started?;
        out.truncate(call.received().len);
        Ok(out)
    }

    fn rekey(&mut self, fill: u8) {
        self.rx.rekey(key(fill), &mut self.nic).unwrap();
    }
}

/// D-12, K-18, K-21.
#[test]
fn a_record_opened_by_the_device_fails_under_the_next_key() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        let mut receiver = Receiver::new(policy);
        let mark = receiver.arrives(0, 0, 23, b"old");
        assert!(matches!(mark, SegmentMark::Opened(_)));
        receiver.rekey(1);
        let bad = CallFault::Tls(ktls_core::Error::BadTag);
        assert_eq!(receiver.receive(), Err(bad), "{policy}: as in software");
        // The right key still opens it (K-21).
        receiver.rekey(0);
        assert_eq!(receiver.receive().unwrap(), b"old", "{policy}");
    }
}

/// R-RX-1, R-RX-2, V-RX-1, V-RX-4, V-RX-8.
#[test]
fn records_decrypted_with_the_old_key_are_restored_and_opened_with_the_new_one() {
    for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
        let mut receiver = Receiver::new(policy);
        receiver.arrives(0, 0, 22, KEY_UPDATE);
        let mark = receiver.arrives(1, 0, 23, b"new");
        assert!(matches!(mark, SegmentMark::Failed(_)));
        assert_eq!(receiver.receive().unwrap(), KEY_UPDATE);
        receiver.arrives(1, 1, 23, b"");
        receiver.rekey(1);
        let boundary = receiver.offset;
        let (phase, slots) = match policy {
            InstallPolicy::V17 => (RxPhase::Draining { boundary }, 0),
            InstallPolicy::CoverLetter | InstallPolicy::Naive => (RxPhase::Offloaded, 1),
        };
        assert_eq!(receiver.rx.phase(), phase, "{policy}");
        assert_eq!(receiver.nic.slots_taken(), slots, "{policy}");
        assert_eq!(receiver.receive().unwrap(), b"new", "{policy}");
        assert!(receiver.rx.tally().regained_records > 0, "{policy}");
    }
}
