//! Compares the simulated device with the software path, and checks its refusals.

use ktls_aead::PROVIDER;
use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::key::TrafficKey;
use ktls_core::slot::SlotId;
use ktls_core::wire::{TLS12, TLS13};
use ktls_sim::device::{
    DeviceCapabilities, DeviceConnection, DeviceError, NetdevState, OffloadDevice, ResyncKind,
    ResyncRequest, SegmentDescriptor, SegmentMark,
};
use ktls_sim::device_socket::{RecordList, seal_segment};
use ktls_sim::nic::{NicSize, SimNic, frame};

const ONE: DeviceConnection = DeviceConnection(1);
const KINDS: [ResyncKind; 3] = [
    ResyncKind::DriverRequest,
    ResyncKind::NextHint,
    ResyncKind::Async,
];

fn info(version: u16, cipher_type: u16) -> CryptoInfo {
    let (key, iv) = match cipher_type {
        51 => (16, 8),
        52 => (32, 8),
        _ => (32, 12),
    };
    let salt = vec![3; 12 - iv];
    CryptoInfo::new(version, cipher_type, &vec![1; iv], &vec![2; key], &salt, 7).unwrap()
}

fn nic(resync: ResyncKind, size: NicSize) -> SimNic {
    let capabilities = DeviceCapabilities {
        tx: true,
        rx: true,
        tls13: true,
        resync,
    };
    SimNic::new(&PROVIDER, capabilities, size)
}

fn roomy(resync: ResyncKind) -> SimNic {
    nic(
        resync,
        NicSize {
            slots: 4,
            depth: 64,
        },
    )
}

/// A stream of records, framed and sealed.
struct Stream {
    framed: Vec<u8>,
    sealed: Vec<u8>,
    list: RecordList,
    starts: Vec<usize>,
}

fn stream(info: &CryptoInfo, lens: &[usize]) -> Stream {
    let key = TrafficKey::new(info.clone(), &PROVIDER).unwrap();
    let mut stream = Stream {
        framed: Vec::new(),
        sealed: Vec::new(),
        list: RecordList::new(0, 7),
        starts: Vec::new(),
    };
    for (seq, &len) in (7..).zip(lens) {
        let plaintext: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        let mut framed = vec![0; len + key.overhead()];
        let mut sealed = framed.clone();
        frame(&key, seq, 23, &plaintext, &mut framed);
        key.seal(seq, 23, &plaintext, &mut sealed);
        stream.starts.push(stream.framed.len());
        stream.framed.extend(&framed);
        stream.sealed.extend(sealed);
        stream.list.push(framed.into());
    }
    stream
}

fn submit(nic: &mut SimNic, slot: SlotId, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
    let descriptor = SegmentDescriptor {
        id: 1,
        slot,
        offset: offset as u64,
        bytes: bytes.to_vec(),
    };
    nic.submit(descriptor).map_err(|refused| refused.error)
}

fn sealed_by(nic: &mut SimNic) -> Result<Vec<u8>, DeviceError> {
    nic.tick(1);
    let completion = nic.complete().unwrap();
    completion.result.map(|()| completion.descriptor.bytes)
}

/// D-8.
#[test]
fn the_device_seals_as_software_does_wherever_the_stream_is_cut() {
    for version in [TLS12, TLS13] {
        for cipher_type in [51, 52] {
            let info = info(version, cipher_type);
            let stream = stream(&info, &[0, 1, 40, 3, 17]);
            for step in 1..stream.framed.len() {
                let mut nic = roomy(ResyncKind::DriverRequest);
                let slot = nic.dev_add(ONE, Direction::Tx, &info, 0).unwrap();
                let mut wire = Vec::new();
                for (index, bytes) in stream.framed.chunks(step).enumerate() {
                    submit(&mut nic, slot, index * step, bytes).unwrap();
                    wire.extend(sealed_by(&mut nic).unwrap());
                }
                assert_eq!(wire, stream.sealed, "{version:#x} {cipher_type} by {step}");
            }
        }
    }
}

