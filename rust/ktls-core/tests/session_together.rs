//! A session behaves the same with a key that opens several records at once and with one that does
//! not.

use std::sync::Arc;
use std::time::Duration;

use ktls_aead::{Aead, AesGcmPreference, PROVIDER};
use ktls_core::rekey::Reply;
use ktls_core::session::{
    KeyUpdatePolicy, SecretChain, SessionEvent, SessionRead, SessionReceiver, SessionSettings,
    UnsentLimit,
};
use ktls_core::stats::{Counter, Stats};
use ktls_core::{Error, Sealer, TrafficSecret};
use proptest::collection::vec;
use proptest::prelude::*;

/// No key of aws-lc is interleaved; with [`AesGcmPreference::Auto`] it is where the CPU allows.
static ALONE: Aead = Aead::with(AesGcmPreference::AwsLc);
static TOGETHER: Aead = Aead::with(AesGcmPreference::Auto);

/// A record that the peer sends. Often several of one kind follow each other.
#[derive(Clone, Debug)]
enum Sent {
    Data(usize, usize),
    Padded(usize, usize),
    OnlyPadding(usize),
    UserCanceled,
    HalfTicket,
    KeyUpdate,
    CloseNotify,
    Forged,
    BadHeader,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        30 => (0..80_usize, 1..20_usize).prop_map(|(len, times)| Sent::Data(len, times)),
        4 => (500..16385_usize, 1..4_usize).prop_map(|(len, times)| Sent::Data(len, times)),
        4 => (0..60_usize, 0..40_usize).prop_map(|(len, zeros)| Sent::Padded(len, zeros)),
        1 => (0..20_usize).prop_map(Sent::OnlyPadding),
        3 => Just(Sent::UserCanceled),
        1 => Just(Sent::HalfTicket),
        3 => Just(Sent::KeyUpdate),
        1 => Just(Sent::CloseNotify),
        1 => Just(Sent::Forged),
        1 => Just(Sent::BadHeader),
    ]
}

/// A peer, which may send records that our sender never sends.
struct Peer {
    sealer: Sealer,
    secret: TrafficSecret,
    wire: Vec<u8>,
}

impl Peer {
    fn new() -> Self {
        let secret = secret(1);
        let info = secret.crypto_info(&PROVIDER, 0).unwrap();
        Self {
            sealer: Sealer::new(info, &ALONE).unwrap(),
            secret,
            wire: Vec::new(),
        }
    }

    fn send(&mut self, sent: &Sent) {
        let text = |len: usize| (0..len).map(|i| i as u8 | 1).collect::<Vec<_>>();
        match *sent {
            Sent::Data(len, times) => (0..times).for_each(|_| self.seal(23, &text(len))),
            // The content type in the middle and zeros behind: one of them is our "type".
            Sent::Padded(len, zeros) => {
                self.seal(0, &[&text(len)[..], &[23], &vec![0; zeros]].concat());
            }
            Sent::OnlyPadding(zeros) => self.seal(0, &vec![0; zeros]),
            Sent::UserCanceled => self.seal(21, &[1, 90]),
            Sent::HalfTicket => self.seal(22, &[4, 0]),
            Sent::KeyUpdate => {
                self.seal(22, &Reply::NotRequested.message());
                self.secret = self.secret.next(&PROVIDER).unwrap();
                let next = self.secret.crypto_info(&PROVIDER, 0).unwrap();
                self.sealer.rekey(next, &ALONE).unwrap();
            }
            Sent::CloseNotify => self.seal(21, &[1, 0]),
            Sent::Forged => {
                self.seal(23, b"forged");
                *self.wire.last_mut().unwrap() ^= 1;
            }
            Sent::BadHeader => self.wire.extend([20, 3, 3, 0, 40]),
        }
    }

    fn seal(&mut self, record_type: u8, plaintext: &[u8]) {
        let start = self.wire.len();
        let len = plaintext.len() + self.sealer.overhead();
        self.wire.resize(start + len, 0);
        let record = &mut self.wire[start..];
        self.sealer.seal(record_type, plaintext, record).unwrap();
    }
}

