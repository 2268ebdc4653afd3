//! The kernel face against itself: one socket sends to another.

mod ends;

use ktls_core::socket::call::ControlRoom;
use ktls_core::socket::{CallFault, PartialRecord, ReceiveBuffers, ReceiveCall};
use ktls_core::stats::Counter;
use ktls_core::wire::{TLS12, TLS13};
use ktls_core::{Errno, Error};

use ends::{KEY_UPDATE, PEEK, PLAIN, Receiver, Sender, ends, key, paused};

#[test]
fn records_come_out_of_a_stream_that_is_cut_anywhere() {
    let (mut sender, _) = ends(TLS13);
    let mut wire = sender.record(b"hello", 23);
    wire.extend(sender.record(b"", 23));
    wire.extend(sender.record(b"world", 23));
    for cut in 0..=wire.len() {
        let (_, mut receiver) = ends(TLS13);
        receiver.arrive(&wire[..cut]);
        let mut got = receiver.data(100).unwrap_or_default();
        receiver.arrive(&wire[cut..]);
        got.extend(receiver.data(100).unwrap_or_default());
        assert_eq!(got, b"helloworld", "cut at {cut}");
        assert_eq!(receiver.data(100), Err(Errno::Again.code()), "cut at {cut}");
    }
}

#[test]
fn records_come_out_into_buffers_of_any_size() {
    for version in [TLS12, TLS13] {
        for len in 1..40 {
            let (mut sender, mut receiver) = ends(version);
            for piece in [&b"one"[..], b"twenty-two", b"a"] {
                receiver.arrive(&sender.record(piece, 23));
            }
            let (mut got, mut ends_of_records) = (Vec::new(), 0);
            while got.len() < 14 {
                let (data, received) = receiver.call(len, PLAIN, 64).unwrap();
                assert_eq!(received.control(), Some(vec![23]));
                ends_of_records += usize::from(received.end_of_record);
                got.extend(data);
            }
            assert_eq!(got, b"onetwenty-twoa", "{len} bytes at a time");
            assert!((1..=3).contains(&ends_of_records), "{len} bytes at a time");
        }
    }
}

#[test]
fn a_call_for_whole_records_cuts_only_one_that_no_call_could_take() {
    let (mut sender, mut receiver) = ends(TLS13);
    for piece in [&b"one"[..], b"two", b"four", b"longer than all"] {
        receiver.arrive(&sender.record(piece, 23));
    }
    let mut whole = |len| {
        let mut out = vec![0; len + 1];
        let mut call = ReceiveCall::new(PLAIN, ControlRoom::None, len, 1).whole_records();
        let slices: &mut [&mut [u8]] = &mut [&mut out];
        let mut target = ReceiveBuffers::fresh(slices, len);
        let (rx, shared) = (&mut receiver.rx, &receiver.shared);
        rx.start(&mut call, &mut target, shared).unwrap();
        (out[..call.received().len].to_vec(), receiver.rx.seq())
    };
    assert_eq!(whole(8), (b"onetwo".to_vec(), 2));
    assert_eq!(whole(8), (b"four".to_vec(), 3));
    assert_eq!(whole(8), (b"longer t".to_vec(), 4));
    assert_eq!(whole(8), (b"han all".to_vec(), 4));
}

#[test]
fn a_control_record_waits_for_room_and_never_merges() {
    let (mut sender, mut receiver) = ends(TLS13);
    for (data, kind) in [(&b"one"[..], 23), (b"\x01\x00", 21), (b"\x02\x00", 21)] {
        receiver.arrive(&sender.record(data, kind));
    }
    assert_eq!(receiver.data(100).unwrap(), b"one");
    for _ in 0..3 {
        assert_eq!(receiver.call(100, PLAIN, 16).unwrap_err(), Errno::Io.code());
    }
    let (data, received) = receiver.call(100, PLAIN, 17).unwrap();
    assert_eq!((data, received.record_type), (vec![1, 0], Some(21)));
    assert_eq!(receiver.data(100).unwrap(), [2, 0]);
}

#[test]
fn a_peek_takes_nothing_and_starts_the_pause() {
    let (mut sender, mut receiver) = ends(TLS13);
    receiver.arrive(&sender.record(b"data", 23));
    receiver.arrive(&sender.record(KEY_UPDATE, 22));
    for _ in 0..3 {
        assert_eq!(receiver.call(100, PEEK, 0).unwrap().0, b"data");
        assert_eq!(receiver.count(Counter::TlsRxRekeyReceived), 1);
    }
    assert_eq!(receiver.data(100).unwrap(), b"data");
    assert_eq!(receiver.data(100).unwrap(), KEY_UPDATE);
    assert_eq!(receiver.data(100), Err(Errno::KeyExpired.code()));
}