/// D-9, D-10.
#[test]
fn the_fallback_seals_any_range_as_software_does() {
    let info = info(TLS13, 51);
    let key = TrafficKey::new(info.clone(), &PROVIDER).unwrap();
    let stream = stream(&info, &[5, 0, 30]);
    let end = stream.sealed.len();
    for from in 0..end {
        for to in from + 1..=end {
            let sealed = seal_segment(&stream.list, &key, from as u64, to - from);
            assert_eq!(sealed.as_deref(), Some(&stream.sealed[from..to]));
        }
    }
    assert_eq!(seal_segment(&stream.list, &key, end as u64 - 1, 2), None);
}

/// D-12.
#[test]
fn the_device_opens_what_software_seals_wherever_the_stream_is_cut() {
    for version in [TLS12, TLS13] {
        let info = info(version, 51);
        let stream = stream(&info, &[0, 1, 40, 3, 17]);
        for step in 1..stream.sealed.len() {
            let mut nic = roomy(ResyncKind::DriverRequest);
            let slot = nic.dev_add(ONE, Direction::Rx, &info, 0).unwrap();
            let mut opened = stream.sealed.clone();
            for (index, bytes) in opened.chunks_mut(step).enumerate() {
                let mark = nic.receive(ONE, (index * step) as u64, bytes);
                assert_eq!(mark, SegmentMark::Opened(slot), "{version:#x} by {step}");
            }
            let bodies = |bytes: &[u8]| bytes[stream.starts[2]..][13..40].to_vec();
            assert_eq!(bodies(&opened), bodies(&stream.framed));
        }
    }
}

/// D-10, D-11.
#[test]
fn an_out_of_order_segment_is_refused_until_a_resync() {
    let info = info(TLS13, 51);
    let stream = stream(&info, &[20, 20, 20]);
    let mut nic = roomy(ResyncKind::DriverRequest);
    let slot = nic.dev_add(ONE, Direction::Tx, &info, 0).unwrap();
    let third = stream.starts[2];
    let refused = submit(&mut nic, slot, third, &stream.framed[third..]);
    let why = DeviceError::OutOfOrder {
        expected: 0,
        offset: third as u64,
    };
    assert_eq!(refused, Err(why));
    assert_eq!(nic.request(slot), Some(ResyncRequest::Tx { expected: 0 }));
    nic.resync(slot, third as u64, 9).unwrap();
    assert_eq!(nic.request(slot), None);
    nic.tick(1);
    submit(&mut nic, slot, third, &stream.framed[third..]).unwrap();
    assert_eq!(sealed_by(&mut nic), Ok(stream.sealed[third..].to_vec()));
}

/// D-3.
#[test]
fn a_descriptor_of_a_deleted_key_completes_as_stale() {
    let info = info(TLS13, 51);
    let stream = stream(&info, &[20]);
    let mut nic = roomy(ResyncKind::DriverRequest);
    let slot = nic.dev_add(ONE, Direction::Tx, &info, 0).unwrap();
    submit(&mut nic, slot, 0, &stream.framed).unwrap();
    nic.dev_del(slot).unwrap();
    let next = nic.dev_add(ONE, Direction::Tx, &info, 0).unwrap();
    assert_ne!(slot, next);
    assert_eq!(sealed_by(&mut nic), Err(DeviceError::Stale { slot }));
    assert_eq!(nic.dev_del(slot), Err(DeviceError::Stale { slot }));
}

/// D-1.
#[test]
fn a_device_accepts_aes_gcm_and_tls13_only_if_its_driver_opts_in() {
    let size = NicSize { slots: 9, depth: 1 };
    for tls13 in [false, true] {
        let capabilities = DeviceCapabilities {
            tx: true,
            rx: true,
            tls13,
            resync: ResyncKind::DriverRequest,
        };
        let mut nic = SimNic::new(&PROVIDER, capabilities, size);
        for (version, cipher_type, wanted) in [
            (TLS12, 51, true),
            (TLS12, 52, true),
            (TLS12, 54, false),
            (TLS13, 51, tls13),
            (TLS13, 52, tls13),
            (TLS13, 54, false),
        ] {
            for direction in [Direction::Tx, Direction::Rx] {
                let taken = nic.dev_add(ONE, direction, &info(version, cipher_type), 0);
                assert_eq!(taken.is_ok(), wanted, "{version:#x} {cipher_type}");
            }
        }
    }
}

