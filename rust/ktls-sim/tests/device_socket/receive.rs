//! Checks a receiving direction over its device, rule by rule of `docs/offload-rules.md`.

use ktls_core::offload::{InstallPolicy, RxPhase};
use ktls_core::stats::Counter;
use ktls_sim::device::{NetdevState, OffloadDevice, SegmentMark};
use ktls_sim::device_socket::ArrivedStream;

use super::{KEY_UPDATE, ONE, Receiver, key, sealed};

impl Receiver {
    fn counted(&self, counter: Counter) -> i64 {
        self.shared.stats.value(counter)
    }

    /// Returns a receiver that has read a KeyUpdate, with an unread record after it.
    fn with_a_record_after_the_key_update() -> Self {
        let mut receiver = Self::new(InstallPolicy::V17);
        receiver.arrives(0, 0, 22, KEY_UPDATE);
        assert_eq!(receiver.receive().unwrap(), KEY_UPDATE);
        assert_eq!(receiver.rx.phase(), RxPhase::Deleted);
        assert_eq!(receiver.arrives(1, 0, 23, b"waits"), SegmentMark::Untouched);
        receiver
    }
}

/// D-12.
#[test]
fn a_partly_decrypted_record_is_opened_in_software() {
    let mut receiver = Receiver::new(InstallPolicy::CoverLetter);
    let mut bytes = sealed(0, 0, 23, b"in two segments");
    let (first, second) = bytes.split_at_mut(12);
    let mark = receiver.nic.receive(ONE, 0, first);
    assert!(matches!(mark, SegmentMark::Opened(_)));
    receiver.takes(first, mark);
    receiver.takes(second, SegmentMark::Untouched);
    assert_eq!(receiver.receive().unwrap(), b"in two segments");
    let tally = receiver.rx.tally();
    assert_eq!((tally.device_records, tally.regained_records), (0, 1));
    assert_eq!(tally.regained_bytes, 12 - 5);

    // The device finds its place at the next record, and opens the one after it.
    assert_eq!(
        receiver.arrives(0, 1, 23, b"sealed"),
        SegmentMark::Untouched
    );
    assert!(matches!(
        receiver.arrives(0, 2, 23, b"open"),
        SegmentMark::Opened(_)
    ));
    assert_eq!(receiver.receive().unwrap(), b"sealedopen");
    let tally = receiver.rx.tally();
    assert_eq!((tally.device_records, tally.regained_records), (1, 1));
}

/// D-5, D-4.
#[test]
fn software_opens_while_the_interface_is_down_and_the_direction_stays_offloaded() {
    let mut receiver = Receiver::new(InstallPolicy::CoverLetter);
    receiver.nic.set_netdev(NetdevState::Down);
    receiver.rx.netdev_changed(&mut receiver.nic);
    assert_eq!(receiver.nic.slots_taken(), 0);
    assert_eq!(receiver.arrives(0, 0, 23, b"data"), SegmentMark::Untouched);
    assert_eq!(receiver.receive().unwrap(), b"data");
    assert_eq!(receiver.rx.phase(), RxPhase::Offloaded);
    assert_eq!(receiver.counted(Counter::TlsRxDevice), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxDevice), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxSw), 0);
}

/// R-RX-2, R-RX-3.
#[test]
fn under_the_cover_letter_policy_a_receiver_changes_to_software_and_back_at_once() {
    let mut receiver = Receiver::new(InstallPolicy::CoverLetter);
    receiver.nic.set_netdev(NetdevState::Down);
    receiver.rekey(1);
    assert_eq!(receiver.rx.phase(), RxPhase::Software);
    assert_eq!(receiver.counted(Counter::TlsCurrRxSw), 1);
    receiver.nic.set_netdev(NetdevState::Up);
    receiver.rekey(2);
    assert_eq!(receiver.rx.phase(), RxPhase::Offloaded);
    assert_eq!(receiver.counted(Counter::TlsCurrRxDevice), 1);
    assert!(matches!(
        receiver.arrives(2, 0, 23, b"data"),
        SegmentMark::Opened(_)
    ));
    assert_eq!(receiver.receive().unwrap(), b"data");
}

