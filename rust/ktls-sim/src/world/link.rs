//! The link: it loses, delays and duplicates packets.

use super::{ScheduledEvent, World};
use crate::report::{EventKind, SealedBy, SentSegment, WirePacket};
use crate::scenario::ReportDetail;

impl World<'_> {
    /// Sends a segment of a host: checks its bytes and puts them on the link in packets.
    pub(super) fn put_on_wire(
        &mut self,
        from: usize,
        sent: SentSegment,
        bytes: &[u8],
        by: SealedBy,
    ) {
        let host = &mut self.hosts[from];
        let keys = &mut host.keys;
        let checked = host.oracle.check_wire(
            sent.offset,
            bytes,
            |generation| keys.info(generation),
            super::key::expand,
        );
        if let Err((offset, broken)) = checked {
            self.violate(from, offset, broken);
        }
        let kind = EventKind::Segment {
            offset: sent.offset,
            len: bytes.len(),
            generation: self.hosts[from].generation(sent.offset),
            by,
            retransmission: sent.retransmission,
        };
        self.note(from, kind);
        let mut offset = sent.offset;
        for packet in bytes.chunks(self.scenario.link.mss) {
            self.send_packet(from, offset, packet);
            offset += packet.len() as u64;
        }
    }

    /// Sends an acknowledgement of everything that has arrived in order.
    pub(super) fn send_ack(&mut self, from: usize) {
        let acked = self.hosts[from].receiver.arrived().in_order;
        self.capture(from, 0, &[]);
        if !self.happens(self.scenario.link.loss) {
            let delay = self.delay();
            self.schedule_after(
                delay,
                ScheduledEvent::Ack {
                    to: 1 - from,
                    acked,
                },
            );
        }
    }

    fn send_packet(&mut self, from: usize, offset: u64, bytes: &[u8]) {
        self.capture(from, offset, bytes);
        let copies = 1 + usize::from(self.happens(self.scenario.link.duplicate));
        for _ in 0..copies {
            if self.happens(self.scenario.link.loss) {
                self.summary.lost += 1;
                let len = bytes.len();
                self.note(from, EventKind::Lost { offset, len });
                continue;
            }
            let delay = self.delay();
            let entry = ScheduledEvent::Packet {
                to: 1 - from,
                offset,
                bytes: bytes.to_vec(),
            };
            self.schedule_after(delay, entry);
        }
    }

    fn delay(&mut self) -> u64 {
        let delay = self.scenario.link.delay;
        if self.happens(self.scenario.link.reorder) {
            return delay + self.rng.u64(1..=delay.max(1) * 2);
        }
        delay
    }

    fn capture(&mut self, from: usize, offset: u64, bytes: &[u8]) {
        self.bytes_on_wire += bytes.len();
        if self.scenario.detail == ReportDetail::Events {
            let offset = if bytes.is_empty() {
                self.hosts[from].sender.end()
            } else {
                offset
            };
            self.packets.push(WirePacket {
                time: self.now,
                from,
                offset,
                bytes: bytes.to_vec(),
                acked: self.hosts[from].receiver.arrived().in_order,
            });
        }
    }

    pub(super) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }
}