/// Tests the pause state against each event (`docs/kernel-rules.md`, S3.4-1 and K-9 to K-20).
#[test]
fn a_paused_receiver_answers_every_event() {
    let expired = Err(Errno::KeyExpired.code());
    let (mut sender, mut receiver) = paused();
    assert_eq!(receiver.data(0).unwrap(), b"", "no bytes asked for");
    assert_eq!(receiver.data(1), expired);
    receiver.arrive(&sender.record(b"late", 23));
    assert_eq!(receiver.data(1), expired, "a record of the old key came");
    receiver.shared.error.set(CallFault::System(104));
    assert_eq!(receiver.data(1), expired, "ahead of sk_err");
    receiver.ended = true;
    assert_eq!(receiver.data(1), expired, "ahead of the end");
    assert!(!receiver.rx.is_readable(1));

    receiver.rx.install(key(TLS13, 2, 0)).unwrap();
    assert!(receiver.rx.is_readable(1));
    assert_eq!(
        receiver.data(1),
        Err(Errno::BadMsg.code()),
        "the late record is of the old key"
    );
    receiver.rx.install(key(TLS13, 1, 1)).unwrap();
    assert_eq!(receiver.data(9).unwrap(), b"late", "and is saved by it");
    assert_eq!(
        receiver.data(9),
        Err(Errno::BadMsg.code()),
        "what is left in sk_err"
    );
    assert_eq!(receiver.data(9).unwrap(), b"", "the end");
}

#[test]
fn only_the_first_byte_of_a_handshake_record_pauses() {
    for version in [TLS12, TLS13] {
        for (data, kind, pauses) in [
            (KEY_UPDATE, 22, true),
            (&[24][..], 22, true),
            (&[24, 0xff], 22, true),
            (&[], 22, false),
            (&[4, 0, 0, 0, 24, 0, 0, 1, 0], 22, false),
            (KEY_UPDATE, 23, false),
            (KEY_UPDATE, 21, false),
        ] {
            let (mut sender, mut receiver) = ends(version);
            let wire = if data.is_empty() {
                empty_record(version, kind)
            } else {
                sender.record(data, kind)
            };
            receiver.arrive(&wire);
            assert_eq!(receiver.data(100).unwrap(), data);
            let next = if pauses {
                Errno::KeyExpired
            } else {
                Errno::Again
            };
            assert_eq!(
                receiver.data(100),
                Err(next.code()),
                "{version:#x} {data:?} {kind}"
            );
        }
    }
}

/// Returns an empty record, which a send never makes, but a peer may.
fn empty_record(version: u16, record_type: u8) -> Vec<u8> {
    let key = key(version, 1, 0);
    let mut out = vec![0; key.overhead()];
    key.seal(0, record_type, b"", &mut out);
    out
}

#[test]
fn a_bad_record_stays_at_the_head_and_stops_the_other_direction() {
    let (mut sender, mut receiver) = ends(TLS13);
    receiver.arrive(&sender.record(b"good", 23));
    let mut bad = sender.record(b"bad", 23);
    *bad.last_mut().unwrap() ^= 1;
    receiver.arrive(&bad);
    assert_eq!(
        receiver.data(100).unwrap(),
        b"good",
        "data comes before errors"
    );
    // S3.2-2, S3.2-3
    for tries in 2..5 {
        assert_eq!(receiver.data(100), Err(Errno::BadMsg.code()));
        assert_eq!(receiver.count(Counter::TlsDecryptError), tries);
    }
    assert_eq!(
        receiver.shared.error.check_send(),
        Err(CallFault::Tls(Error::BadTag))
    );
}

#[test]
fn a_bad_header_is_reported_once_and_stops_the_parser_forever() {
    for (header, errno) in [
        ([23, 3, 3, 0x40, 0x12], Errno::MsgSize),
        ([23, 3, 3, 0, 15], Errno::BadMsg),
        ([23, 3, 1, 0, 32], Errno::Inval),
    ] {
        let (mut sender, mut receiver) = ends(TLS13);
        receiver.rx.foresee(&header, &receiver.shared);
        assert_eq!(
            receiver.shared.error.peek().map(CallFault::code),
            Some(errno.code())
        );
        assert_eq!(receiver.data(100), Err(errno.code()));
        receiver.arrive(&sender.record(b"good", 23));
        // S3.1-5, S3.1-7
        assert_eq!(receiver.data(100), Err(Errno::Again.code()));
        assert_eq!(receiver.count(Counter::TlsDecryptError), 0);
    }
}