fn secret(byte: u8) -> TrafficSecret {
    TrafficSecret::new(0x1301, &[byte; 32], 0).unwrap()
}

/// A result of a receiver.
#[derive(Clone, Debug, PartialEq)]
enum Observed {
    Data(Vec<u8>),
    Event(SessionEvent),
    Stop(Result<SessionRead, Error>),
}

/// A receiver and its counters.
struct End {
    rx: SessionReceiver,
    stats: Arc<Stats>,
}

impl End {
    fn new(provider: &'static Aead) -> Self {
        let setting = SessionSettings {
            provider,
            policy: KeyUpdatePolicy::default(),
            stats: Arc::default(),
            unsent: UnsentLimit::BOUNDED,
        };
        let keys = Box::new(SecretChain::new(secret(2), secret(1), false, &PROVIDER));
        let info = secret(1).crypto_info(&PROVIDER, 0).unwrap();
        Self {
            rx: SessionReceiver::new(info, keys, &setting, &[]).unwrap(),
            stats: setting.stats,
        }
    }

    /// Receives `wire` and reads `room` bytes at a time until nothing is left. Returns everything
    /// that can be observed, except for the cuts between data: opened together, a record that just
    /// fits needs no room for its content type, so the number of reads may differ.
    fn read(&mut self, mut wire: &[u8], room: usize) -> (Vec<Observed>, [u64; 5]) {
        let mut observed = Vec::new();
        while !wire.is_empty() {
            let space = self.rx.room(room);
            let (piece, rest) = wire.split_at(wire.len().min(space.len()));
            space[..piece.len()].copy_from_slice(piece);
            self.rx.filled(piece.len());
            wire = rest;
            loop {
                match self.read_once(room, &mut observed) {
                    Ok(SessionRead::NeedMore | SessionRead::EndOfStream) => break,
                    Ok(SessionRead::Data(_) | SessionRead::EventFirst) => {}
                    Err(_) => return (observed, self.counts()),
                }
            }
        }
        (observed, self.counts())
    }

    /// Reads and polls once. Data is appended to the data before it.
    fn read_once(
        &mut self,
        room: usize,
        observed: &mut Vec<Observed>,
    ) -> Result<SessionRead, Error> {
        let mut out = vec![0xee; room];
        let read = self.rx.read(&mut out, Duration::ZERO);
        let len = match read {
            Ok(SessionRead::Data(len)) => len.get(),
            _ => 0,
        };
        let behind = out.split_off(len);
        assert!(
            behind.iter().all(|&byte| byte == 0xee || byte == 0),
            "bytes of a record are left behind the plaintext"
        );
        match (read, observed.last_mut()) {
            (Ok(SessionRead::EventFirst), _) => {}
            (Ok(SessionRead::Data(_)), Some(Observed::Data(data))) => data.extend(out),
            (Ok(SessionRead::Data(_)), _) => observed.push(Observed::Data(out)),
            (stop, _) => observed.push(Observed::Stop(stop)),
        }
        observed.extend(self.rx.poll().map(Observed::Event));
        read
    }

    fn counts(&self) -> [u64; 5] {
        let errors = self.stats.value(Counter::TlsDecryptError);
        [
            self.rx.generation(),
            self.rx.data(),
            self.rx.records(),
            self.rx.pending() as u64,
            errors.unsigned_abs(),
        ]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn records_opened_together_equal_those_opened_alone(
        sent in vec(sent(), 1..40),
        cuts in vec((1..40_000_usize, prop_oneof![1..200_usize, 1..70_000_usize]), 1..20),
    ) {
        let mut peer = Peer::new();
        sent.iter().for_each(|one| peer.send(one));
        let [mut alone, mut together] = [&ALONE, &TOGETHER].map(End::new);
        let mut rest = peer.wire.as_slice();
        for (cut, room) in cuts {
            let (next, behind) = rest.split_at(cut.min(rest.len()));
            rest = behind;
            let (observed, want) = (together.read(next, room), alone.read(next, room));
            prop_assert_eq!(&observed, &want, "{} bytes at a time", room);
            if matches!(observed.0.last(), Some(Observed::Stop(Err(_)))) {
                break;
            }
        }
    }
}
