//! A run: two hosts, the events between them, and virtual time.

mod host;
mod key;
mod ledger_check;
mod link;
mod receive;
mod send;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;
use ktls_core::stats::Counter;

use crate::device::{NetdevState, TraceLog};
use crate::oracle::{BrokenInvariant, InvariantViolation};
use crate::planted_faults::PlantedFault;
use crate::report::{EventKind, RunEvent, RunReport, RunSummary, WirePacket};
use crate::scenario::{ReportDetail, Scenario, SendingSides};
use host::Host;

pub use key::secrets;

/// Runs a scenario to its end, or to the first broken invariant.
#[must_use]
pub fn run(scenario: &Scenario) -> RunReport {
    World::new(scenario, None, None).run(&mut || true)
}

/// Runs a scenario with a fault planted in the driver of one direction's key updates, at both
/// hosts.
#[must_use]
pub fn run_planted(scenario: &Scenario, fault: PlantedFault) -> RunReport {
    World::new(scenario, None, Some(fault)).run(&mut || true)
}

/// Runs a scenario and appends a line to `log` for each call to the devices.
#[must_use]
pub fn run_traced(scenario: &Scenario, log: &TraceLog) -> RunReport {
    run_while(scenario, log, &mut || true)
}

/// Runs a scenario, with a line in `log` for each call to the devices, until `keep_running` returns
/// `false`. `keep_running` is called every few thousand events; a run that it ends has the
/// violation [`BrokenInvariant::TooLong`].
#[must_use]
pub fn run_while(
    scenario: &Scenario,
    log: &TraceLog,
    keep_running: &mut dyn FnMut() -> bool,
) -> RunReport {
    World::new(scenario, Some(log), None).run(keep_running)
}

struct World<'s> {
    scenario: &'s Scenario,
    now: u64,
    /// Counts the scheduled events, so that those of the same time keep their order.
    scheduled_count: u64,
    agenda: BinaryHeap<Reverse<(u64, u64, ScheduledEvent)>>,
    hosts: [Host; 2],
    rng: Rng,
    summary: RunSummary,
    events: Vec<RunEvent>,
    packets: Vec<WirePacket>,
    violation: Option<InvariantViolation>,
    /// Whether a socket was closed while data was in flight.
    closed_early: bool,
    /// Number of bytes sent on the wire.
    bytes_on_wire: usize,
}

