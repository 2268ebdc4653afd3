//! Which call of a receiving session returns data, events, the end and errors, and when.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ktls_aead::PROVIDER;
use ktls_core::rekey::Reply;
use ktls_core::session::{
    KeyUpdateLimit, KeyUpdatePolicy, SecretChain, SessionEvent, SessionRead, SessionReceiver,
    SessionSettings, UnsentLimit,
};
use ktls_core::stats::Counter;
use ktls_core::{Error, Sealer, TrafficSecret};

const DATA: u8 = 23;
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLOSE_NOTIFY: [u8; 2] = [1, 0];

/// A receiver, and a sealer for its peer.
struct Session {
    rx: SessionReceiver,
    settings: SessionSettings,
    peer: Sealer,
    secret: TrafficSecret,
    out: [u8; 100],
}

fn secret(byte: u8) -> TrafficSecret {
    TrafficSecret::new(0x1301, &[byte; 32], 0).unwrap()
}

fn session() -> Session {
    let settings = SessionSettings {
        provider: &PROVIDER,
        policy: KeyUpdatePolicy {
            key_updates: KeyUpdateLimit {
                count: 2,
                window: Duration::from_secs(60),
            },
            ..KeyUpdatePolicy::default()
        },
        stats: Arc::default(),
        unsent: UnsentLimit::BOUNDED,
    };
    let keys = Box::new(SecretChain::new(secret(2), secret(1), false, &PROVIDER));
    let info = || secret(1).crypto_info(&PROVIDER, 0).unwrap();
    Session {
        rx: SessionReceiver::new(info(), keys, &settings, &[]).unwrap(),
        peer: Sealer::new(info(), &PROVIDER).unwrap(),
        secret: secret(1),
        settings,
        out: [0; 100],
    }
}

impl Session {
    fn receive(&mut self, record_type: u8, plaintext: &[u8]) {
        let mut record = vec![0; plaintext.len() + self.peer.overhead()];
        self.peer.seal(record_type, plaintext, &mut record).unwrap();
        self.receive_wire(&record);
    }

    fn receive_wire(&mut self, bytes: &[u8]) {
        self.rx.room(100)[..bytes.len()].copy_from_slice(bytes);
        self.rx.filled(bytes.len());
    }

    fn receive_key_update(&mut self, reply: Reply) {
        self.receive(HANDSHAKE, &reply.message());
        self.switch_key();
    }

    fn switch_key(&mut self) {
        self.secret = self.secret.next(&PROVIDER).unwrap();
        let next = self.secret.crypto_info(&PROVIDER, 0).unwrap();
        self.peer.rekey(next, &PROVIDER).unwrap();
    }

    fn read(&mut self) -> Result<SessionRead, Error> {
        self.rx.read(&mut self.out, Duration::ZERO)
    }

