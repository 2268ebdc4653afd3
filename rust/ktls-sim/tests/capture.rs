//! The capture file and key log for Wireshark.

use ktls_sim::pcap::capture;
use ktls_sim::{LinkSettings, ReportDetail, Scenario, SendingSides, run};

fn scenario() -> Scenario {
    Scenario {
        seed: 7,
        senders: SendingSides::Both,
        rekeys: 3,
        detail: ReportDetail::Events,
        link: LinkSettings {
            loss: 0.02,
            ..LinkSettings::default()
        },
        ..Scenario::default()
    }
}

/// Returns the frames of a capture file.
fn frames(pcap: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut frames) = (&pcap[24..], Vec::new());
    while !rest.is_empty() {
        let len = u32::from_le_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
        frames.push(&rest[16..16 + len]);
        rest = &rest[16 + len..];
    }
    frames
}

/// Returns `true` if the checksum is right: the sum over a header that holds its own checksum is
/// all ones (RFC 1071).
fn sums_up(parts: &[&[u8]]) -> bool {
    let bytes: Vec<u8> = parts.concat();
    let sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    sum.is_multiple_of(0xffff)
}

#[test]
fn every_packet_is_one_frame_with_correct_checksums() {
    let report = run(&scenario());
    let capture = capture(&scenario(), &report.packets);
    let frames = frames(&capture.pcap);
    assert_eq!(frames.len(), report.packets.len() + 7);
    for frame in &frames {
        let (ip, tcp) = (&frame[14..34], &frame[34..]);
        assert!(sums_up(&[ip]));
        let [high, low] = (tcp.len() as u16).to_be_bytes();
        assert!(sums_up(&[&ip[12..20], &[0, 6, high, low], tcp]));
    }
    for (frame, packet) in frames[7..].iter().zip(&report.packets) {
        assert_eq!(frame[54..], packet.bytes);
    }
}

#[test]
fn the_key_log_has_the_secrets_of_both_directions() {
    let capture = capture(&scenario(), &[]);
    let labels: Vec<_> = capture
        .keylog
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(
        labels,
        [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
        ]
    );
    assert_eq!(
        ktls_sim::secrets(&scenario()).map(|s| s.generation()),
        [0, 0]
    );
}
