//! Runs of the simulator, with plain Python values as results.

use std::cell::RefCell;
use std::rc::Rc;

use ktls_core::offload::{InstallPolicy, RxPhase, TxPhase};
use ktls_core::{Errno, quoted};
use ktls_py_macros::from_stub;
use ktls_sim::device::ResyncKind;
use ktls_sim::device_socket::{RxTally, TxTally};
use ktls_sim::{
    AckNotice, BrokenInvariant, DeviceSettings, EventKind, InvariantViolation, LinkSettings,
    ReportDetail, RunEvent, RunReport, RunSummary, Scenario, SealedBy, SendingSides,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::buffer::copy_bytes;
use crate::errors::refused;
use crate::memory::list_of;

/// The attributes of `ktls_fast.simulate.Scenario`.
#[derive(FromPyObject)]
pub(crate) struct ScenarioArgs {
    seed: u64,
    policy: String,
    resync: String,
    cipher_type: u16,
    both_ways: bool,
    rekeys: u32,
    messages: u32,
    message_len: usize,
    more: f64,
    send_gap: u64,
    read_lag: u64,
    loss: f64,
    reorder: f64,
    duplicate: f64,
    delay: u64,
    mss: usize,
    tso: usize,
    window: u64,
    slots: usize,
    depth: usize,
    fail_add: f64,
    fail_nth_add: Option<u32>,
    lose: f64,
    full: f64,
    down_at: Option<u64>,
    up_at: Option<u64>,
    close_at: Option<u64>,
}

/// An event: time, host, kind, then the values of the kind.
pub(crate) type EventRow = (
    u64,
    usize,
    &'static str,
    Option<u64>,
    Option<u64>,
    Option<u32>,
    Option<&'static str>,
    bool,
);

/// The violation, the summary, the events, the trace of the devices, the pcap and the key log.
pub(crate) type SimulationResult<'py> = (
    Option<String>,
    Bound<'py, PyDict>,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Bound<'py, PyAny>,
    String,
);

#[from_stub]
#[pyfunction(name = "_simulate")]
pub(crate) fn simulate<'py>(
    py: Python<'py>,
    scenario: ScenarioArgs,
) -> PyResult<SimulationResult<'py>> {
    let scenario = scenario.into_scenario()?;
    let mut signal = Ok(());
    let (report, trace) = py.detach(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let mut go_on = || {
            signal = Python::attach(|py| py.check_signals());
            signal.is_ok()
        };
        let report = ktls_sim::run_while(&scenario, &log, &mut go_on);
        (report, log.take())
    });
    signal?;
    let RunReport {
        violation,
        summary,
        events,
        packets,
    } = report;
    let capture = ktls_sim::pcap::capture(&scenario, &packets);
    let numbers = numbers(py, &summary)?;
    let violation = match violation {
        Some(InvariantViolation {
            kind: BrokenInvariant::TooLong { steps },
            ..
        }) => {
            numbers.set_item("cut_off_after", steps)?;
            None
        }
        violation => violation.map(|violation| violation.to_string()),
    };
    Ok((
        violation,
        numbers,
        list_of(py, events.iter().map(|event| Ok(row(event))))?,
        list_of(py, trace.into_iter().map(Ok))?,
        copy_bytes(py, &capture.pcap)?,
        capture.keylog,
    ))
}

impl ScenarioArgs {
    fn into_scenario(self) -> PyResult<Scenario> {
        let link = LinkSettings {
            loss: part("loss", self.loss)?,
            reorder: part("reorder", self.reorder)?,
            duplicate: part("duplicate", self.duplicate)?,
            delay: self.delay,
            mss: at_least("mss", self.mss, 1)?,
            tso: at_least("tso", self.tso, 1)?,
            window: at_least("window", self.window, self.mss as u64)?,
            send_buffer: self.window.saturating_mul(2),
            ..LinkSettings::default()
        };
        let device = DeviceSettings {
            slots: self.slots,
            depth: at_least("depth", self.depth, 1)?,
            fail_add: part("fail_add", self.fail_add)?,
            fail_nth_add: self.fail_nth_add,
            lose: part("lose", self.lose)?,
            full: part("full", self.full)?,
            down_at: self.down_at,
            up_at: self.up_at,
            ..DeviceSettings::default()
        };
        Ok(Scenario {
            seed: self.seed,
            policy: named(
                "policy",
                &self.policy,
                InstallPolicy::ALL,
                InstallPolicy::name,
            )?,
            resync: named("resync", &self.resync, KINDS, kind_name)?,
            cipher_type: offloadable(self.cipher_type)?,
            senders: if self.both_ways {
                SendingSides::Both
            } else {
                SendingSides::One
            },
            rekeys: self.rekeys,
            messages: self.messages,
            message_len: at_least("message_len", self.message_len, 1)?,
            more: part("more", self.more)?,
            send_gap: at_least("send_gap", self.send_gap, 1)?,
            read_lag: at_least("read_lag", self.read_lag, 1)?,
            acks: AckNotice::AtArrival,
            link,
            device,
            close_at: self.close_at,
            detail: ReportDetail::Events,
        })
    }
}

const KINDS: [ResyncKind; 3] = [
    ResyncKind::DriverRequest,
    ResyncKind::NextHint,
    ResyncKind::Async,
];

const fn kind_name(kind: ResyncKind) -> &'static str {
    match kind {
        ResyncKind::DriverRequest => "request",
        ResyncKind::NextHint => "hint",
        ResyncKind::Async => "async",
    }
}

