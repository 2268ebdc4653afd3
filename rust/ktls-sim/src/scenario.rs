//! What a run is made of. The same scenario gives the same run.

use fastrand::Rng;
use ktls_core::offload::InstallPolicy;

use crate::device::ResyncKind;

/// A connection between two hosts, each with a device, over a bad link. Times are in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Of every random choice of the run.
    pub seed: u64,
    /// When a device gets the next key.
    pub policy: InstallPolicy,
    /// How a receiving device finds its place again.
    pub resync: ResyncKind,
    /// The kernel's number of the cipher: 51 or 52.
    pub cipher_type: u16,
    /// Who sends.
    pub ways: SendingSides,
    /// Key updates of each sender.
    pub rekeys: u32,
    /// Messages between two key updates.
    pub messages: u32,
    /// Bytes of one message, at most.
    pub message_len: usize,
    /// Part of the messages that leave their record open (`MSG_MORE`).
    pub more: f64,
    /// Time between two sends, at most.
    pub send_gap: u64,
    /// Time between arrival and reading, and between a KeyUpdate and `TLS_RX`, at most.
    pub read_lag: u64,
    /// When the sending side learns what was acknowledged.
    pub acks: AckNotice,
    /// The link.
    pub link: LinkSettings,
    /// The devices.
    pub device: DeviceSettings,
    /// When the first host closes, whatever is under way.
    pub close_at: Option<u64>,
    /// Whether the report lists events and packets.
    pub detail: ReportDetail,
}

/// Who sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendingSides {
    /// The first host.
    One,
    /// Both.
    Both,
}

/// When the driver of a sender's key updates is told of acknowledgements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AckNotice {
    /// When they arrive, as in the kernel.
    AtArrival,
    /// When it asks, at the next send, as over an `OffloadQueue`.
    AtSend,
}

/// How much a report tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportDetail {
    /// The summary.
    Summary,
    /// Every event and packet as well.
    Events,
}

/// The way between the hosts, and TCP's numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSettings {
    /// Part of the packets that vanish, acknowledgements too.
    pub loss: f64,
    /// Part of the packets that are overtaken.
    pub reorder: f64,
    /// Part of the packets that arrive twice.
    pub duplicate: f64,
    /// One way.
    pub delay: u64,
    /// Time that a segment waits in the host's queue between TCP and device.
    pub queue: u64,
    /// Most bytes of a packet.
    pub mss: usize,
    /// Most packets that TCP hands to the device in one piece.
    pub tso: usize,
    /// Most bytes in flight.
    pub window: u64,
    /// Most bytes that TCP holds for a sender.
    pub send_buffer: u64,
}

/// The device of each host, and how it fails.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSettings {
    /// Key slots; a connection takes one for each direction.
    pub slots: usize,
    /// Places of each ring.
    pub depth: usize,
    /// Part of the `dev_add` calls that fail.
    pub fail_add: f64,
    /// This `dev_add`, counted from 1, fails as well.
    pub fail_nth_add: Option<u32>,
    /// Part of the descriptors whose completion is lost.
    pub lose: f64,
    /// Part of the descriptors that find the ring full.
    pub full: f64,
    /// Most descriptors done at one tick.
    pub budget: usize,
    /// Time between ticks.
    pub tick: u64,
    /// When the interface of the first host goes down.
    pub down_at: Option<u64>,
    /// When it comes back.
    pub up_at: Option<u64>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 0,
            policy: InstallPolicy::CoverLetter,
            resync: ResyncKind::DriverRequest,
            cipher_type: 51,
            ways: SendingSides::One,
            rekeys: 4,
            messages: 6,
            message_len: 2000,
            more: 0.1,
            send_gap: 40,
            read_lag: 60,
            acks: AckNotice::AtArrival,
            link: LinkSettings::default(),
            device: DeviceSettings::default(),
            close_at: None,
            detail: ReportDetail::Summary,
        }
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            loss: 0.0,
            reorder: 0.0,
            duplicate: 0.0,
            delay: 100,
            queue: 0,
            mss: 1448,
            tso: 4,
            window: 64 << 10,
            send_buffer: 128 << 10,
        }
    }
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            slots: 4,
            depth: 64,
            fail_add: 0.0,
            fail_nth_add: None,
            lose: 0.0,
            full: 0.0,
            budget: 8,
            tick: 2,
            down_at: None,
            up_at: None,
        }
    }
}

impl Scenario {
    /// Anything that may happen, from one number.
    #[must_use]
    pub fn random(seed: u64, policy: InstallPolicy) -> Self {
        let mut rng = Rng::with_seed(seed);
        let many = rng.u32(0..50) == 0;
        Self {
            seed,
            policy,
            resync: *rng
                .choice(&[
                    ResyncKind::DriverRequest,
                    ResyncKind::NextHint,
                    ResyncKind::Async,
                ])
                .unwrap_or(&ResyncKind::DriverRequest),
            cipher_type: rng.u16(51..=52),
            ways: if rng.bool() {
                SendingSides::Both
            } else {
                SendingSides::One
            },
            rekeys: if many {
                rng.u32(10..=200)
            } else {
                rng.u32(0..=8)
            },
            messages: rng.u32(0..=if many { 2 } else { 8 }),
            message_len: *rng.choice(&[1, 60, 300, 1200, 5000]).unwrap_or(&300),
            more: rng.f64() * 0.5,
            send_gap: rng.u64(1..=200),
            read_lag: rng.u64(1..=400),
            link: LinkSettings::random(&mut rng),
            device: DeviceSettings::random(&mut rng),
            close_at: rarely(&mut rng, 10, 4000),
            acks: if rng.bool() {
                AckNotice::AtArrival
            } else {
                AckNotice::AtSend
            },
            detail: ReportDetail::Summary,
        }
    }
}

impl LinkSettings {
    fn random(rng: &mut Rng) -> Self {
        let bad = rng.f64();
        Self {
            loss: rng.f64() * 0.2 * bad,
            reorder: rng.f64() * 0.3 * bad,
            duplicate: rng.f64() * 0.1 * bad,
            delay: rng.u64(5..=300),
            queue: if rng.bool() { 0 } else { rng.u64(1..=400) },
            mss: *rng.choice(&[97, 536, 1220, 1448]).unwrap_or(&1448),
            tso: rng.usize(1..=6),
            window: rng.u64(2_000..=40_000),
            send_buffer: rng.u64(8_000..=60_000),
        }
    }
}

impl DeviceSettings {
    fn random(rng: &mut Rng) -> Self {
        let bad = if rng.bool() { 0.0 } else { rng.f64() };
        let down_at = rarely(rng, 10, 3000);
        Self {
            slots: if rng.u32(0..10) == 0 {
                rng.usize(0..=1)
            } else {
                4
            },
            depth: rng.usize(1..=64),
            fail_add: rng.f64() * 0.3 * bad,
            fail_nth_add: None,
            lose: rng.f64() * 0.05 * bad,
            full: rng.f64() * 0.2 * bad,
            budget: rng.usize(1..=8),
            tick: rng.u64(1..=30),
            up_at: down_at
                .filter(|_| rng.bool())
                .map(|at| at + rng.u64(1..=1000)),
            down_at,
        }
    }
}

/// A moment in one run of `of`.
fn rarely(rng: &mut Rng, of: u32, latest: u64) -> Option<u64> {
    (rng.u32(0..of) == 0).then(|| rng.u64(1..=latest))
}
