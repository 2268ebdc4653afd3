//! Checks a sending direction over its device, rule by rule of `docs/offload-rules.md`.

use ktls_core::offload::{InstallPolicy, TxPhase};
use ktls_core::socket::{PartialRecord, SocketShared, SocketTx};
use ktls_core::stats::Counter;
use ktls_sim::device::{NetdevState, OffloadDevice};
use ktls_sim::device_socket::{DeviceSocketTx, SealPath, StreamSegment, TransmitOutcome};

use super::{ONE, Sender, key, nic, sealed};

/// Returns the length of a record with `len` bytes of plaintext.
const fn record(len: u64) -> u64 {
    len + 22
}

impl Sender {
    fn counted(&self, counter: Counter) -> i64 {
        self.shared.stats.value(counter)
    }

    /// Returns the segment from `from` to `to`, as TCP has it.
    fn segment(&self, from: u64, to: u64) -> StreamSegment {
        StreamSegment {
            id: from,
            offset: from,
            bytes: self.tx.socket().wire()[from as usize..to as usize].to_vec(),
            path: self.tx.path(from).0,
        }
    }

    fn transmit(&mut self, segment: StreamSegment) -> TransmitOutcome {
        self.tx.transmit(segment, &mut self.nic)
    }
}

/// D-2, D-4, R-API-1.
#[test]
fn a_refused_sender_stays_in_software_with_the_next_key() {
    let (mut socket, mut nic, shared) = (SocketTx::default(), nic(), SocketShared::default());
    nic.set_netdev(NetdevState::Down);
    socket.install(key(0));
    let policy = InstallPolicy::CoverLetter;
    let mut tx = DeviceSocketTx::start(socket, policy, ONE, &mut nic, &shared.stats);
    nic.set_netdev(NetdevState::Up);
    tx.rekey(key(1), 1, &mut nic, &shared).unwrap();
    assert_eq!(tx.phase(), TxPhase::Software);
    assert_eq!(nic.slots_taken(), 0);
    for (counter, value) in [
        (Counter::TlsTxSw, 1),
        (Counter::TlsCurrTxSw, 1),
        (Counter::TlsTxDevice, 0),
        (Counter::TlsCurrTxDevice, 0),
        (Counter::TlsTxRekeyOk, 1),
    ] {
        assert_eq!(shared.stats.value(counter), value, "{counter:?}");
    }
}

/// D-9, D-10.
#[test]
fn a_segment_is_queued_sealed_in_software_passed_or_dropped() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    sender.send(b"first", PartialRecord::Seal);
    sender.send(b"second", PartialRecord::Seal);
    let (first, second) = (record(5), record(5) + record(6));
    let (one, other) = (sender.segment(0, first), sender.segment(first, second));
    let of_both = sender.segment(first - 3, first + 3);

    let by_software = sealed(0, 1, 23, b"second");
    assert_eq!(
        sender.transmit(other),
        TransmitOutcome::Fallback(by_software)
    );
    assert_eq!(sender.transmit(one.clone()), TransmitOutcome::Queued);
    let mut pieces = sealed(0, 0, 23, b"first").split_off(first as usize - 3);
    pieces.extend(&sealed(0, 1, 23, b"second")[..3]);
    assert_eq!(sender.transmit(of_both), TransmitOutcome::Fallback(pieces));
    let ready = StreamSegment {
        path: SealPath::Sealed,
        ..one.clone()
    };
    let as_it_is = TransmitOutcome::Pass(ready.bytes.clone());
    assert_eq!(sender.transmit(ready), as_it_is);
    sender.acked(first);
    assert_eq!(sender.transmit(one), TransmitOutcome::Dropped);
}

/// D-11.
#[test]
fn a_resync_is_repeated_until_the_device_accepts_it() {
    let mut sender = Sender::new(InstallPolicy::CoverLetter);
    let len = record(1);
    let segment = |sender: &Sender, nth: u64| sender.segment(nth * len, (nth + 1) * len);
    (0..8).for_each(|_| sender.send(b"a", PartialRecord::Seal));
    let missed = segment(&sender, 1);
    assert!(matches!(
        sender.transmit(missed),
        TransmitOutcome::Fallback(_)
    ));
    for nth in 0..8 {
        let segment = segment(&sender, nth);
        assert_eq!(sender.transmit(segment), TransmitOutcome::Queued, "{nth}");
    }
    // The ring is full, so the position cannot be told at the ninth record.
    sender.send(b"a", PartialRecord::Seal);
    sender.nic.tick(8);
    sender.send(b"a", PartialRecord::Seal);
    let tenth = segment(&sender, 9);
    assert_eq!(sender.transmit(tenth), TransmitOutcome::Queued);
}