fn named<T: Copy>(
    what: &str,
    text: &str,
    all: [T; 3],
    name: impl Fn(T) -> &'static str,
) -> PyResult<T> {
    let found = all.into_iter().find(|&one| name(one) == text);
    found.ok_or_else(|| {
        let [a, b, c] = all.map(&name);
        refused(
            Errno::Inval,
            format!("{what} {} is not {a}, {b} or {c}", quoted(text)),
        )
    })
}

/// D-1.
fn offloadable(cipher_type: u16) -> PyResult<u16> {
    if matches!(cipher_type, 51 | 52) {
        return Ok(cipher_type);
    }
    let text = format!("cipher {cipher_type} is not 51 (AES-GCM-128) or 52 (AES-GCM-256)");
    Err(refused(Errno::Inval, text))
}

fn part(what: &str, value: f64) -> PyResult<f64> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(refused(
        Errno::Inval,
        format!("{what} {value} is not from 0 to 1"),
    ))
}

fn at_least<T: PartialOrd + std::fmt::Display>(what: &str, value: T, least: T) -> PyResult<T> {
    if value >= least {
        return Ok(value);
    }
    Err(refused(
        Errno::Inval,
        format!("{what} {value} is less than {least}"),
    ))
}

fn numbers<'py>(py: Python<'py>, summary: &RunSummary) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, value) in [
        ("time", summary.time),
        ("bytes", summary.bytes),
        ("segments", summary.segments),
        ("retransmissions", summary.retransmissions),
        ("lost", summary.lost),
    ] {
        all.set_item(name, value)?;
    }
    let hosts: PyResult<Vec<_>> = (0..2).map(|host| numbers_of(py, summary, host)).collect();
    all.set_item("hosts", hosts?)?;
    let counters = PyDict::new(py);
    for (name, value) in &summary.counters {
        counters.set_item(name, value)?;
    }
    all.set_item("counters", counters)?;
    all.set_item("cut_off_after", py.None())?;
    Ok(all)
}

#[expect(
    clippy::indexing_slicing,
    reason = "two hosts, and arrays with a place for each"
)]
fn numbers_of<'py>(
    py: Python<'py>,
    summary: &RunSummary,
    host: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let TxTally {
        device_records,
        software_records,
        fallback_bytes,
        dropped_segments,
    } = summary.tx[host];
    let rx = summary.rx[host];
    let RxTally {
        regained_records,
        regained_bytes,
        ..
    } = rx;
    let all = PyDict::new(py);
    for (name, value) in [
        ("tx_key_updates", summary.tx_rekeys[host]),
        ("tx_device_records", device_records),
        ("tx_software_records", software_records),
        ("tx_fallback_bytes", fallback_bytes),
        ("tx_dropped_segments", dropped_segments),
        ("tx_time_without_device", summary.tx_without_device[host]),
        ("rx_key_updates", summary.rx_rekeys[host]),
        ("rx_device_records", rx.device_records),
        ("rx_software_records", rx.software_records),
        ("rx_regained_records", regained_records),
        ("rx_regained_bytes", regained_bytes),
        ("rx_time_without_device", summary.rx_without_device[host]),
    ] {
        all.set_item(name, value)?;
    }
    Ok(all)
}

fn row(event: &RunEvent) -> EventRow {
    let none = (None, None, None, None, false);
    let (kind, (offset, len, generation, word, again)) = match event.kind {
        EventKind::Segment {
            offset,
            len,
            generation,
            by,
            retransmission,
        } => (
            "segment",
            (
                Some(offset),
                Some(len as u64),
                Some(generation),
                Some(sealer(by)),
                retransmission,
            ),
        ),
        EventKind::Lost { offset, len } => {
            ("lost", (Some(offset), Some(len as u64), None, None, false))
        }
        EventKind::Acked { offset } => ("acked", (Some(offset), None, None, None, false)),
        EventKind::TxPhase { phase, offset } => (
            "tx_phase",
            (Some(offset), None, None, Some(tx_phase(phase)), false),
        ),
        EventKind::RxPhase { phase } => {
            ("rx_phase", (None, None, None, Some(rx_phase(phase)), false))
        }
        EventKind::TxKey { offset, generation } => (
            "tx_key",
            (Some(offset), None, Some(generation), None, false),
        ),
        EventKind::RxKey { generation } => ("rx_key", (None, None, Some(generation), None, false)),
        EventKind::Down => ("down", none),
        EventKind::Up => ("up", none),
        EventKind::Closed => ("closed", none),
    };
    (
        event.time, event.host, kind, offset, len, generation, word, again,
    )
}

const fn sealer(by: SealedBy) -> &'static str {
    match by {
        SealedBy::Device => "device",
        SealedBy::Software => "software",
        SealedBy::Fallback => "fallback",
    }
}

const fn tx_phase(phase: TxPhase) -> &'static str {
    match phase {
        TxPhase::Software => "software",
        TxPhase::Offloaded => "offloaded",
        TxPhase::Pending { .. } => "pending",
        TxPhase::Ready => "ready",
        TxPhase::Installing => "installing",
        TxPhase::Failed => "failed",
        TxPhase::Closed => "closed",
    }
}

const fn rx_phase(phase: RxPhase) -> &'static str {
    match phase {
        RxPhase::Software => "software",
        RxPhase::Offloaded => "offloaded",
        RxPhase::Deleted => "deleted",
        RxPhase::Draining { .. } => "draining",
        RxPhase::Installing => "installing",
        RxPhase::Failed => "failed",
        RxPhase::Closed => "closed",
    }
}
