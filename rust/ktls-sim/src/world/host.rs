//! One end of the connection: programs, socket, TCP and device.

use std::collections::BTreeMap;

use fastrand::Rng;
use ktls_aead::PROVIDER;
use ktls_core::crypto_info::Direction;
use ktls_core::offload::{RxPhase, TxPhase};
use ktls_core::socket::{SocketRx, SocketShared, SocketTx};

use super::key::{DirectionKeys, expand, secrets};
use crate::device::{
    DeviceCapabilities, DeviceConnection, LedgerDevice, OffloadDevice, SharedLedger, TraceDevice,
    TraceLog,
};
use crate::device_socket::{DeviceSocketRx, DeviceSocketTx};
use crate::faulty_device::FaultyDevice;
use crate::nic::{NicSize, SimNic};
use crate::oracle::ByteOracle;
use crate::planted_faults::{self, PlantedFault};
use crate::report::SentSegment;
use crate::scenario::Scenario;
use crate::tcp::{CutSegment, TcpReceiver, TcpSender};

pub(super) struct Host {
    pub(super) tx: DeviceSocketTx,
    pub(super) rx: DeviceSocketRx,
    pub(super) shared: SocketShared,
    pub(super) device: Box<dyn OffloadDevice>,
    /// The ledger of the keys in the device.
    pub(super) ledger: SharedLedger,
    pub(super) sender: TcpSender,
    pub(super) receiver: TcpReceiver,
    pub(super) writer: WriterProgram,
    pub(super) reader: ReaderProgram,
    /// Checks what becomes of the bytes that this host sent.
    pub(super) oracle: ByteOracle,
    /// The keys of this host's stream.
    pub(super) keys: DirectionKeys,
    /// The keys of the other host's stream.
    pub(super) peer_keys: DirectionKeys,
    /// The offset at which each generation of keys starts.
    pub(super) generations: Vec<u64>,
    /// The segments queued between TCP and the device, by their number.
    pub(super) queue: BTreeMap<u64, CutSegment>,
    /// The segments queued in the device, with their numbers.
    pub(super) in_device: Vec<(u64, SentSegment)>,
    pub(super) ticking: bool,
    /// Number of consecutive ticks that completed nothing.
    idle_ticks: usize,
    pub(super) closed: bool,
    pub(super) phases: (TxPhase, RxPhase),
}

/// The writing program.
#[derive(Debug, Default)]
pub(super) struct WriterProgram {
    /// Number of messages until the next key update.
    pub(super) messages: u32,
    /// Number of key updates done.
    pub(super) rekeys: u32,
    /// Whether a KeyUpdate was sent and its `TLS_TX` is still to be done.
    pub(super) owes_key: bool,
    /// Determines the bytes of the next message.
    pub(super) counter: u8,
}

/// The reading program.
#[derive(Debug, Default)]
pub(super) struct ReaderProgram {
    /// Whether its next read is scheduled.
    pub(super) planned: bool,
    /// The generation of the key that it reads with.
    pub(super) generation: u32,
}

impl Host {
    pub(super) fn new(
        scenario: &Scenario,
        index: usize,
        rng: &mut Rng,
        log: Option<&TraceLog>,
        fault: Option<PlantedFault>,
    ) -> Self {
        let [near, far] = secrets(scenario);
        let (own, peer) = if index == 0 { (near, far) } else { (far, near) };
        let (mut keys, mut peer_keys) = (DirectionKeys::new(own), DirectionKeys::new(peer));
        let (policy, connection) = (scenario.policy, DeviceConnection(1));
        let shared = SocketShared::default();
        let ledger = SharedLedger::default();
        let mut device = device(scenario, rng.u64(..), &ledger, log);
        let (mut tx, rx) = (
            SocketTx::default(),
            SocketRx::new(expand(peer_keys.info(0))),
        );
        tx.install(expand(keys.info(0)));
        Self {
            tx: DeviceSocketTx::start_with(
                tx,
                policy,
                connection,
                &mut *device,
                &shared.stats,
                planted_faults::of(fault, Direction::Tx),
            ),
            rx: DeviceSocketRx::start_with(
                rx,
                policy,
                connection,
                &mut *device,
                &shared.stats,
                planted_faults::of(fault, Direction::Rx),
            ),
            ledger,
            shared,
            device,
            sender: TcpSender::new(scenario.link.window),
            receiver: TcpReceiver::default(),
            writer: WriterProgram {
                messages: scenario.messages,
                ..WriterProgram::default()
            },
            reader: ReaderProgram::default(),
            oracle: ByteOracle::new(expand(keys.info(0))),
            generations: vec![0],
            queue: BTreeMap::new(),
            in_device: Vec::new(),
            ticking: false,
            idle_ticks: 0,
            closed: false,
            phases: (TxPhase::Software, RxPhase::Software),
            keys,
            peer_keys,
        }
    }

    pub(super) fn sends_by_device(&self) -> bool {
        self.tx.phase() == TxPhase::Offloaded
    }

    pub(super) fn receives_by_device(&self) -> bool {
        self.rx.phase() == RxPhase::Offloaded
    }

    /// Returns the generation of the key that sealed the byte at `offset`.
    pub(super) fn generation(&self, offset: u64) -> u32 {
        self.generations.partition_point(|&start| start <= offset) as u32 - 1
    }

    /// Drops the segments that were lost in the device, at the end of a tick whose last completion
    /// was `last`. Older segments are lost; after `depth` ticks without a completion, all of them
    /// are.
    pub(super) fn forget_lost(&mut self, last: Option<u64>, depth: usize) {
        let Some(last) = last else {
            self.idle_ticks += 1;
            if self.idle_ticks > depth {
                self.in_device.clear();
            }
            return;
        };
        self.idle_ticks = 0;
        // The device completes in order, so the completions of older segments were lost.
        self.in_device.retain(|(id, _)| *id > last);
    }

    /// Releases the device if the connection is closed and TCP has no more bytes of it.
    pub(super) fn release_if_done(&mut self) {
        if self.closed && self.sender.unacked_len() == 0 && self.tx.socket().wire().is_empty() {
            self.tx.release_device(&mut *self.device);
        }
    }
}

fn device(
    scenario: &Scenario,
    seed: u64,
    ledger: &SharedLedger,
    log: Option<&TraceLog>,
) -> Box<dyn OffloadDevice> {
    let capabilities = DeviceCapabilities {
        tx: true,
        rx: true,
        tls13: true,
        resync: scenario.resync,
    };
    let size = NicSize {
        slots: scenario.device.slots,
        depth: scenario.device.depth,
    };
    let nic = SimNic::new(&PROVIDER, capabilities, size);
    let faulty = FaultyDevice::new(nic, scenario.device.clone(), seed);
    let counted = LedgerDevice::new(faulty, SharedLedger::clone(ledger));
    match log {
        None => Box::new(counted),
        Some(log) => Box::new(TraceDevice::new(counted, TraceLog::clone(log))),
    }
}
