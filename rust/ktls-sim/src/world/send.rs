//! The writing program, its socket, and TCP's sending side.

use ktls_core::offload::InstallPolicy;
use ktls_core::rekey::Reply;
use ktls_core::socket::{CallFault, PartialRecord, SendBuffers};

use super::key::expand;
use super::{ScheduledEvent, World};
use crate::device_socket::{StreamSegment, TransmitOutcome};
use crate::oracle::BrokenInvariant;
use crate::report::{EventKind, SealedBy, SentSegment};
use crate::scenario::AckNotice;
use crate::tcp::{AckEffect, CutSegment};

/// Whether the writing program has more to do after a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum WriterTurn {
    /// The program has more to do.
    More,
    /// The program has done everything.
    Last,
}

impl World<'_> {
    /// Lets the program send a message or a KeyUpdate, or install the key that follows a KeyUpdate.
    pub(super) fn write(&mut self, index: usize) {
        if self.hosts[index].closed {
            return;
        }
        if self.has_room(index) {
            let done = self.write_next(index);
            if let Err(fault) = done {
                let errno = fault.code();
                return self.violate(index, 0, BrokenInvariant::SendFailed { errno });
            }
            if done == Ok(WriterTurn::Last) {
                return;
            }
        }
        let gap = self.rng.u64(1..=self.scenario.send_gap);
        self.schedule_after(gap, ScheduledEvent::Write(index));
    }

    /// Does the next call of the writing program.
    fn write_next(&mut self, index: usize) -> Result<WriterTurn, CallFault> {
        let writer = &mut self.hosts[index].writer;
        if writer.owes_key {
            return self.install_write_key(index);
        }
        if writer.messages > 0 {
            writer.messages -= 1;
            self.send_message(index)?;
            return Ok(WriterTurn::More);
        }
        if writer.rekeys == self.scenario.rekeys {
            // The last record may still be open; another type closes it.
            self.send(index, &[0], Some(21), PartialRecord::Seal)?;
            return Ok(WriterTurn::Last);
        }
        writer.owes_key = true;
        let message = Reply::NotRequested.message();
        self.send(index, &message, Some(22), PartialRecord::Seal)?;
        if self.scenario.policy != InstallPolicy::V17 && self.happens(self.scenario.more) {
            // Data between KeyUpdate and key stays in the open record and is sealed under the new
            // key (K-24).
            self.send(index, &[7; 9], None, PartialRecord::KeepOpen)?;
        }
        Ok(WriterTurn::More)
    }

    fn send_message(&mut self, index: usize) -> Result<(), CallFault> {
        let len = self.rng.usize(0..=self.scenario.message_len);
        let writer = &mut self.hosts[index].writer;
        writer.counter = writer.counter.wrapping_add(37);
        let from = writer.counter;
        let data: Vec<u8> = (0..len).map(|i| (i as u8) ^ from).collect();
        let more = if self.happens(self.scenario.more) {
            PartialRecord::KeepOpen
        } else {
            PartialRecord::Seal
        };
        self.send(index, &data, None, more)
    }

    fn send(
        &mut self,
        index: usize,
        data: &[u8],
        record_type: Option<u8>,
        more: PartialRecord,
    ) -> Result<(), CallFault> {
        let host = &mut self.hosts[index];
        let slices = [data];
        let mut source = SendBuffers::new(&slices);
        let accepted = host.keys_accepted();
        host.tx.begin_send(&mut *host.device, &host.shared)?;
        self.check_installed(index);
        self.check_open_record(index, accepted);
        let host = &mut self.hosts[index];
        host.oracle.note_sent(record_type.unwrap_or(23), data);
        host.tx
            .socket_mut()
            .send(&mut source, record_type, more, usize::MAX, &host.shared)?;
        host.tx.end_send(&mut *host.device);
        self.pump(index);
        Ok(())
    }

    /// Does `setsockopt(TLS_TX)` with the next key. The call is repeated later if the policy V17
    /// fails it with EAGAIN.
    fn install_write_key(&mut self, index: usize) -> Result<WriterTurn, CallFault> {
        let room = self.room(index) as usize;
        let host = &mut self.hosts[index];
        let generation = host.writer.rekeys + 1;
        let key = expand(host.keys.info(generation));
        let accepted = host.keys_accepted();
        let done = host.tx.rekey(key, room, &mut *host.device, &host.shared);
        if done == Err(CallFault::System(ktls_core::Errno::Again.code())) {
            return Ok(WriterTurn::More);
        }
        done?;
        self.check_open_record(index, accepted);
        let host = &mut self.hosts[index];
        host.writer.owes_key = false;
        host.writer.rekeys = generation;
        host.writer.messages = self.scenario.messages;
        let offset = host.tx.write_offset();
        host.generations.push(offset);
        self.summary.tx_rekeys[index] += 1;
        self.note(index, EventKind::TxKey { offset, generation });
        self.pump(index);
        Ok(WriterTurn::More)
    }

    /// Moves the socket's records to TCP, and sends the segments that TCP's window allows.
    pub(super) fn pump(&mut self, index: usize) {
        self.feed_tcp(index);
        let most = self.scenario.link.mss * self.scenario.link.tso;
        while let Some(cut) = self.hosts[index].sender.next_segment(most) {
            self.transmit(index, cut);
        }
        self.restart_timer(index);
    }

    fn feed_tcp(&mut self, index: usize) {
        let room = self.room(index);
        let host = &mut self.hosts[index];
        let mut left = host.tx.socket().wire().len().min(room as usize);
        while left > 0 {
            let (path, until) = host.tx.path(host.sender.end());
            let len = left.min((until - host.sender.end()) as usize);
            host.sender.append(&host.tx.socket().wire()[..len], path);
            host.tx.socket_mut().wrote(len);
            left -= len;
        }
    }

    /// Sends a segment of TCP, which may wait in the host's queue before it reaches the device.
    fn transmit(&mut self, index: usize, cut: CutSegment) {
        self.summary.segments += 1;
        self.summary.retransmissions += u64::from(cut.sent.retransmission);
        let id = self.summary.segments;
        self.hosts[index].queue.insert(id, cut);
        let link = &self.scenario.link;
        let mut wait = link.queue;
        if wait > 0 && self.happens(link.reorder) {
            wait += self.rng.u64(0..=wait);
        }
        if wait == 0 {
            return self.leave_queue(index, id);
        }
        self.schedule_after(wait, ScheduledEvent::Leave(index, id));
    }

    pub(super) fn leave_queue(&mut self, index: usize, id: u64) {
        let host = &mut self.hosts[index];
        let Some(cut) = host.queue.remove(&id) else {
            return;
        };
        let segment = StreamSegment {
            id,
            offset: cut.sent.offset,
            bytes: cut.bytes,
            path: cut.sent.path,
        };
        match host.tx.transmit(segment, &mut *host.device) {
            TransmitOutcome::Queued => {
                host.in_device.push((id, cut.sent));
                self.plan_tick(index);
            }
            TransmitOutcome::Pass(bytes) => {
                self.put_on_wire(index, cut.sent, &bytes, SealedBy::Software)
            }
            TransmitOutcome::Fallback(bytes) => {
                self.put_on_wire(index, cut.sent, &bytes, SealedBy::Fallback);
            }
            TransmitOutcome::Dropped => {}
        }
    }

    fn plan_tick(&mut self, index: usize) {
        if !std::mem::replace(&mut self.hosts[index].ticking, true) {
            self.schedule_after(self.scenario.device.tick, ScheduledEvent::Tick(index));
        }
    }

    /// Lets the device process queued segments, and sends what it completed.
    pub(super) fn tick(&mut self, index: usize) {
        let mut last = None;
        self.hosts[index].ticking = false;
        self.hosts[index].device.tick(self.scenario.device.budget);
        while let Some(completion) = self.hosts[index].device.complete() {
            let id = completion.descriptor.id;
            last = Some(id);
            let Some(sent) = self.remove_from_device(index, id) else {
                continue;
            };
            if completion.result.is_ok() {
                let bytes = completion.descriptor.bytes;
                self.put_on_wire(index, sent, &bytes, SealedBy::Device);
            }
        }
        self.hosts[index].forget_lost(last, self.scenario.device.depth);
        if !self.hosts[index].in_device.is_empty() {
            self.plan_tick(index);
        }
    }

    fn remove_from_device(&mut self, index: usize, id: u64) -> Option<SentSegment> {
        let waiting = &mut self.hosts[index].in_device;
        let place = waiting.iter().position(|(number, _)| *number == id)?;
        Some(waiting.remove(place).1)
    }

    pub(super) fn ack_arrives(&mut self, index: usize, acked: u64) {
        let host = &mut self.hosts[index];
        let effect = host.sender.acknowledge(acked);
        match self.scenario.acks {
            AckNotice::AtArrival => host.tx.acked(host.sender.acked()),
            AckNotice::AtSend => host.tx.set_acked(host.sender.acked()),
        }
        host.release_if_done();
        let offset = host.sender.acked();
        self.note(index, EventKind::Acked { offset });
        if effect == AckEffect::Resend {
            self.resend_first(index);
        }
        self.pump(index);
    }

    fn resend_first(&mut self, index: usize) {
        let most = self.scenario.link.mss;
        if let Some(cut) = self.hosts[index].sender.first_unacked(most) {
            self.transmit(index, cut);
        }
    }

    pub(super) fn timer_runs_out(&mut self, index: usize, restart: u64) {
        let sender = &mut self.hosts[index].sender;
        if sender.timer == restart && sender.unacked_len() > 0 {
            sender.timed_out();
            self.pump(index);
        }
    }

    /// Schedules one timer for each restart; an acknowledgement or a timeout invalidates the older
    /// timers.
    fn restart_timer(&mut self, index: usize) {
        let sender = &mut self.hosts[index].sender;
        let due = sender.unacked_len() > 0 && sender.timer != sender.armed;
        if due {
            sender.armed = sender.timer;
            let restart = sender.timer;
            let wait = self.timeout() * self.hosts[index].sender.backoff_factor();
            self.schedule_after(wait, ScheduledEvent::Timer(index, restart));
        }
    }

    fn timeout(&self) -> u64 {
        8 * self.scenario.link.delay
            + 2 * self.scenario.link.queue
            + 10 * self.scenario.device.tick
            + 200
    }

    fn has_room(&self, index: usize) -> bool {
        self.room(index) > 0 && self.hosts[index].tx.socket().wire().is_empty()
    }

    fn room(&self, index: usize) -> u64 {
        let unacked = self.hosts[index].sender.unacked_len();
        self.scenario.link.send_buffer.saturating_sub(unacked)
    }
}
