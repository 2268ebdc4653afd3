//! Packet captures for Wireshark, with a key log to decrypt them.
//!
//! Wireshark cannot decrypt a TLS 1.3 stream without its handshake, so the capture begins with one.
//! It is as small as Wireshark accepts, and sealed under handshake secrets of its own, which are in
//! the key log too.

mod frame;
mod handshake;

use frame::{EthernetFrame, FrameFlags};
use handshake::HandshakeFlights;

use crate::report::WirePacket;
use crate::scenario::Scenario;

/// A capture file and its `SSLKEYLOGFILE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WireCapture {
    /// The file, in the format of libpcap.
    pub pcap: Vec<u8>,
    /// The contents of the key log.
    pub keylog: String,
}

/// Returns a capture of `packets`, which must come from a run of `scenario` with
/// [`ReportDetail::Events`](crate::ReportDetail::Events).
#[must_use]
pub fn capture(scenario: &Scenario, packets: &[WirePacket]) -> WireCapture {
    let handshake = HandshakeFlights::new(scenario);
    let mut writer = PcapWriter {
        pcap: file_header(),
        lens: handshake.lens(),
    };
    writer.open(&handshake);
    for packet in packets {
        writer.packet(packet);
    }
    WireCapture {
        pcap: writer.pcap,
        keylog: handshake.keylog(scenario),
    }
}

struct PcapWriter {
    pcap: Vec<u8>,
    /// Length of the handshake before each host's stream, in bytes.
    lens: [u64; 2],
}

impl PcapWriter {
    /// Writes the TCP connection setup and the handshake, one packet for each flight.
    fn open(&mut self, handshake: &HandshakeFlights) {
        let [hello, finished] = &handshake.client;
        let [client, server] = self.lens;
        let (first, data) = (hello.len() as u64, FrameFlags::Data);
        for (time, from, flags, offset, acked, bytes) in [
            (0, 0, FrameFlags::Syn, 0, 0, &[][..]),
            (1, 1, FrameFlags::SynAck, 0, 0, &[]),
            (2, 0, FrameFlags::Ack, 0, 0, &[]),
            (3, 0, data, 0, 0, hello),
            (4, 1, data, 0, first, &handshake.server),
            (5, 0, data, first, server, finished),
            (6, 1, FrameFlags::Ack, server, client, &[]),
        ] {
            self.frame(time, &EthernetFrame::new(from, flags, offset, acked, bytes));
        }
    }

    fn packet(&mut self, packet: &WirePacket) {
        let flags = if packet.bytes.is_empty() {
            FrameFlags::Ack
        } else {
            FrameFlags::Data
        };
        let offset = self.lens[packet.from] + packet.offset;
        let acked = self.lens[1 - packet.from] + packet.acked;
        let frame = EthernetFrame::new(packet.from, flags, offset, acked, &packet.bytes);
        self.frame(AFTER_HANDSHAKE + packet.time, &frame);
    }

    fn frame(&mut self, time: u64, frame: &EthernetFrame<'_>) {
        let bytes = frame.to_bytes();
        let len = bytes.len() as u32;
        let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
        for word in [seconds as u32, micros as u32, len, len] {
            self.pcap.extend_from_slice(&word.to_le_bytes());
        }
        self.pcap.extend_from_slice(&bytes);
    }
}

/// Returns the header of a little-endian file, version 2.4, with microseconds and Ethernet frames.
fn file_header() -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header.extend_from_slice(&[2, 0, 4, 0]);
    for word in [0_u32, 0, 0x0004_0000, 1] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header
}

/// Microseconds that the handshake takes.
const AFTER_HANDSHAKE: u64 = 10;
