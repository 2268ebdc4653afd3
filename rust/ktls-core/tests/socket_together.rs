//! The kernel face behaves the same with a key for several records at once and with one that has no
//! such mode.

use ktls_aead::{Aead, AesGcmPreference};
use ktls_core::CryptoInfo;
use ktls_core::key::TrafficKey;
use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{
    CallFault, NoBytesReason, NoPad, PartialRecord, ReceiveBuffers, ReceiveCall, ReceiveStep,
    SendBuffers, SocketRx, SocketShared, SocketTx,
};
use ktls_core::stats::Counter;
use ktls_core::wire::{TLS12, TLS13};
use proptest::collection::vec;
use proptest::prelude::*;

/// No key of aws-lc is interleaved; with [`AesGcmPreference::Auto`] it is where the CPU allows.
static ALONE: Aead = Aead::with(AesGcmPreference::AwsLc);
static TOGETHER: Aead = Aead::with(AesGcmPreference::Auto);

const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];

fn key(provider: &Aead, version: u16, fill: u8, rec_seq: u64) -> TrafficKey {
    let (iv, secret, salt) = ([fill; 8], [fill; 16], [fill; 4]);
    let info = CryptoInfo::new(version, 51, &iv, &secret, &salt, rec_seq).unwrap();
    TrafficKey::new(info, provider).unwrap()
}

/// Seals one record.
fn record(tx: &mut SocketTx, data: &[u8], record_type: u8) -> Vec<u8> {
    let (slices, shared) = ([data], SocketShared::default());
    let mut source = SendBuffers::new(&slices);
    tx.send(
        &mut source,
        Some(record_type),
        PartialRecord::Seal,
        1,
        &shared,
    )
    .unwrap();
    let wire = tx.wire().to_vec();
    tx.wrote(wire.len());
    wire
}

/// A record that the peer sends.
#[derive(Clone, Debug)]
enum Sent {
    Data(usize),
    Padded(usize, usize),
    OnlyPadding(usize),
    Control(u8, usize),
    KeyUpdate,
    Forged(usize),
    BadHeader,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        40 => (0..80_usize).prop_map(Sent::Data),
        4 => (500..3000_usize).prop_map(Sent::Data),
        4 => (0..60_usize, 0..40_usize).prop_map(|(len, zeros)| Sent::Padded(len, zeros)),
        1 => (0..20_usize).prop_map(Sent::OnlyPadding),
        4 => (20..25_u8, 0..30_usize).prop_map(|(kind, len)| Sent::Control(kind, len)),
        2 => Just(Sent::KeyUpdate),
        1 => (0..60_usize).prop_map(Sent::Forged),
        1 => Just(Sent::BadHeader),
    ]
}

impl Sent {
    /// Returns the wire bytes. `fill` identifies the key in use.
    fn wire(&self, tx: &mut SocketTx, version: u16, fill: &mut u8) -> Vec<u8> {
        let text = |len: usize| (0..len).map(|i| i as u8 | 1).collect::<Vec<_>>();
        match *self {
            Self::Data(len) => record(tx, &text(len), 23),
            // In TLS 1.3 the content type in the middle and zeros behind: one of them is our
            // "type".
            Self::Padded(len, zeros) => {
                record(tx, &[&text(len)[..], &[23], &vec![0; zeros]].concat(), 0)
            }
            Self::OnlyPadding(zeros) => record(tx, &vec![0; zeros], 0),
            Self::Control(kind, len) => record(tx, &text(len), kind),
            Self::KeyUpdate => {
                let wire = record(tx, KEY_UPDATE, 22);
                if version == TLS13 {
                    *fill += 1;
                    tx.install(key(&ALONE, version, *fill, 0));
                }
                wire
            }
            Self::Forged(len) => {
                let mut wire = record(tx, &text(len), 23);
                if let Some(byte) = wire.last_mut() {
                    *byte ^= 1;
                }
                wire
            }
            Self::BadHeader => vec![23, 3, 1, 0, 40],
        }
    }
}

/// One receive call, and the bytes that arrive before it.
#[derive(Clone, Debug)]
struct Call {
    arrive: usize,
    rooms: Vec<usize>,
    fresh: bool,
    peek: bool,
    control: usize,
    wait_all: bool,
}

