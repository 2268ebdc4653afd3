//! The sending direction: who makes records, and when the key changes hands.

use crate::key::TrafficKey;
use crate::offload::driver::{KeySlots, OffloadDriver, OffloadMachine};
use crate::offload::tx::{StreamPosition, TxOffloadEvent, TxPhase};
use crate::socket::JobSealer;

/// A sending socket with its device, as the driver needs it.
///
/// The stream stays locked during a call of the driver: nobody else makes records.
pub trait SendingStream: KeySlots {
    /// Why a record could not be made.
    type Fault;

    /// Plaintext bytes of the open record; 0 if there is none.
    fn open_len(&self) -> usize;

    /// Checks that there is room for one more record.
    ///
    /// # Errors
    /// The fault of a call that would have to wait.
    fn check_room(&self) -> Result<(), Self::Fault>;

    /// Seals the open record, if there is one, and pushes it.
    ///
    /// # Errors
    /// Why it could not be sealed: it stays open.
    fn close_open(&mut self) -> Result<(), Self::Fault>;

    /// Puts a key in use for the next record.
    fn install(&mut self, key: TrafficKey);

    /// The offset behind the last record.
    fn write_offset(&self) -> u64;

    /// The offset up to which the peer has acknowledged the stream.
    fn acknowledged(&self) -> u64;

    /// Tells who seals the next records: the device, here called the worker, or the caller.
    fn seal_by(&mut self, sealer: JobSealer);
}

/// The sending direction.
impl<M, S> OffloadDriver<M, S>
where
    M: OffloadMachine<Phase = TxPhase, Event = TxOffloadEvent>,
{
    /// `TLS_TX` with the next key.
    ///
    /// # Errors
    /// By V17, when a record is open, that there is no room to flush it (V-TX-2), or why it could not be
    /// sealed. The key was not installed then.
    pub fn rekey<T>(&mut self, key: TrafficKey, stream: &mut T) -> Result<(), T::Fault>
    where
        T: SendingStream<Slot = S>,
    {
        if self.policy().flushes_open_record() && stream.open_len() > 0 {
            stream.check_room()?;
            stream.close_open()?;
        }
        stream.install(key);
        let position = StreamPosition {
            write: stream.write_offset(),
            acked: stream.acknowledged(),
            open: stream.open_len(),
        };
        self.lead(TxOffloadEvent::Key(position), stream);
        Ok(())
    }

    /// Before a sendmsg: if past keys are acknowledged, closes the open record and gives the newest key
    /// to the device (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// Why the open record could not be sealed; the next sendmsg tries again.
    pub fn begin_send<T>(&mut self, stream: &mut T) -> Result<(), T::Fault>
    where
        T: SendingStream<Slot = S>,
    {
        if let TxPhase::Pending { .. } = self.phase {
            self.note(TxOffloadEvent::Acked(stream.acknowledged()));
        }
        if self.phase == TxPhase::Ready {
            stream.close_open()?;
            self.lead(TxOffloadEvent::Send, stream);
        }
        Ok(())
    }

    fn lead(&mut self, event: TxOffloadEvent, stream: &mut impl SendingStream<Slot = S>) {
        self.note(event);
        // The device's records end here, whatever the device says to the next key.
        stream.seal_by(self.sealer());
        self.carry_out(stream);
        stream.seal_by(self.sealer());
    }

    const fn sealer(&self) -> JobSealer {
        if self.phase.on_device() {
            JobSealer::Worker
        } else {
            JobSealer::Caller
        }
    }
}