#[test]
fn each_way_to_end_an_open_record_seals_it() {
    let overhead = 22;
    for (steps, want) in [
        (vec![(&b"ab"[..], None, PartialRecord::KeepOpen)], vec![]),
        (
            vec![
                (b"ab", None, PartialRecord::KeepOpen),
                (b"cd", None, PartialRecord::Seal),
            ],
            vec![4],
        ),
        (
            vec![
                (b"ab", None, PartialRecord::KeepOpen),
                (b"", None, PartialRecord::Seal),
            ],
            vec![],
        ),
        (
            vec![
                (b"ab", None, PartialRecord::KeepOpen),
                (b"", Some(22), PartialRecord::Seal),
            ],
            vec![2],
        ),
        (
            vec![
                (b"ab", None, PartialRecord::KeepOpen),
                (b"c", Some(23), PartialRecord::Seal),
            ],
            vec![2, 1],
        ),
        (
            vec![(&[0; 16384], None, PartialRecord::KeepOpen)],
            vec![16384],
        ),
        (
            vec![
                (&[0; 16385], None, PartialRecord::KeepOpen),
                (b"!", None, PartialRecord::Seal),
            ],
            vec![16384, 2],
        ),
        (
            vec![(&[0; 40000], None, PartialRecord::Seal)],
            vec![16384, 16384, 7232],
        ),
    ] {
        let (mut sender, _) = ends(TLS13);
        for (data, record_type, more) in steps {
            assert_eq!(sender.send(data, record_type, more), Ok(data.len()));
        }
        let want: usize = want.iter().map(|len| len + overhead).sum();
        assert_eq!(sender.wire().len(), want);
    }
}

#[test]
fn sealed_records_keep_the_old_key_and_an_open_one_gets_the_new() {
    let (mut sender, mut receiver) = ends(TLS13);
    sender.send(b"sealed", None, PartialRecord::Seal).unwrap();
    sender.send(b"open", None, PartialRecord::KeepOpen).unwrap();
    sender.tx.install(key(TLS13, 2, 0));
    sender.send(b"+", None, PartialRecord::Seal).unwrap();
    receiver.arrive(&sender.wire());
    assert_eq!(receiver.data(6).unwrap(), b"sealed");
    receiver.rx.install(key(TLS13, 2, 0)).unwrap();
    assert_eq!(receiver.data(9).unwrap(), b"open+");
}

#[test]
fn a_record_under_the_last_number_never_reaches_the_wire() {
    let mut sender = Sender::new(key(TLS13, 1, u64::MAX));
    let wrapped = Err(CallFault::Tls(Error::SeqExhausted));
    assert_eq!(sender.send(b"last", None, PartialRecord::Seal), wrapped);
    assert_eq!(
        sender.send(b"over", None, PartialRecord::Seal),
        wrapped,
        "sk_err"
    );
    let _ = sender.shared.error.take();
    assert_eq!(sender.send(b"zero", None, PartialRecord::Seal), Ok(4));
    assert_eq!(sender.tx.live_info().unwrap().rec_seq, 1);

    let mut receiver = Receiver::new(key(TLS13, 1, 0));
    receiver.arrive(&sender.wire());
    assert_eq!(receiver.data(4).unwrap(), b"zero");
}

#[test]
fn a_received_number_wraps_after_one_error() {
    // Only the next key lets go of what the last number has sealed.
    let mut sender = Sender::new(key(TLS13, 1, u64::MAX));
    let _wrapped = sender.send(b"last", None, PartialRecord::Seal);
    sender.tx.install(key(TLS13, 1, 0));
    let _ = sender.shared.error.take();
    assert_eq!(sender.send(b"zero", None, PartialRecord::Seal), Ok(4));

    let mut receiver = Receiver::new(key(TLS13, 1, u64::MAX));
    receiver.arrive(&sender.wire());
    assert_eq!(receiver.data(4).unwrap(), b"last");
    assert_eq!(
        receiver.data(4).unwrap(),
        b"zero",
        "a whole record comes before sk_err"
    );
    assert_eq!(receiver.data(4), Err(Errno::BadMsg.code()));
    assert_eq!(receiver.data(4), Err(Errno::Again.code()));
}
