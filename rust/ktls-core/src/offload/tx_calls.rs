//! The calls of a sending socket that a device takes part in.
//!
//! One send serves both paths (R-API-2): records are framed for the device or sealed, as the phase says,
//! and the socket's operations never change (R-TX-2).

use crate::key::TrafficKey;
use crate::offload::device::{DeviceConnection, NetdevState, OffloadDevice};
use crate::offload::policy::InstallPolicy;
use crate::offload::tx::{StreamPosition, TxOffloadEvent, TxPhase};
use crate::offload::tx_offload::{SealPath, StreamSegment, TransmitOutcome, TxOffload, TxTally};
use crate::socket::{CallFault, SocketShared, SocketTx};
use crate::stats::Stats;

/// The sending direction over a device.
impl SocketTx {
    /// Tries to hand the first key, just installed, to a device; without one, or refused, it stays in
    /// software (D-2, D-6).
    pub fn start_offload(
        &mut self,
        policy: InstallPolicy,
        connection: DeviceConnection,
        device: &mut dyn OffloadDevice,
        stats: &Stats,
    ) {
        let Some((key, seq)) = self.key_and_seq() else {
            return;
        };
        let mut offload = TxOffload::new(policy, connection);
        if offload.give_key(key, seq, device) == TxOffloadEvent::Installed {
            offload.phase = TxPhase::Offloaded;
        }
        offload.start(stats);
        self.offload = Some(offload);
    }

    /// `TLS_TX` with the next key of a direction that may be the device's (R-API-1).
    ///
    /// # Errors
    /// EAGAIN by V17, when a record is open and TCP has no `room` to flush it (V-TX-2): nothing
    /// changed then. What sealing that record says.
    pub fn rekey(
        &mut self,
        key: TrafficKey,
        room: usize,
        device: &mut dyn OffloadDevice,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        let flush = self
            .offload
            .as_ref()
            .is_some_and(|offload| offload.policy.flushes_open_record());
        if flush && self.open_len() > 0 {
            if room == 0 {
                return Err(CallFault::System(crate::Errno::Again.code()));
            }
            self.close_open(shared)?;
        }
        self.install(key);
        let open = self.open_len();
        let Some(offload) = &mut self.offload else {
            return Ok(());
        };
        let line = StreamPosition {
            write: offload.write,
            acked: offload.acked,
            open,
        };
        if offload.on(TxOffloadEvent::Key(line), &shared.stats) {
            self.give_newest_key(device, &shared.stats);
        }
        Ok(())
    }

    /// Before a sendmsg: where past keys are acknowledged, the open record is closed and the newest key
    /// goes to the device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// What closing the record says; the next sendmsg tries again.
    pub fn begin_send(
        &mut self,
        device: &mut dyn OffloadDevice,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        if self.phase() == TxPhase::Ready {
            self.close_open(shared)?;
        }
        let Some(offload) = &mut self.offload else {
            return Ok(());
        };
        if offload.on(TxOffloadEvent::Send, &shared.stats) {
            self.give_newest_key(device, &shared.stats);
        }
        Ok(())
    }

    /// After a sendmsg: tells the device the place that it asked for (D-11).
    pub fn end_send(&mut self, device: &mut dyn OffloadDevice) {
        let Some(offload) = &mut self.offload else {
            return;
        };
        if let (Some(slot), Some((offset, seq))) = (offload.slot, offload.resync_at.take())
            && device.resync(slot, offset, seq).is_err()
        {
            // The flag is cleared on success only.
            offload.resync_wanted = true;
        }
    }

    /// The peer has acknowledged everything below `acked` (D-7, R-TX-6).
    pub fn acked(&mut self, acked: u64, stats: &Stats) {
        if let Some(offload) = &mut self.offload {
            offload.acked = acked;
            offload.list.trim(acked);
            offload.on(TxOffloadEvent::Acked(acked), stats);
        }
    }

    /// A segment leaves: by the device, by the fallback, or as it is (D-10).
    pub fn transmit(
        &mut self,
        segment: StreamSegment,
        device: &mut dyn OffloadDevice,
    ) -> TransmitOutcome {
        if segment.path == SealPath::Sealed {
            return TransmitOutcome::Pass(segment.bytes);
        }
        let (Some(offload), Some(keyed)) = (&mut self.offload, &self.keyed) else {
            return TransmitOutcome::Dropped;
        };
        if segment.offset + (segment.bytes.len() as u64) <= offload.list.start() {
            offload.tally.dropped_segments += 1;
            return TransmitOutcome::Dropped;
        }
        let Some(segment) = offload.segment_to_device(segment, device) else {
            return TransmitOutcome::Queued;
        };
        let asked = offload.slot.and_then(|slot| device.request(slot));
        offload.resync_wanted |= asked.is_some();
        offload.fall_back(&segment, keyed.key())
    }

    /// Who seals the byte at `offset`, and up to where the answer holds.
    #[must_use]
    pub fn path(&self, offset: u64) -> (SealPath, u64) {
        let Some(offload) = &self.offload else {
            return (SealPath::Sealed, u64::MAX);
        };
        let (start, end) = (offload.list.start(), offload.list_end.unwrap_or(u64::MAX));
        if offset < start.min(end) {
            (SealPath::Sealed, start.min(end))
        } else if offset < end {
            (SealPath::Device, end)
        } else {
            (SealPath::Sealed, u64::MAX)
        }
    }

    /// The interface went down: the device's key is gone, the fallback does its work (D-5).
    pub fn netdev_changed(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(offload) = &mut self.offload
            && device.netdev() == NetdevState::Down
            && let Some(slot) = offload.slot.take()
        {
            // It may be gone already.
            let _ = device.dev_del(slot);
        }
    }

    /// The connection is closed: what is unacknowledged still leaves (V-TX-8).
    pub fn close_offload(&mut self, stats: &Stats) {
        if let Some(offload) = &mut self.offload {
            offload.on(TxOffloadEvent::Close, stats);
        }
    }

    /// Nothing is unacknowledged any more: the device forgets the connection.
    pub fn release_device(&mut self, device: &mut dyn OffloadDevice) {
        if let Some(slot) = self
            .offload
            .as_mut()
            .and_then(|offload| offload.slot.take())
        {
            // It may be gone already.
            let _ = device.dev_del(slot);
        }
    }

    /// Where the direction stands.
    #[must_use]
    pub fn phase(&self) -> TxPhase {
        self.offload
            .as_ref()
            .map_or(TxPhase::Software, |offload| offload.phase)
    }

    /// How much was done where.
    #[must_use]
    pub fn tally(&self) -> TxTally {
        self.offload
            .as_ref()
            .map_or_else(TxTally::default, |offload| offload.tally)
    }

    /// The stream offset behind the last record.
    #[must_use]
    pub fn write_offset(&self) -> u64 {
        self.offload.as_ref().map_or(0, |offload| offload.write)
    }

    fn give_newest_key(&mut self, device: &mut dyn OffloadDevice, stats: &Stats) {
        let (Some(offload), Some(keyed)) = (&mut self.offload, &self.keyed) else {
            return;
        };
        let verdict = offload.give_key(keyed.key(), keyed.seq(), device);
        offload.past = None;
        offload.on(verdict, stats);
    }

    fn key_and_seq(&self) -> Option<(&TrafficKey, u64)> {
        self.keyed.as_ref().map(|keyed| (keyed.key(), keyed.seq()))
    }
}
