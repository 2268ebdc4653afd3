//! Two sessions over a wire that is cut anywhere.

use std::sync::Arc;
use std::time::Duration;

use ktls_aead::PROVIDER;
use ktls_core::rekey::Reply;
use ktls_core::session::{
    KeyUpdateLimit, KeyUpdatePolicy, SecretChain, SendEnding, SessionEvent, SessionRead,
    SessionReceiver, SessionSender, SessionSettings, UnsentLimit,
};
use ktls_core::stats::{Counter, Stats};
use ktls_core::wire::TLS12;
use ktls_core::{Alert, CryptoInfo, Error, Sealer, TrafficSecret};
use proptest::prelude::*;

/// The time in tests that do not depend on it.
const NOW: Duration = Duration::ZERO;

/// One end of a connection: its halves, and everything that it read.
struct End {
    tx: SessionSender,
    rx: SessionReceiver,
    got: Vec<u8>,
    key_updates: u64,
    stats: Arc<Stats>,
}

fn secret(byte: u8) -> TrafficSecret {
    TrafficSecret::new(0x1301, &[byte; 32], 0).unwrap()
}

fn first_key(byte: u8) -> CryptoInfo {
    secret(byte).crypto_info(&PROVIDER, 0).unwrap()
}

fn end(tx: u8, rx: u8, policy: &KeyUpdatePolicy) -> End {
    let setting = SessionSettings {
        provider: &PROVIDER,
        policy: *policy,
        stats: Arc::default(),
        unsent: UnsentLimit::BOUNDED,
    };
    let keys = || Box::new(SecretChain::new(secret(tx), secret(rx), false, &PROVIDER));
    End {
        tx: SessionSender::new(first_key(tx), keys(), &setting).unwrap(),
        rx: SessionReceiver::new(first_key(rx), keys(), &setting, &[]).unwrap(),
        got: Vec::new(),
        key_updates: 0,
        stats: setting.stats,
    }
}

