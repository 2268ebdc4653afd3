//! The parameters of a run. Equal scenarios lead to equal runs.

use fastrand::Rng;
use ktls_core::offload::InstallPolicy;

use crate::device::ResyncKind;

/// A connection between two hosts, each with a device, over a bad link. Times are in microseconds;
/// probabilities range from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The seed of every random choice of the run.
    pub seed: u64,
    /// The policy that decides when a device gets the next key.
    pub policy: InstallPolicy,
    /// How a receiving device resynchronises.
    pub resync: ResyncKind,
    /// The kernel's number of the cipher: 51 (AES-128-GCM) or 52 (AES-256-GCM).
    pub cipher_type: u16,
    /// Which hosts send.
    pub senders: SendingSides,
    /// Number of key updates of each sender.
    pub rekeys: u32,
    /// Number of messages between two key updates.
    pub messages: u32,
    /// Maximum length of a message in bytes.
    pub message_len: usize,
    /// Probability that a message leaves its record open (`MSG_MORE`).
    pub more: f64,
    /// Maximum time between two sends.
    pub send_gap: u64,
    /// Maximum time between arrival and reading, and between a KeyUpdate and `TLS_RX`.
    pub read_lag: u64,
    /// When the sending side learns of acknowledgements.
    pub acks: AckNotice,
    /// The link.
    pub link: LinkSettings,
    /// The devices.
    pub device: DeviceSettings,
    /// When the first host closes its socket, even if data is in flight; `None` for after all data.
    pub close_at: Option<u64>,
    /// Whether the report lists events and packets.
    pub detail: ReportDetail,
}

/// Which hosts send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendingSides {
    /// The first host.
    One,
    /// Both.
    Both,
}

/// When the driver of a sender's key updates learns of acknowledgements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AckNotice {
    /// When they arrive, as in the kernel.
    AtArrival,
    /// When the driver polls at the next send, as with an `OffloadQueue`.
    AtSend,
}

/// The level of detail of a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportDetail {
    /// Only the summary.
    Summary,
    /// The summary, and every event and packet.
    Events,
}

/// The link between the hosts, and the parameters of TCP.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSettings {
    /// Probability that a packet, or an acknowledgement, is lost.
    pub loss: f64,
    /// Probability that a packet is delayed, so that later ones may overtake it.
    pub reorder: f64,
    /// Probability that a packet is duplicated.
    pub duplicate: f64,
    /// Delay in one direction.
    pub delay: u64,
    /// Time that a segment waits in the host's queue between TCP and device.
    pub queue: u64,
    /// Maximum number of bytes in a packet.
    pub mss: usize,
    /// Maximum number of packets that TCP hands to the device as one segment.
    pub tso: usize,
    /// Maximum number of bytes in flight.
    pub window: u64,
    /// Maximum number of bytes that TCP buffers for a sender.
    pub send_buffer: u64,
}

/// The device of each host, and its faults.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSettings {
    /// Number of key slots; a connection uses one for each direction.
    pub slots: usize,
    /// Number of entries of each ring.
    pub depth: usize,
    /// Probability that a `dev_add` call fails.
    pub fail_add: f64,
    /// The number, counted from 1, of one `dev_add` call that fails in addition.
    pub fail_nth_add: Option<u32>,
    /// Probability that the completion of a descriptor is lost.
    pub lose: f64,
    /// Probability that the ring refuses a descriptor because it is full.
    pub full: f64,
    /// Maximum number of descriptors processed in one tick.
    pub budget: usize,
    /// Time between ticks.
    pub tick: u64,
    /// When the interface of the first host goes down; `None` for never.
    pub down_at: Option<u64>,
    /// When that interface comes up again; `None` for never.
    pub up_at: Option<u64>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 0,
            policy: InstallPolicy::CoverLetter,
            resync: ResyncKind::DriverRequest,
            cipher_type: 51,
            senders: SendingSides::One,
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
    /// Returns a random scenario that is determined by `seed`.
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
            senders: if rng.bool() {
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

/// Returns a time up to `latest` in one of `of` calls, and `None` otherwise.
fn rarely(rng: &mut Rng, of: u32, latest: u64) -> Option<u64> {
    (rng.u32(0..of) == 0).then(|| rng.u64(1..=latest))
}
