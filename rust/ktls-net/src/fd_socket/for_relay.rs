//! A socket in the hands of a relay, which has both turns: calls that never wait.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;

use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{PartialRecord, ReceiveBuffers, ReceiveCall, ReceiveStep, SendBuffers};
use ktls_core::{Direction, FifoPool};
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::FdSocket;
use super::recv::FdSocketRx;
use super::tx_side::seal_at_once;
use crate::descriptor::{HasTurns, IoTurn, OpenFd};
use crate::error::UnfitForRelay;
use crate::mutex::lock;
use crate::wait::{FlushOutcome, ReadNow, WriteNow};
use crate::{NetError, Wait};

/// Reads from TCP without data among them before the caller gets to look up.
const READS_PER_TURN: usize = 4;

impl FdSocket {
    /// The descriptor, for as long as it is used.
    ///
    /// # Errors
    /// EBADF once closed; EBUSY when another process of a fork uses it.
    pub(crate) fn open(&self) -> Result<OpenFd, NetError> {
        self.fd.open()
    }

    /// Whether a relay can pump it.
    ///
    /// # Errors
    /// [`UnfitForRelay`]; EKEYEXPIRED when a KeyUpdate was received and the next key is not installed.
    pub(crate) fn check_fit(&self) -> Result<(), NetError> {
        if self.ring.get().is_some() {
            return Err(UnfitForRelay::Device.into());
        }
        if !self.tx.is_keyed() {
            return Err(UnfitForRelay::NoKey(Direction::Tx).into());
        }
        let mut side = lock(&self.rx);
        let rx = side
            .keyed_now()
            .ok_or(UnfitForRelay::NoKey(Direction::Rx))?;
        if rx.paused() && !rx.has_opened() {
            return Err(ktls_core::Error::KeyExpired.into());
        }
        side.check_not_stopped()
    }

    /// Takes memory from `pool` for what will be sent and received.
    pub(crate) fn borrow_memory(&self, pool: &mut FifoPool) {
        self.tx.state().socket.borrow_memory(pool);
        let mut side = lock(&self.rx);
        if let Some(rx) = side.keyed_now() {
            rx.borrow_memory(pool);
        }
    }

    /// Gives memory that holds nothing back to `pool`.
    pub(crate) fn return_memory(&self, pool: &mut FifoPool) {
        self.tx.state().socket.return_memory(pool);
        let mut side = lock(&self.rx);
        if let Some(rx) = side.keyed_now() {
            rx.return_memory(pool);
        }
    }

    /// Whole data records into `out`, whose last byte is for the type behind the last one.
    /// Records that were opened are counted in `records`.
    ///
    /// # Errors
    /// As [`FdSocket::recv`] without room for control messages: a control record stays, and is EIO.
    pub(crate) fn read_now(
        &self,
        fd: &OwnedFd,
        out: &mut [u8],
        records: &mut u64,
    ) -> Result<ReadNow, NetError> {
        let _ring = self.watchers.ring_later();
        let mut side = lock(&self.rx);
        let before = side.keyed()?.seq();
        let read = self.read_records(fd, &mut side, out);
        *records += side.keyed()?.seq().wrapping_sub(before);
        read
    }

    fn read_records(
        &self,
        fd: &OwnedFd,
        side: &mut FdSocketRx,
        out: &mut [u8],
    ) -> Result<ReadNow, NetError> {
        let room = out.len().saturating_sub(1);
        for _ in 0..READS_PER_TURN {
            let call = ReceiveCall::new(RecvFlags::default(), ControlRoom::None, room, 1);
            let mut call = call.whole_records();
            let slices: &mut [&mut [u8]] = &mut [&mut *out];
            let mut target = ReceiveBuffers::fresh(slices, room);
            let mut step = side.keyed()?.start(&mut call, &mut target, &self.shared)?;
            if step == ReceiveStep::NeedBytes && !call.copied() {
                let pulled = side.pull(fd, &self.shared);
                step = self.after_pull(side.keyed()?, pulled, &mut call, &mut target)?;
            }
            let received = call.received();
            if let Some(count) = NonZeroUsize::new(received.len) {
                return Ok(ReadNow::Data(count));
            }
            match (step, received.record_type) {
                (ReceiveStep::Wait, _) => {
                    return side.check_not_stopped().map(|()| ReadNow::NotYet);
                }
                (ReceiveStep::Done, None) => return self.check_read_end(),
                // Behind empty records a control record ends a call as well: the next one tells.
                (ReceiveStep::Done | ReceiveStep::NeedBytes, _) => {}
            }
        }
        Ok(ReadNow::Busy)
    }

    /// Our own close ends a read as well: that is not the peer's doing.
    fn check_read_end(&self) -> Result<ReadNow, NetError> {
        self.fd.number().map(|_| ReadNow::End)
    }

    /// Seals some of `data` once TCP has all that was sealed before. Records that were sealed are counted in
    /// `records`.
    ///
    /// # Errors
    /// As [`FdSocket::send`]; EPIPE after `shutdown(WR)`.
    pub(crate) fn write_now(
        &self,
        fd: &OwnedFd,
        data: &[u8],
        records: &mut u64,
    ) -> Result<WriteNow, NetError> {
        let _ring = self.watchers.ring_later();
        let flush = self.tx.write(fd, false)?;
        if flush == FlushOutcome::Full || data.is_empty() {
            return Ok(WriteNow { taken: 0, flush });
        }
        if self.tx.is_dead() {
            self.fd.number()?;
            return Err(NetError::Io(Errno::PIPE));
        }
        let taken = self.seal_now(data, records)?;
        let flush = self.tx.write(fd, false)?;
        Ok(WriteNow { taken, flush })
    }

    fn seal_now(&self, data: &[u8], records: &mut u64) -> Result<usize, NetError> {
        let slices = [data];
        let mut source = SendBuffers::new(&slices);
        let tx = &mut self.tx.state().socket;
        let before = tx.seq();
        let limit = seal_at_once(Wait::Never);
        let sealed = tx.send(&mut source, None, PartialRecord::Seal, limit, &self.shared);
        *records += tx.seq().wrapping_sub(before);
        sealed?;
        Ok(source.taken())
    }

    /// True while TCP has not taken all that is sealed.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.tx.state().socket.wire().is_empty()
    }

    /// FIN behind all that was sent, an open record included. That the connection is gone already shows
    /// elsewhere.
    pub(crate) fn finish_sending(&self, fd: &OpenFd) {
        let _ring = self.watchers.ring_later();
        let _gone = self.tx.state().socket.close_open(&self.shared);
        let _gone = self.tx.shutdown(fd.shared(), Shutdown::Write);
    }
}

impl HasTurns for FdSocket {
    fn reader(&self) -> &IoTurn {
        &self.reader
    }

    fn writer(&self) -> &IoTurn {
        &self.writer
    }
}

impl FdSocketRx {
    /// Behind a bad header TCP shows bytes that nobody will take.
    fn check_not_stopped(&mut self) -> Result<(), NetError> {
        if self.keyed()?.stopped() {
            return Err(UnfitForRelay::BadHeader.into());
        }
        Ok(())
    }
}