fn call() -> impl Strategy<Value = Call> {
    let room = prop_oneof![0..200_usize, 0..5000_usize, Just(60_000_usize)];
    let control = prop_oneof![4 => Just(64_usize), 1 => Just(0_usize)];
    let rare = || prop_oneof![9 => Just(false), 1 => Just(true)];
    (
        0..9000_usize,
        vec(room, 1..4),
        any::<bool>(),
        rare(),
        control,
        rare(),
    )
        .prop_map(|(arrive, rooms, fresh, peek, control, wait_all)| Call {
            arrive,
            rooms,
            fresh,
            peek,
            control,
            wait_all,
        })
}

/// A receiver, and the key that its peer uses.
struct End {
    rx: SocketRx,
    shared: SocketShared,
    provider: &'static Aead,
    version: u16,
    fill: u8,
}

impl End {
    fn new(provider: &'static Aead, version: u16, first: u64, no_pad: NoPad) -> Self {
        let mut rx = SocketRx::new(key(provider, version, 1, first));
        rx.set_no_pad(no_pad);
        let shared = SocketShared::default();
        Self {
            rx,
            shared,
            provider,
            version,
            fill: 1,
        }
    }

    /// Receives `wire` and makes the call. Returns its result, and everything that can be observed
    /// of the receiver afterwards.
    fn outcome(&mut self, call: &Call, wire: &[u8]) -> impl PartialEq + std::fmt::Debug + use<> {
        self.rx.space(wire.len()).copy_from_slice(wire);
        self.rx.fed(wire.len(), &self.shared);
        let data = self.receive(call);
        let paused = self.rx.is_paused();
        if paused && self.version == TLS13 {
            self.fill += 1;
            let next = key(self.provider, self.version, self.fill, 0);
            self.rx.install(next).unwrap();
        }
        let counted = [
            Counter::TlsDecryptError,
            Counter::TlsDecryptRetry,
            Counter::TlsRxNoPadViolation,
            Counter::TlsRxRekeyReceived,
        ];
        (
            data,
            (paused, self.rx.is_readable(1), self.rx.needs_bytes()),
            (self.rx.is_stopped(), self.rx.unopened()),
            self.rx.live_info().rec_seq,
            counted.map(|counter| self.shared.stats.value(counter)),
            self.shared.error.peek(),
        )
    }

    fn receive(&mut self, call: &Call) -> Result<(Vec<u8>, u32, Option<u8>), CallFault> {
        let flags = RecvFlags {
            peek: call.peek,
            wait_all: call.wait_all,
            dont_wait: true,
            ..RecvFlags::default()
        };
        let mut buffers: Vec<_> = call.rooms.iter().map(|&len| vec![0xee; len]).collect();
        let room = call.rooms.iter().sum();
        let mut slices: Vec<_> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
        let mut out = match slices.as_mut_slice() {
            [one] if call.fresh => ReceiveBuffers::fresh(std::slice::from_mut(one), room),
            all => ReceiveBuffers::new(all),
        };
        let mut under_way = ReceiveCall::new(flags, ControlRoom::new(call.control), room, 1);
        if self.rx.start(&mut under_way, &mut out, &self.shared)? == ReceiveStep::NeedBytes {
            // Whether it would wait can be seen by what it has got.
            let _step =
                self.rx
                    .go_on_without_bytes(&under_way, NoBytesReason::Yet, &self.shared)?;
        }
        let received = under_way.received();
        let mut data = buffers.concat();
        let behind = data.split_off(received.len);
        assert!(
            behind.iter().all(|&byte| byte == 0xee || byte == 0),
            "nothing of a record stands behind the plaintext"
        );
        Ok((data, received.flags(), received.record_type))
    }
}

/// One send call.
#[derive(Clone, Debug)]
struct Sending {
    lens: Vec<usize>,
    record_type: Option<u8>,
    more: bool,
    limit: usize,
}

fn sending() -> impl Strategy<Value = Sending> {
    let len = prop_oneof![0..200_usize, 0..5000_usize, Just(40_000_usize)];
    let record_type = prop_oneof![5 => Just(None), 1 => any::<u8>().prop_map(Some)];
    let limit = prop_oneof![1..3000_usize, Just(1_usize << 18)];
    (vec(len, 1..4), record_type, any::<bool>(), limit).prop_map(
        |(lens, record_type, more, limit)| Sending {
            lens,
            more: more && record_type.is_none(),
            record_type,
            limit,
        },
    )
}