/// V-TX-3, V-TX-4, V-TX-5, V-TX-9.
#[test]
fn v17_installs_only_at_a_send_after_the_acknowledgement() {
    let mut sender = Sender::new(InstallPolicy::V17);
    sender.send(b"old", PartialRecord::Seal);
    let boundary = record(3);
    let waits = sender.segment(0, boundary);
    sender.rekey(1, 1).unwrap();
    sender.send(b"new", PartialRecord::Seal);
    assert_eq!(sender.tx.phase(), TxPhase::Pending { boundary });
    assert_eq!(sender.counted(Counter::TlsCurrTxRekey), 1);
    let end = boundary + record(3);
    assert_eq!(sender.tx.path(boundary), (SealPath::Sealed, u64::MAX));
    let new = sender.tx.socket().wire()[boundary as usize..].to_vec();
    assert_eq!(new, sealed(1, 0, 23, b"new"));

    sender.acked(boundary - 1);
    assert_eq!(sender.tx.phase(), TxPhase::Pending { boundary });
    sender.acked(boundary);
    sender.acked(end);
    sender.tx.end_send(&mut sender.nic);
    assert_eq!(sender.tx.phase(), TxPhase::Ready);
    assert_eq!(sender.counted(Counter::TlsTxRekeyOk), 0);

    sender.send(b"next", PartialRecord::Seal);
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
    assert_eq!(sender.tx.path(end), (SealPath::Device, u64::MAX));
    assert_eq!(sender.counted(Counter::TlsTxRekeyOk), 1);
    assert_eq!(sender.counted(Counter::TlsCurrTxRekey), 0);
    assert_eq!(sender.transmit(waits), TransmitOutcome::Dropped);
    let next = sender.segment(end, end + record(4));
    assert_eq!(sender.transmit(next), TransmitOutcome::Queued);
    sender.nic.tick(1);
    let done = sender.nic.complete().unwrap();
    assert_eq!(done.descriptor.bytes, sealed(1, 1, 23, b"next"));
}

/// V-TX-6, V-TX-10.
#[test]
fn v17_falls_back_to_software_when_refused_and_tries_again_with_a_later_key() {
    let mut sender = Sender::new(InstallPolicy::V17);
    sender.nic.set_netdev(NetdevState::Down);
    sender.rekey(1, 1).unwrap();
    assert_eq!(sender.tx.phase(), TxPhase::Failed);
    assert_eq!(sender.counted(Counter::TlsTxRekeyFallback), 1);
    assert_eq!(sender.counted(Counter::TlsCurrTxDevice), 0);
    assert_eq!(sender.counted(Counter::TlsCurrTxSw), 1);
    sender.send(b"by software", PartialRecord::Seal);
    assert_eq!(sender.tx.socket().wire(), sealed(1, 0, 23, b"by software"));

    sender.nic.set_netdev(NetdevState::Up);
    sender.rekey(2, 1).unwrap();
    sender.send(b"by the device", PartialRecord::Seal);
    assert_eq!(sender.tx.phase(), TxPhase::Offloaded);
    assert_eq!(sender.counted(Counter::TlsTxRekeyOk), 1);
    assert_eq!(sender.counted(Counter::TlsCurrTxDevice), 1);
    assert_eq!(sender.counted(Counter::TlsCurrTxSw), 0);
}

/// V-TX-2, V-TX-7, V-TX-8.
#[test]
fn v17_keeps_the_boundary_for_a_second_key_and_a_close_aborts_the_last() {
    let mut sender = Sender::new(InstallPolicy::V17);
    sender.send(b"old", PartialRecord::Seal);
    let boundary = record(3);
    sender.rekey(1, 1).unwrap();
    sender.send(b"open", PartialRecord::KeepOpen);
    sender.rekey(2, 1).unwrap();
    assert_eq!(sender.tx.phase(), TxPhase::Pending { boundary });
    let flushed = &sender.tx.socket().wire()[boundary as usize..];
    assert_eq!(flushed, sealed(1, 0, 23, b"open"), "under the key before");
    assert_eq!(sender.counted(Counter::TlsTxRekeyOk), 1);
    assert_eq!(sender.counted(Counter::TlsTxRekeyAborted), 0);
    sender.tx.close_offload();
    assert_eq!(sender.tx.phase(), TxPhase::Closed);
    assert_eq!(sender.counted(Counter::TlsTxRekeyAborted), 1);
    assert_eq!(sender.counted(Counter::TlsCurrTxRekey), 0);
}
