//! Random runs: the invariants hold in all of them, and a policy that breaks them is detected.

use ktls_core::offload::InstallPolicy;
use ktls_core::stats::Counter;
use ktls_sim::device::TraceLog;
use ktls_sim::{
    DeviceSettings, EventKind, LinkSettings, ReportDetail, RunReport, Scenario, SendingSides, run,
    run_traced,
};

const SOUND: [InstallPolicy; 2] = [InstallPolicy::CoverLetter, InstallPolicy::V17];

fn holds(scenario: &Scenario) -> RunReport {
    let report = run(scenario);
    if let Some(violation) = &report.violation {
        panic!("{violation}, in {scenario:#?}");
    }
    report
}

#[test]
fn hundreds_of_random_runs_hold_every_invariant() {
    for policy in SOUND {
        for seed in 0..300 {
            holds(&Scenario::random(seed, policy));
        }
    }
}

#[test]
fn two_hundred_key_updates_each_way_survive_twenty_percent_loss() {
    for policy in SOUND {
        let scenario = Scenario {
            policy,
            senders: SendingSides::Both,
            rekeys: 200,
            messages: 1,
            message_len: 400,
            link: LinkSettings {
                loss: 0.2,
                reorder: 0.2,
                duplicate: 0.05,
                ..LinkSettings::default()
            },
            ..Scenario::default()
        };
        let report = holds(&scenario);
        assert_eq!(report.summary.tx_rekeys, [200, 200], "{policy}");
        assert_eq!(report.summary.counter(Counter::TlsRxRekeyReceived), 400);
    }
}

/// The runs above prove little unless all of these faults happen in them.
#[test]
fn random_runs_exercise_every_kind_of_fault() {
    for policy in SOUND {
        let mut sum = [0_u64; 12];
        for seed in 0..1500 {
            let summary = run(&Scenario::random(seed, policy)).summary;
            let counted = |counter| summary.counter(counter).unsigned_abs();
            for (total, more) in sum.iter_mut().zip([
                summary.retransmissions,
                summary.lost,
                summary.tx.iter().map(|tx| tx.fallback_bytes).sum(),
                summary.tx.iter().map(|tx| tx.dropped_segments).sum(),
                summary.rx.iter().map(|rx| rx.regained_records).sum(),
                summary.rx.iter().map(|rx| rx.device_records).sum(),
                counted(Counter::TlsRxDeviceResync),
                counted(Counter::TlsTxRekeyFallback),
                counted(Counter::TlsRxRekeyFallback),
                counted(Counter::TlsTxRekeyAborted),
                counted(Counter::TlsTxSw),
                counted(Counter::TlsTxRekeyOk),
            ]) {
                *total += more;
            }
        }
        assert!(sum.iter().all(|&total| total > 0), "{policy}: {sum:?}");
    }
}

#[test]
fn equal_scenarios_lead_to_equal_runs() {
    let scenario = Scenario {
        detail: ReportDetail::Events,
        ..Scenario::random(11, InstallPolicy::V17)
    };
    let (one, other) = (run(&scenario), run(&scenario));
    assert_eq!(one.summary, other.summary);
    assert_eq!(one.events, other.events);
    assert_eq!(one.packets, other.packets);
    assert!(!one.events.is_empty());
}

#[test]
fn the_naive_policy_breaks_the_stream() {
    let broken = (0..300).filter_map(|seed| {
        let log = TraceLog::default();
        let report = run_traced(&Scenario::random(seed, InstallPolicy::Naive), &log);
        let violation = report.violation?;
        Some((log.take(), violation))
    });
    let (trace, violation) = broken.min_by_key(|(trace, _)| trace.len()).unwrap();
    println!("{violation}");
    trace.iter().for_each(|line| println!("  {line}"));
    assert!(
        trace.iter().any(|line| line.starts_with("delete")),
        "{trace:?}"
    );
}

/// R-TX-8, V-TX-6, V-RX-5.
#[test]
fn a_refused_key_leaves_the_direction_in_software() {
    for (policy, fallbacks) in [(InstallPolicy::CoverLetter, 1), (InstallPolicy::V17, 1)] {
        let scenario = Scenario {
            policy,
            rekeys: 1,
            device: DeviceSettings {
                // The first two adds are the first keys of the sender's two directions.
                fail_nth_add: Some(3),
                ..DeviceSettings::default()
            },
            ..Scenario::default()
        };
        let report = holds(&scenario);
        let fell_back = report.summary.counter(Counter::TlsTxRekeyFallback)
            + report.summary.counter(Counter::TlsRxRekeyFallback);
        assert!(fell_back >= fallbacks, "{policy}: {:?}", report.summary);
    }
}

/// R-TX-5.
#[test]
fn only_the_last_of_several_pending_keys_reaches_the_device() {
    let scenario = Scenario {
        rekeys: 30,
        messages: 0,
        send_gap: 2,
        read_lag: 1,
        detail: ReportDetail::Events,
        ..Scenario::default()
    };
    let log = TraceLog::default();
    let report = run_traced(&scenario, &log);
    assert_eq!(report.violation, None);
    let added = |line: &&String| line.starts_with("add Tx");
    let installs = log.borrow().iter().filter(added).count();
    // One for the first key of each host and one for the last of thirty, unless the connection ends
    // first.
    let aborted = report.summary.counter(Counter::TlsTxRekeyAborted);
    assert_eq!(installs as i64, 2 + 1 - aborted, "{aborted} aborted");
    assert_eq!(report.summary.counter(Counter::TlsTxRekeyOk), 30 - aborted);
    let keys = |event: &&ktls_sim::RunEvent| matches!(event.kind, EventKind::TxKey { .. });
    assert_eq!(report.events.iter().filter(keys).count(), 30);
}

/// D-3.
#[test]
fn a_finished_connection_leaves_no_key_in_its_devices() {
    for policy in SOUND {
        for seed in 0..200 {
            let log = TraceLog::default();
            let report = run_traced(&Scenario::random(seed, policy), &log);
            assert_eq!(report.violation, None, "{policy}, seed {seed}");
            let lines = log.take();
            let is_slot = |line: &&String| line.ends_with(|last: char| last.is_ascii_digit());
            let added = lines
                .iter()
                .filter(|line| line.starts_with("add "))
                .filter(is_slot);
            let deleted = lines.iter().filter(|line| line.starts_with("delete "));
            assert_eq!(added.count(), deleted.count(), "{policy}, seed {seed}");
        }
    }
}