/// An event that is scheduled for some time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum ScheduledEvent {
    /// The writing program runs.
    Write(usize),
    /// The reading program runs.
    Read(usize),
    /// The reading program installs the key of this generation.
    ReadKey(usize, u32),
    /// A packet arrives.
    Packet {
        to: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// An acknowledgement arrives.
    Ack {
        to: usize,
        acked: u64,
    },
    /// TCP's timer of this restart expires.
    Timer(usize, u64),
    /// The segment with this number leaves the host's queue.
    Leave(usize, u64),
    /// The device processes descriptors.
    Tick(usize),
    Down(usize),
    Up(usize),
    Close(usize),
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario, log: Option<&TraceLog>, fault: Option<PlantedFault>) -> Self {
        let mut rng = Rng::with_seed(scenario.seed);
        let hosts = [0, 1].map(|index| Host::new(scenario, index, &mut rng, log, fault));
        let mut world = Self {
            scenario,
            now: 0,
            scheduled_count: 0,
            agenda: BinaryHeap::new(),
            hosts,
            rng,
            summary: RunSummary::default(),
            events: Vec::new(),
            packets: Vec::new(),
            violation: None,
            closed_early: false,
            bytes_on_wire: 0,
        };
        world.plan_start();
        world
    }

    fn plan_start(&mut self) {
        self.schedule_at(0, ScheduledEvent::Write(0));
        if self.scenario.senders == SendingSides::Both {
            self.schedule_at(0, ScheduledEvent::Write(1));
        }
        let device = &self.scenario.device;
        for (at, entry) in [
            (device.down_at, ScheduledEvent::Down(0)),
            (device.up_at, ScheduledEvent::Up(0)),
            (self.scenario.close_at, ScheduledEvent::Close(0)),
        ] {
            if let Some(at) = at {
                self.schedule_at(at, entry);
            }
        }
    }

    fn run(mut self, keep_running: &mut dyn FnMut() -> bool) -> RunReport {
        let mut steps = 0;
        while steps < MAX_STEPS && self.bytes_on_wire < MAX_BYTES {
            if self.violation.is_some() {
                return self.report();
            }
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_CHECK) && !keep_running() {
                break;
            }
            let Some(Reverse((time, _, entry))) = self.agenda.pop() else {
                self.finish();
                return self.report();
            };
            self.advance_time(time);
            self.handle(entry);
            self.check_books();
            self.note_phases();
        }
        self.violate(0, 0, BrokenInvariant::TooLong { steps });
        self.report()
    }

    fn handle(&mut self, entry: ScheduledEvent) {
        match entry {
            ScheduledEvent::Write(host) => self.write(host),
            ScheduledEvent::Read(host) => self.read(host),
            ScheduledEvent::ReadKey(host, generation) => self.install_read_key(host, generation),
            ScheduledEvent::Packet { to, offset, bytes } => self.packet_arrives(to, offset, bytes),
            ScheduledEvent::Ack { to, acked } => self.ack_arrives(to, acked),
            ScheduledEvent::Timer(host, restart) => self.timer_runs_out(host, restart),
            ScheduledEvent::Leave(host, id) => self.leave_queue(host, id),
            ScheduledEvent::Tick(host) => self.tick(host),
            ScheduledEvent::Down(host) => self.set_netdev(host, NetdevState::Down, EventKind::Down),
            ScheduledEvent::Up(host) => self.set_netdev(host, NetdevState::Up, EventKind::Up),
            ScheduledEvent::Close(host) => {
                self.closed_early |= self.is_under_way();
                self.close(host);
            }
        }
    }

    /// Returns `true` while something is still to be sent or has not arrived.
    fn is_under_way(&self) -> bool {
        let mut entries = self.agenda.iter();
        entries.any(|Reverse((_, _, entry))| matches!(entry, ScheduledEvent::Write(_)))
            || !self.hosts.iter().all(|host| host.oracle.is_complete())
    }

    fn set_netdev(&mut self, index: usize, netdev: NetdevState, kind: EventKind) {
        let host = &mut self.hosts[index];
        host.device.set_netdev(netdev);
        host.tx.netdev_changed(&mut *host.device);
        host.rx.netdev_changed(&mut *host.device);
        self.note(index, kind);
    }

    /// Closes the socket. Unacknowledged bytes are still sent.
    fn close(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if std::mem::replace(&mut host.closed, true) {
            return;
        }
        host.tx.close_offload();
        host.rx.close_offload(&mut *host.device);
        host.release_if_done();
        self.note(index, EventKind::Closed);
    }

    /// Closes both ends after the last event, and checks completeness, counters and ledgers.
    fn finish(&mut self) {
        for index in 0..2 {
            self.close(index);
            if !self.closed_early && !self.hosts[index].oracle.is_complete() {
                return self.violate(
                    index,
                    self.hosts[index].sender.acked(),
                    BrokenInvariant::Stuck,
                );
            }
        }
        for index in 0..2 {
            self.check_counters(index);
            self.check_ledger(index);
        }
    }

    fn check_counters(&mut self, index: usize) {
        let stats = std::sync::Arc::clone(&self.hosts[index].shared.stats);
        let (tx, rx) = (self.summary.tx_rekeys[index], self.summary.rx_rekeys[index]);
        let sum =
            |counters: [Counter; 3]| counters.map(|counter| stats.value(counter)).iter().sum();
        let gauges = Counter::ALL
            .iter()
            .filter(|counter| counter.name().starts_with("TlsCurr"));
        let checks = [(sum(TX_OUTCOMES), tx as i64), (sum(RX_OUTCOMES), rx as i64)]
            .into_iter()
            .chain(gauges.map(|&gauge| (stats.value(gauge), 0)));
        for (counted, want) in checks {
            if counted != want {
                self.violate(index, 0, BrokenInvariant::Counters { counted, want });
            }
        }
    }

    fn report(mut self) -> RunReport {
        for (index, host) in self.hosts.iter().enumerate() {
            self.summary.tx[index] = host.tx.tally();
            self.summary.rx[index] = host.rx.tally();
            self.summary.bytes += host.receiver.arrived().in_order;
        }
        self.summary.time = self.now;
        let value = |counter: Counter| -> i64 {
            let hosts = self.hosts.iter();
            hosts.map(|host| host.shared.stats.value(counter)).sum()
        };
        self.summary.counters = Counter::ALL
            .iter()
            .map(|&counter| (counter.name(), value(counter)))
            .filter(|(_, value)| *value != 0)
            .collect();
        RunReport {
            violation: self.violation,
            summary: self.summary,
            events: self.events,
            packets: self.packets,
        }
    }

    /// Advances the clock to `time`, and adds up the time without a device.
    fn advance_time(&mut self, time: u64) {
        for (index, host) in self.hosts.iter().enumerate() {
            if host.closed {
                continue;
            }
            if !host.sends_by_device() {
                self.summary.tx_without_device[index] += time - self.now;
            }
            if !host.receives_by_device() {
                self.summary.rx_without_device[index] += time - self.now;
            }
        }
        self.now = time;
    }

    fn schedule_at(&mut self, time: u64, entry: ScheduledEvent) {
        self.scheduled_count += 1;
        self.agenda
            .push(Reverse((time, self.scheduled_count, entry)));
    }

    fn schedule_after(&mut self, delay: u64, entry: ScheduledEvent) {
        self.schedule_at(self.now + delay, entry);
    }

    fn note(&mut self, host: usize, kind: EventKind) {
        if self.scenario.detail == ReportDetail::Events {
            self.events.push(RunEvent {
                time: self.now,
                host,
                kind,
            });
        }
    }

    fn note_phases(&mut self) {
        for index in 0..2 {
            let host = &mut self.hosts[index];
            let (tx, rx) = (host.tx.phase(), host.rx.phase());
            let offset = host.tx.write_offset();
            let (was_tx, was_rx) = std::mem::replace(&mut host.phases, (tx, rx));
            if tx != was_tx {
                self.note(index, EventKind::TxPhase { phase: tx, offset });
            }
            if rx != was_rx {
                self.note(index, EventKind::RxPhase { phase: rx });
            }
        }
    }

    fn violate(&mut self, host: usize, offset: u64, kind: BrokenInvariant) {
        let time = self.now;
        self.violation.get_or_insert(InvariantViolation {
            kind,
            offset,
            time,
            host,
        });
    }
}

const TX_OUTCOMES: [Counter; 3] = [
    Counter::TlsTxRekeyOk,
    Counter::TlsTxRekeyFallback,
    Counter::TlsTxRekeyAborted,
];
const RX_OUTCOMES: [Counter; 3] = [
    Counter::TlsRxRekeyOk,
    Counter::TlsRxRekeyFallback,
    Counter::TlsRxRekeyAborted,
];
/// The limits of a run, in events and in bytes on the wire.
const MAX_STEPS: usize = 1_000_000;
const MAX_BYTES: usize = 256 << 20;
const STEPS_PER_CHECK: usize = 4096;