    /// Reads data without polling for events.
    fn read_data(&mut self, want: &[u8]) {
        assert_eq!(self.read(), data(want.len()));
        assert_eq!(&self.out[..want.len()], want);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a read returns")]
fn data(len: usize) -> Result<SessionRead, Error> {
    Ok(SessionRead::Data(NonZeroUsize::new(len).unwrap()))
}

const UPDATE: Option<SessionEvent> = Some(SessionEvent::KeyUpdate(Reply::Requested));

#[test]
fn an_event_behind_data_is_polled_after_the_read_that_delivers_the_data() {
    let mut session = session();
    session.receive(DATA, b"before");
    session.receive_key_update(Reply::Requested);
    session.read_data(b"before");
    assert_eq!((session.rx.poll(), session.rx.poll()), (UPDATE, None));
    assert_eq!(session.read(), Ok(SessionRead::NeedMore));
}

#[test]
fn a_read_without_data_reports_a_waiting_event() {
    let mut session = session();
    session.receive_key_update(Reply::Requested);
    assert_eq!(session.read(), Ok(SessionRead::EventFirst));
    assert_eq!(session.rx.poll(), UPDATE);
    assert_eq!(session.read(), Ok(SessionRead::NeedMore));
}

#[test]
fn nothing_is_opened_while_an_event_waits() {
    let mut session = session();
    session.receive_key_update(Reply::Requested);
    session.receive(DATA, b"behind");
    for _ in 0..3 {
        assert_eq!(session.read(), Ok(SessionRead::EventFirst));
        assert_eq!((session.rx.records(), session.rx.generation()), (1, 1));
    }
    assert_eq!(session.rx.poll(), UPDATE);
    session.read_data(b"behind");
}

#[test]
fn a_key_update_cut_over_records_is_reported_once_it_is_whole() {
    for cut in 1..5 {
        let mut session = session();
        let message = Reply::Requested.message();
        session.receive(HANDSHAKE, &message[..cut]);
        assert_eq!(session.read(), Ok(SessionRead::NeedMore));
        assert_eq!((session.rx.poll(), session.rx.generation()), (None, 0));
        session.receive(HANDSHAKE, &message[cut..]);
        session.switch_key();
        session.receive(DATA, b"behind");
        assert_eq!(session.read(), Ok(SessionRead::EventFirst));
        assert_eq!((session.rx.poll(), session.rx.generation()), (UPDATE, 1));
        session.read_data(b"behind");
    }
}

#[test]
fn an_empty_record_and_a_warning_are_neither_data_nor_an_event() {
    let mut session = session();
    session.receive(DATA, b"");
    session.receive(ALERT, &[1, 90]);
    assert_eq!(session.read(), Ok(SessionRead::NeedMore));
    assert_eq!((session.rx.poll(), session.rx.records()), (None, 2));
}

#[test]
fn an_end_behind_data_is_pending_until_a_read_returns_it() {
    let end = Ok(SessionRead::EndOfStream);
    let bad = Err(Error::UnexpectedRecord { record_type: 99 });
    for (record_type, text, want) in [(ALERT, &CLOSE_NOTIFY[..], end), (99, b"?", bad)] {
        let mut session = session();
        session.receive(DATA, b"last");
        session.receive(record_type, text);
        session.read_data(b"last");
        assert!(session.rx.pending() > 0);
        for _ in 0..2 {
            assert_eq!(session.read(), want);
            assert_eq!(session.rx.pending(), 0);
        }
        assert_eq!(session.rx.poll(), None);
    }
}

#[test]
fn a_bad_header_behind_data_is_pending_until_a_read_returns_it() {
    let mut session = session();
    session.receive(DATA, b"last");
    session.receive_wire(&[20, 3, 3, 0, 40]);
    session.read_data(b"last");
    assert!(session.rx.pending() > 0);
    let want = Err(Error::UnexpectedRecord { record_type: 20 });
    assert_eq!((session.read(), session.rx.pending()), (want, 0));
}

#[test]
fn after_an_error_nothing_is_opened_any_more() {
    let mut session = session();
    for _ in 0..2 {
        session.receive_key_update(Reply::Requested);
        assert_eq!(session.read(), Ok(SessionRead::EventFirst));
        assert_eq!(session.rx.poll(), UPDATE);
    }
    // The third is a storm: its next key is not installed, and the old one opens nothing any more.
    session.receive(HANDSHAKE, &Reply::Requested.message());
    session.receive(DATA, b"under the old key");
    for _ in 0..3 {
        assert_eq!(session.read(), Err(Error::KeyUpdateStorm { count: 3 }));
        session.receive(DATA, b"under the old key");
    }
    assert_eq!((session.rx.generation(), session.rx.data()), (2, 0));
    assert_eq!(session.rx.poll(), None);
}

#[test]
fn an_excused_key_update_does_not_count_towards_a_storm() {
    let mut session = session();
    for _ in 0..10 {
        session.receive_key_update(Reply::Requested);
        assert_eq!(session.read(), Ok(SessionRead::EventFirst));
        assert_eq!(session.rx.poll(), UPDATE);
        session.rx.excuse_key_update();
    }
}

#[test]
fn a_record_that_does_not_open_is_counted_once() {
    let mut session = session();
    session.receive_wire(&[&[23, 3, 3, 0, 20][..], &[7; 20]].concat());
    for _ in 0..3 {
        assert_eq!(session.read(), Err(Error::BadTag));
    }
    assert_eq!(session.settings.stats.value(Counter::TlsDecryptError), 1);
}

#[test]
fn an_empty_buffer_is_refused_and_changes_nothing() {
    let mut session = session();
    session.receive(DATA, b"data");
    let pending = session.rx.pending();
    let refused = session.rx.read(&mut [], Duration::ZERO);
    assert_eq!(refused, Err(Error::NoRoom { need: 1, have: 0 }));
    assert_eq!((session.rx.pending(), session.rx.records()), (pending, 0));
    session.read_data(b"data");
}

#[test]
fn data_behind_close_notify_is_ignored() {
    let mut session = session();
    session.receive(ALERT, &CLOSE_NOTIFY);
    session.receive(DATA, b"behind");
    assert_eq!(session.read(), Ok(SessionRead::EndOfStream));
    assert_eq!((session.rx.records(), session.rx.check_end()), (1, Ok(())));
    session.receive(DATA, b"behind");
    assert_eq!(session.read(), Ok(SessionRead::EndOfStream));
}