/// D-2.
#[test]
fn each_refusal_has_the_errno_of_a_driver() {
    let mut nic = nic(ResyncKind::DriverRequest, NicSize { slots: 1, depth: 1 });
    let add = |nic: &mut SimNic, cipher| nic.dev_add(ONE, Direction::Tx, &info(TLS13, cipher), 0);
    let refused = |result: Result<SlotId, DeviceError>| {
        let error = result.unwrap_err();
        (error.errno(), error.to_string())
    };
    let (errno, text) = refused(add(&mut nic, 54));
    assert_eq!(errno, ktls_core::Errno::OpNotSupp);
    assert_eq!(text, "the device has no cipher 54 in version 0x0304");
    nic.set_netdev(NetdevState::Down);
    assert_eq!(refused(add(&mut nic, 51)).0, ktls_core::Errno::NoDev);
    nic.set_netdev(NetdevState::Up);
    let slot = add(&mut nic, 51).unwrap();
    let (errno, text) = refused(add(&mut nic, 51));
    assert_eq!(errno, ktls_core::Errno::NoSpc);
    assert_eq!(text, "all 1 key slots are taken");
    assert_eq!(submit(&mut nic, slot, 0, b"a"), Ok(()));
    let full = DeviceError::RingFull { depth: 1 };
    assert_eq!(submit(&mut nic, slot, 1, b"b"), Err(full));
    assert_eq!(nic.slots_taken(), 1);
}

#[test]
fn a_gap_inside_a_record_costs_that_record_only() {
    let info = info(TLS13, 51);
    let stream = stream(&info, &[50, 50, 50]);
    let mut nic = roomy(ResyncKind::DriverRequest);
    let slot = nic.dev_add(ONE, Direction::Rx, &info, 0).unwrap();
    let mut receive = |from: usize, to: usize| {
        let mut bytes = stream.sealed[from..to].to_vec();
        nic.receive(ONE, from as u64, &mut bytes)
    };
    let [_, second, third] = stream.starts[..] else {
        unreachable!()
    };
    assert_eq!(receive(0, 10), SegmentMark::Opened(slot));
    assert_eq!(receive(20, second), SegmentMark::Untouched);
    assert_eq!(receive(second, third), SegmentMark::Opened(slot));
    assert_eq!(receive(10, 20), SegmentMark::Untouched, "it came too late");
    assert_eq!(receive(third, third + 9), SegmentMark::Opened(slot));
}

/// D-13.
#[test]
fn each_kind_of_resync_finds_a_lost_place() {
    for kind in KINDS {
        let info = info(TLS13, 51);
        let stream = stream(&info, &[50; 8]);
        let mut nic = roomy(kind);
        let slot = nic.dev_add(ONE, Direction::Rx, &info, 0).unwrap();
        let mut marks = Vec::new();
        let len = stream.starts[1];
        for (index, start) in stream.starts.iter().copied().enumerate().skip(2) {
            let mut bytes = stream.sealed[start..start + len].to_vec();
            marks.push(nic.receive(ONE, start as u64, &mut bytes));
            answer(&mut nic, kind, slot, index, &stream.starts);
        }
        let opened = marks
            .iter()
            .filter(|mark| **mark == SegmentMark::Opened(slot));
        assert!(opened.count() >= 3, "{kind:?}: {marks:?}");
        assert_eq!(marks[0], SegmentMark::Untouched);
    }
}

/// Answers the device's requests after the record of this index was read, as the record layer does.
fn answer(nic: &mut SimNic, kind: ResyncKind, slot: SlotId, index: usize, starts: &[usize]) {
    if kind == ResyncKind::NextHint && index == 3 {
        return nic.resync(slot, starts[4] as u64, 7 + 4).unwrap();
    }
    while let Some(request) = nic.request(slot) {
        if let ResyncRequest::Header { header_end } | ResyncRequest::WindowEnd { header_end } =
            request
        {
            let start = header_end as usize - 4;
            let number = starts.iter().position(|&known| known == start).unwrap();
            nic.resync(slot, header_end, 7 + number as u64).unwrap();
        }
    }
}
