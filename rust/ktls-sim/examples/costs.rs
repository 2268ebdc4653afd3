//! Measures what a key update costs under each policy: `cargo run --release -p ktls-sim --example
//! costs`.
//!
//! Prints the table of `docs/offload.md`, with means over many seeds.

use ktls_core::offload::InstallPolicy;
use ktls_core::stats::Counter;
use ktls_sim::{LinkSettings, RunSummary, Scenario, run};

fn main() {
    println!("| link, reader | policy | {COLUMNS} |");
    println!("|---|---|{}", "--:|".repeat(COLUMNS.split('|').count()));
    for (name, loss, reorder, read_lag) in [
        ("clean, quick", 0.0, 0.0, 10),
        ("clean, slow", 0.0, 0.0, 300),
        ("2 % loss, quick", 0.02, 0.02, 10),
        ("2 % loss, slow", 0.02, 0.02, 300),
        ("10 % loss, slow", 0.1, 0.1, 300),
    ] {
        for policy in [InstallPolicy::CoverLetter, InstallPolicy::V17] {
            let link = LinkSettings {
                loss,
                reorder,
                ..LinkSettings::default()
            };
            row(name, policy, &link, read_lag);
        }
    }
}

fn row(name: &str, policy: InstallPolicy, link: &LinkSettings, read_lag: u64) {
    let runs: Vec<RunSummary> = (0..RUNS)
        .map(|seed| {
            let scenario = Scenario {
                seed,
                policy,
                rekeys: REKEYS,
                messages: 100,
                message_len: 4000,
                more: 0.0,
                read_lag,
                link: link.clone(),
                ..Scenario::default()
            };
            let report = run(&scenario);
            assert_eq!(report.violation, None);
            report.summary
        })
        .collect();
    let per_rekey = |of: fn(&RunSummary) -> u64| -> f64 {
        let sum: u64 = runs.iter().map(of).sum();
        sum as f64 / f64::from(REKEYS) / RUNS as f64
    };
    println!(
        "| {name} | {policy} | {:.1} | {:.0} | {:.1} | {:.0} | {:.0} | {:.1} | {:.2} |",
        per_rekey(|s| s.tx[0].software_records),
        per_rekey(|s| s.tx_without_device[0]),
        per_rekey(|s| s.rx[1].software_records),
        per_rekey(|s| s.rx_without_device[1]),
        per_rekey(|s| s.rx[1].regained_bytes),
        per_rekey(|s| s.counter(Counter::TlsRxDeviceResync).unsigned_abs()),
        per_rekey(|s| s.counter(Counter::TlsRxRekeyAborted).unsigned_abs()) * f64::from(REKEYS),
    );
}

const COLUMNS: &str = "sent in software | sender without device, us | opened in software | \
                       receiver without key in device, us | encrypted again, bytes | resyncs | \
                       aborted per connection";
const RUNS: u64 = 50;
const REKEYS: u32 = 10;
