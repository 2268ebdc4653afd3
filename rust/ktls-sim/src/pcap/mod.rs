//! The wire as Wireshark sees it, with a key log so that it decrypts.
//!
//! A TLS 1.3 stream cannot be decrypted without its handshake, so the capture begins with one: as small as
//! Wireshark accepts, and sealed under handshake secrets of its own, which the key log holds as well.

mod frame;
mod handshake;

use frame::{EthernetFrame, FrameFlags};
use handshake::HandshakeFlights;

use crate::report::WirePacket;
use crate::scenario::Scenario;

/// A capture file and the `SSLKEYLOGFILE` for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WireCapture {
    /// The file, in the format of libpcap.
    pub pcap: Vec<u8>,
    /// The key log.
    pub keylog: String,
}

/// Captures the packets of a report, which must be of this scenario and with events.
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
    /// Bytes of handshake in front of each host's stream.
    lens: [u64; 2],
}

impl PcapWriter {
    /// The connection and the handshake, one packet a flight.
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

/// Little endian, microseconds, version 2.4, Ethernet.
fn file_header() -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header.extend_from_slice(&[2, 0, 4, 0]);
    for word in [0_u32, 0, 0x0004_0000, 1] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header
}

/// The handshake takes these microseconds.
const AFTER_HANDSHAKE: u64 = 10;