/// Makes the calls until one fails. Returns what each took and sealed.
fn sealed(
    provider: &Aead,
    version: u16,
    first: u64,
    max_payload: Option<u16>,
    calls: &[Sending],
) -> impl PartialEq + std::fmt::Debug + use<> {
    let (mut tx, shared) = (SocketTx::default(), SocketShared::default());
    tx.install(key(provider, version, 1, first));
    if let Some(most) = max_payload {
        tx.set_max_payload(&most.to_ne_bytes(), None).unwrap();
    }
    let mut seen = Vec::new();
    for call in calls {
        let buffers: Vec<_> = call.lens.iter().map(|&len| vec![len as u8; len]).collect();
        let slices: Vec<_> = buffers.iter().map(Vec::as_slice).collect();
        let more = if call.more {
            PartialRecord::KeepOpen
        } else {
            PartialRecord::Seal
        };
        let mut source = SendBuffers::new(&slices);
        loop {
            let sent = tx.send(&mut source, call.record_type, more, call.limit, &shared);
            let wire = tx.wire().to_vec();
            tx.wrote(wire.len());
            let number = tx.live_info().map(|info| info.rec_seq);
            seen.push((sent, source.taken(), wire, number, tx.open_len()));
            if sent.is_err() || source.left() == 0 {
                break;
            }
        }
        // A fault of one call would end all later ones.
        let _ = shared.error.take();
    }
    seen
}

#[test]
fn an_empty_record_behind_a_full_buffer_is_left_to_the_next_call() {
    for (version, kind) in [(TLS12, 23), (TLS13, 23), (TLS12, 21), (TLS13, 21)] {
        let mut tx = SocketTx::default();
        tx.install(key(&ALONE, version, 1, 0));
        let records = [(&b"12345"[..], 23), (b"67890", 23), (b"", kind)];
        let wire = records
            .map(|(data, kind)| record(&mut tx, data, kind))
            .concat();
        let call = Call {
            arrive: wire.len(),
            rooms: vec![10],
            fresh: true,
            peek: false,
            control: 64,
            wait_all: false,
        };
        let [alone, together] = [&ALONE, &TOGETHER].map(|provider| {
            let mut end = End::new(provider, version, 0, NoPad::Off);
            let outcome = format!("{:?}", end.outcome(&call, &wire));
            (outcome, end.rx.live_info().rec_seq)
        });
        assert_eq!(together, alone);
        assert_eq!(alone.1, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn records_opened_together_equal_those_opened_alone(
        sent in vec(sent(), 1..60),
        calls in vec(call(), 1..30),
        version in TLS12..=TLS13,
        first in prop_oneof![3 => Just(7_u64), 1 => u64::MAX - 20..=u64::MAX],
        expect_padding in any::<bool>(),
    ) {
        let no_pad = if expect_padding || version == TLS12 { NoPad::Off } else { NoPad::On };
        let mut sender = SocketTx::default();
        sender.install(key(&ALONE, version, 1, first));
        let (mut fill, mut wire) = (1, Vec::new());
        for one in &sent {
            // The record under the last number leaves with the one that follows it.
            if sender.live_info().is_some_and(|info| info.rec_seq == u64::MAX) {
                break;
            }
            wire.extend(one.wire(&mut sender, version, &mut fill));
        }
        let [mut alone, mut together] =
            [&ALONE, &TOGETHER].map(|provider| End::new(provider, version, first, no_pad));
        let mut rest = wire.as_slice();
        for call in &calls {
            let (next, behind) = rest.split_at(call.arrive.min(rest.len()));
            rest = behind;
            prop_assert_eq!(together.outcome(call, next), alone.outcome(call, next), "{:?}", call);
        }
    }

    #[test]
    fn records_sealed_together_equal_those_sealed_alone(
        calls in vec(sending(), 1..6),
        version in TLS12..=TLS13,
        max_payload in prop_oneof![Just(None), (64..3000_u16).prop_map(Some)],
        first in prop_oneof![3 => Just(7_u64), 1 => u64::MAX - 40..=u64::MAX],
    ) {
        let [alone, together] =
            [&ALONE, &TOGETHER].map(|provider| sealed(provider, version, first, max_payload, &calls));
        prop_assert_eq!(together, alone);
    }
}