/// V-RX-2.
#[test]
fn the_boundary_lies_after_bytes_that_came_out_of_order() {
    for queued in [false, true] {
        let mut receiver = Receiver::new(InstallPolicy::V17);
        if queued {
            receiver.arrives(0, 0, 23, b"queued");
        }
        let boundary = receiver.offset + 100;
        receiver.rx.arrived(ArrivedStream {
            in_order: receiver.offset,
            farthest: boundary,
        });
        receiver.rekey(1);
        assert_eq!(receiver.rx.phase(), RxPhase::Draining { boundary });
        assert_eq!(receiver.nic.slots_taken(), 0);
    }
}

/// V-RX-1, V-RX-3.
#[test]
fn the_next_key_is_installed_at_once_if_nothing_is_queued() {
    let mut receiver = Receiver::new(InstallPolicy::V17);
    receiver.arrives(0, 0, 22, KEY_UPDATE);
    assert_eq!(receiver.receive().unwrap(), KEY_UPDATE);
    assert_eq!(receiver.nic.slots_taken(), 0);
    receiver.rekey(1);
    assert_eq!(receiver.rx.phase(), RxPhase::Offloaded);
    assert_eq!(receiver.counted(Counter::TlsRxRekeyOk), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxRekey), 0);
}

/// R-RX-1, V-RX-4, V-RX-5, V-RX-7.
#[test]
fn the_first_record_after_the_boundary_installs_the_key() {
    let mut receiver = Receiver::with_a_record_after_the_key_update();
    receiver.rekey(1);
    let boundary = receiver.offset;
    assert_eq!(receiver.counted(Counter::TlsCurrRxRekey), 1);
    assert_eq!(receiver.receive().unwrap(), b"waits");
    assert_eq!(receiver.rx.phase(), RxPhase::Draining { boundary });
    receiver.arrives(1, 1, 23, b"behind");
    assert_eq!(receiver.receive().unwrap(), b"behind");
    assert_eq!(receiver.rx.phase(), RxPhase::Offloaded);
    assert_eq!(receiver.counted(Counter::TlsRxRekeyOk), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxRekey), 0);
}

/// V-RX-5, V-RX-6.
#[test]
fn a_refused_receiver_is_offloaded_again_with_a_later_key() {
    let mut receiver = Receiver::new(InstallPolicy::V17);
    receiver.nic.set_netdev(NetdevState::Down);
    receiver.rekey(1);
    assert_eq!(receiver.rx.phase(), RxPhase::Failed);
    assert_eq!(receiver.counted(Counter::TlsRxRekeyFallback), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxDevice), 0);
    assert_eq!(receiver.counted(Counter::TlsCurrRxSw), 1);
    receiver.nic.set_netdev(NetdevState::Up);
    receiver.rekey(2);
    assert_eq!(receiver.rx.phase(), RxPhase::Offloaded);
    assert_eq!(receiver.counted(Counter::TlsCurrRxDevice), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxSw), 0);
}

/// V-RX-6.
#[test]
fn a_pending_key_counts_as_ok_if_replaced_and_as_aborted_if_closed() {
    let mut receiver = Receiver::with_a_record_after_the_key_update();
    receiver.rekey(9);
    receiver.rekey(1);
    assert_eq!(receiver.counted(Counter::TlsRxRekeyOk), 1);
    assert_eq!(receiver.receive().unwrap(), b"waits", "the newest wins");
    receiver.rx.close_offload(&mut receiver.nic);
    assert_eq!(receiver.counted(Counter::TlsRxRekeyAborted), 1);
    assert_eq!(receiver.counted(Counter::TlsCurrRxRekey), 0);
    assert!(!key(1).info().same_as(key(9).info()));
}
