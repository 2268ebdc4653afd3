//! Writes a run as a capture with its key log: `cargo run -p ktls-sim --example capture -- out.pcap
//! out.keys`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use ktls_sim::pcap::capture;
use ktls_sim::{LinkSettings, ReportDetail, Scenario, SendingSides, run};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(pcap), Some(keys)) = (args.next(), args.next()) else {
        eprintln!("usage: capture PCAP KEYLOG");
        return Ok(());
    };
    let scenario = Scenario {
        seed: 7,
        senders: SendingSides::Both,
        rekeys: 5,
        detail: ReportDetail::Events,
        link: LinkSettings {
            loss: 0.01,
            ..LinkSettings::default()
        },
        ..Scenario::default()
    };
    let report = run(&scenario);
    let capture = capture(&scenario, &report.packets);
    std::fs::write(pcap, capture.pcap)?;
    // Only the owner may read the keys, even those of a simulated connection.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(keys)?;
    file.write_all(capture.keylog.as_bytes())
}