impl End {
    /// Receives everything that waits at `from`, `cut` bytes at a time, and reads into `buffer`
    /// bytes.
    fn receive(&mut self, from: &mut End, cut: usize, buffer: usize) -> Result<(), Error> {
        let wire = from.tx.wire().to_vec();
        from.tx.wrote(wire.len());
        for mut bytes in wire.chunks(cut) {
            while !bytes.is_empty() {
                let room = self.rx.room(buffer);
                let (piece, rest) = bytes.split_at(bytes.len().min(room.len()));
                room[..piece.len()].copy_from_slice(piece);
                self.rx.filled(piece.len());
                self.read_all(buffer)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn read_all(&mut self, buffer: usize) -> Result<(), Error> {
        let mut out = vec![0; buffer];
        loop {
            let read = self.rx.read(&mut out, NOW)?;
            if let SessionRead::Data(count) = read {
                self.got.extend_from_slice(&out[..count.get()]);
            }
            match self.rx.poll() {
                Some(SessionEvent::KeyUpdate(reply)) => {
                    self.key_updates += 1;
                    self.tx.take_peer_update(reply, NOW)?;
                }
                Some(SessionEvent::Renegotiation) => panic!("not in TLS 1.3"),
                None if matches!(read, SessionRead::Data(_)) => {}
                None => return Ok(()),
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    KeyUpdate(bool),
    Deliver { cut: usize, buffer: usize },
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let step = prop_oneof![
        (0..40_000_usize).prop_map(Step::Write),
        any::<bool>().prop_map(Step::KeyUpdate),
        (1..5000_usize, 1..40_000_usize).prop_map(|(cut, buffer)| Step::Deliver { cut, buffer }),
    ];
    (any::<bool>(), step)
}

#[test]
fn an_owed_answer_goes_out_before_the_next_data() {
    let mut end = end(1, 2, &KeyUpdatePolicy::default());
    let waits = end.tx.write(&[0; 100_000], NOW).unwrap();
    assert!(waits > 0);
    end.tx.take_peer_update(Reply::Requested, NOW).unwrap();
    assert_eq!((end.tx.write(b"x", NOW), end.tx.generation()), (Ok(0), 0));
    end.tx.wrote(end.tx.wire().len());
    assert_eq!((end.tx.write(b"x", NOW), end.tx.generation()), (Ok(1), 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order_through_any_key_updates(
        steps in proptest::collection::vec(step(), 1..40),
        rekey_bytes in 1..50_000_u64,
    ) {
        // A key update for each byte is no storm here.
        let key_updates = KeyUpdateLimit { count: u32::MAX, window: Duration::ZERO };
        let policy = KeyUpdatePolicy {
            rekey_bytes: Some(rekey_bytes),
            rekey_interval: Duration::ZERO,
            key_updates,
            ..KeyUpdatePolicy::default()
        };
        let mut ends = [end(1, 2, &policy), end(2, 1, &policy)];
        let mut sent = [Vec::new(), Vec::new()];
        let mut next = 0_u8;
        for (side, step) in steps {
            let me = usize::from(side);
            let [a, b] = &mut ends;
            let (this, that) = if side { (b, a) } else { (a, b) };
            match step {
                Step::Write(len) => {
                    let data: Vec<u8> = (0..len).map(|i| next.wrapping_add(i as u8)).collect();
                    next = next.wrapping_add(37);
                    let taken = this.tx.write(&data, NOW).unwrap();
                    sent[me].extend_from_slice(&data[..taken]);
                }
                Step::KeyUpdate(request) => {
                    let reply = if request { Reply::Requested } else { Reply::NotRequested };
                    let full = matches!(this.tx.key_update(reply, NOW), Err(Error::NoRoom { .. }));
                    prop_assert!(!full || this.tx.wire().len() > 60_000);
                }
                Step::Deliver { cut, buffer } => that.receive(this, cut, buffer).unwrap(),
            }
        }
        let [a, b] = &mut ends;
        for _ in 0..3 {
            a.receive(b, 9999, 9999).unwrap();
            b.receive(a, 9999, 9999).unwrap();
        }
        prop_assert!(b.got == sent[0] && a.got == sent[1]);
        prop_assert_eq!(a.tx.generation(), b.key_updates);
        prop_assert_eq!(b.tx.generation(), a.key_updates);
    }
}

/// Returns a receiver, and a sealer for records that our sender never sends.
fn rogue(policy: &KeyUpdatePolicy) -> (Sealer, End) {
    (
        Sealer::new(first_key(1), &PROVIDER).unwrap(),
        end(2, 1, policy),
    )
}

fn send(sealer: &mut Sealer, end: &mut End, record_type: u8, text: &[u8]) -> Result<(), Error> {
    let room = end.rx.room(100);
    let len = sealer.seal(record_type, text, room).unwrap();
    end.rx.filled(len);
    end.read_all(100)
}

#[test]
fn each_violation_of_the_rfc_is_refused_with_its_alert() {
    for (records, error, alert) in [
        (
            &[(23, &b""[..]), (20, &[1])][..],
            "content type 20",
            Alert::UnexpectedMessage,
        ),
        (&[(22, &[])], "has no content", Alert::UnexpectedMessage),
        (&[(21, &[1])], "alert of 1 bytes", Alert::DecodeError),
        (
            &[(22, &[24, 0, 0, 2])],
            "KeyUpdate of 2 bytes",
            Alert::DecodeError,
        ),
        (
            &[(22, &[24, 0, 0, 1, 7])],
            "request_update 7",
            Alert::IllegalParameter,
        ),
        (
            &[(22, &[24, 0, 0, 1, 0, 4])],
            "follow a KeyUpdate",
            Alert::UnexpectedMessage,
        ),
        (
            &[(22, &[24, 0]), (23, b"x")],
            "inside a handshake",
            Alert::UnexpectedMessage,
        ),
        (
            &[(22, &[1, 0, 0, 0])],
            "message of type 1",
            Alert::UnexpectedMessage,
        ),
        (&[(99, b"?")], "content type 99", Alert::UnexpectedMessage),
    ] {
        let (mut sealer, mut end) = rogue(&KeyUpdatePolicy::default());
        let result = records
            .iter()
            .try_for_each(|(kind, text)| send(&mut sealer, &mut end, *kind, text));
        let got = result.expect_err(error);
        assert!(got.to_string().contains(error), "{got}");
        assert_eq!(got.alert(), Some(alert), "{got}");
    }
}

#[test]
fn data_in_front_of_an_error_is_delivered_first() {
    let (mut sealer, mut end) = rogue(&KeyUpdatePolicy::default());
    let mut at = sealer.seal(23, b"good", end.rx.room(100)).unwrap();
    at += sealer
        .seal(99, b"bad", &mut end.rx.room(100)[at..])
        .unwrap();
    end.rx.filled(at);
    assert_eq!(
        end.read_all(100),
        Err(Error::UnexpectedRecord { record_type: 99 })
    );
    assert_eq!(end.got, b"good");
}

#[test]
fn a_storm_is_refused_and_the_window_is_settable() {
    let key_updates = KeyUpdateLimit {
        count: 3,
        window: Duration::from_secs(60),
    };
    let (mut sealer, mut end) = rogue(&KeyUpdatePolicy {
        key_updates,
        ..KeyUpdatePolicy::default()
    });
    let mut chain = secret(1);
    for _ in 0..3 {
        send(&mut sealer, &mut end, 22, &Reply::NotRequested.message()).unwrap();
        chain = chain.next(&PROVIDER).unwrap();
        sealer
            .rekey(chain.crypto_info(&PROVIDER, 0).unwrap(), &PROVIDER)
            .unwrap();
    }
    let got = send(&mut sealer, &mut end, 22, &Reply::NotRequested.message());
    assert_eq!(got, Err(Error::KeyUpdateStorm { count: 4 }));
}

#[test]
fn one_answer_before_the_next_data_serves_all_earlier_requests() {
    let policy = KeyUpdatePolicy::default();
    let (mut a, mut b) = (end(1, 2, &policy), end(2, 1, &policy));
    a.tx.key_update(Reply::Requested, NOW).unwrap();
    a.tx.key_update(Reply::Requested, NOW).unwrap();
    b.receive(&mut a, 7, 100).unwrap();
    assert_eq!(
        (b.key_updates, b.tx.generation()),
        (2, 1),
        "the second asked for no answer"
    );
    b.tx.write(b"after", NOW).unwrap();
    a.receive(&mut b, 7, 100).unwrap();
    assert_eq!((a.key_updates, a.got.as_slice()), (1, &b"after"[..]));
}

#[test]
fn close_notify_ends_a_direction_and_a_bare_end_is_a_truncation() {
    let policy = KeyUpdatePolicy::default();
    let (mut a, mut b) = (end(1, 2, &policy), end(2, 1, &policy));
    assert_eq!(b.rx.check_end(), Err(Error::Truncated));
    a.tx.write(b"last", NOW).unwrap();
    a.tx.close_notify().unwrap();
    assert_eq!(a.tx.write(b"more", NOW), Err(Error::SendClosed));
    b.receive(&mut a, 5, 100).unwrap();
    assert_eq!(b.got, b"last");
    assert_eq!(b.rx.check_end(), Ok(()));
    b.tx.write(b"half-close", NOW).unwrap();
    a.receive(&mut b, 5, 100).unwrap();
    assert_eq!(a.got, b"half-close");
    b.tx.fail(Some(Alert::InternalError));
    assert_eq!(b.tx.ending(), SendEnding::Failed);
    assert_eq!(a.receive(&mut b, 5, 100), Err(Error::AlertReceived(80)));
}

#[test]
fn a_session_counts_as_the_kernel_does() {
    let policy = KeyUpdatePolicy::default();
    let (mut a, mut b) = (end(1, 2, &policy), end(2, 1, &policy));
    a.tx.key_update(Reply::NotRequested, NOW).unwrap();
    b.receive(&mut a, 7, 100).unwrap();
    let (sent, received) = (Arc::clone(&a.stats), Arc::clone(&b.stats));
    for (stats, counter, want) in [
        (&sent, Counter::TlsTxSw, 1),
        (&sent, Counter::TlsCurrTxSw, 1),
        (&sent, Counter::TlsTxRekeyOk, 1),
        (&received, Counter::TlsRxRekeyReceived, 1),
        (&received, Counter::TlsRxRekeyOk, 1),
        (&received, Counter::TlsDecryptError, 0),
    ] {
        assert_eq!(stats.value(counter), want, "{}", counter.name());
    }
    drop((a, b));
    assert_eq!(
        sent.value(Counter::TlsCurrTxSw) + received.value(Counter::TlsCurrRxSw),
        0
    );
}

#[test]
fn data_stops_one_record_short_of_the_end_so_that_close_notify_fits() {
    // TLS 1.2, whose key cannot be renewed, three records from the limit of AES-GCM.
    let key = first_key(1);
    let info = CryptoInfo::new(
        TLS12,
        key.cipher().cipher_type,
        key.iv(),
        key.key(),
        key.salt(),
        key.cipher().limits.hard - 3,
    )
    .unwrap();
    let setting = SessionSettings {
        provider: &PROVIDER,
        policy: KeyUpdatePolicy::default(),
        stats: Arc::default(),
        unsent: UnsentLimit::BOUNDED,
    };
    let keys = Box::new(SecretChain::new(secret(1), secret(2), false, &PROVIDER));
    let mut sender = SessionSender::new(info, keys, &setting).unwrap();
    assert_eq!(
        sender.write(&[0; 50_000], NOW),
        Ok(2 * 16384),
        "what is sealed is taken"
    );
    assert!(matches!(
        sender.write(&[0; 10], NOW),
        Err(Error::KeyExhausted { .. })
    ));
    sender.close_notify().unwrap();
    assert_eq!(sender.records(), 3);
}
