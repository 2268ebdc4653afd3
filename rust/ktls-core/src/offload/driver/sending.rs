//! The sending direction: what seals the records, and when the device gets the next key.

use crate::key::TrafficKey;
use crate::offload::driver::{KeySlots, OffloadDriver, OffloadMachine};
use crate::offload::tx::{StreamPosition, TxOffloadEvent, TxPhase};
use crate::socket::JobSealer;

/// A sending socket with its device, as the driver needs it.
///
/// The stream stays locked during a call of the driver, so that no other thread makes records.
pub trait SendingStream: KeySlots {
    /// The error of a record that could not be sealed.
    type Fault;

    /// Returns the plaintext bytes of the open record; 0 if there is none.
    fn open_len(&self) -> usize;

    /// Checks that there is room for one more record.
    ///
    /// # Errors
    /// Returns the fault of a call that would have to wait.
    fn check_room(&self) -> Result<(), Self::Fault>;

    /// Seals the open record, if there is one, and pushes it.
    ///
    /// # Errors
    /// Returns the fault if it could not be sealed. It stays open then.
    fn close_open(&mut self) -> Result<(), Self::Fault>;

    /// Puts a key in use for the next record.
    fn install(&mut self, key: TrafficKey);

    /// Returns the offset behind the last record in the stream.
    fn write_offset(&self) -> u64;

    /// Returns the offset up to which the peer has acknowledged the stream.
    fn acknowledged(&self) -> u64;

    /// Sets what seals the next records: the device, which is called the worker here, or the
    /// caller.
    fn seal_by(&mut self, sealer: JobSealer);
}

/// The sending direction.
impl<M, S> OffloadDriver<M, S>
where
    M: OffloadMachine<Phase = TxPhase, Event = TxOffloadEvent>,
{
    /// Installs the next key: `TLS_TX` of a direction that has one.
    ///
    /// # Errors
    /// Under v17 with an open record, returns a fault if there is no room to flush it (V-TX-2), or
    /// if it could not be sealed. The key is not installed then.
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

    /// Prepares a sendmsg: closes the open record and gives the newest key to the device if
    /// everything under past keys is acknowledged (R-TX-6, R-TX-7).
    ///
    /// # Errors
    /// Returns the fault if the open record could not be sealed. The next sendmsg tries again.
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
