//! The calls of a relay, which holds both turns of the socket. These calls never wait.

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

/// The most reads from TCP without data before a call returns [`ReadNow::Busy`].
const READS_PER_TURN: usize = 4;

impl FdSocket {
    /// Returns the descriptor. It stays open while the returned value exists.
    ///
    /// # Errors
    /// EBADF if the socket is closed; EBUSY if another process of a fork uses it.
    pub(crate) fn open(&self) -> Result<OpenFd, NetError> {
        self.fd.open()
    }

    /// Checks that a relay can pump the socket.
    ///
    /// # Errors
    /// [`UnfitForRelay`]; EKEYEXPIRED if a KeyUpdate was received and the next key is not
    /// installed.
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
        if rx.is_paused() && !rx.has_opened() {
            return Err(ktls_core::Error::KeyExpired.into());
        }
        side.check_not_stopped()
    }

    /// Takes memory from `pool` for the records that will be sent and received.
    pub(crate) fn borrow_memory(&self, pool: &mut FifoPool) {
        self.tx.state().socket.borrow_memory(pool);
        let mut side = lock(&self.rx);
        if let Some(rx) = side.keyed_now() {
            rx.borrow_memory(pool);
        }
    }

    /// Returns memory that holds nothing to `pool`.
    pub(crate) fn return_memory(&self, pool: &mut FifoPool) {
        self.tx.state().socket.return_memory(pool);
        let mut side = lock(&self.rx);
        if let Some(rx) = side.keyed_now() {
            rx.return_memory(pool);
        }
    }

    /// Opens whole data records into `out`, whose last byte is for the content type behind the last
    /// record. Adds the number of opened records to `records`.
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::recv`] without room for control messages: EIO at a control
    /// record, which stays.
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
            if step == ReceiveStep::NeedBytes && !call.has_copied() {
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
                // Behind empty records, a control record also ends the call. The next call returns
                // the error.
                (ReceiveStep::Done | ReceiveStep::NeedBytes, _) => {}
            }
        }
        Ok(ReadNow::Busy)
    }

    /// Returns the end of the stream, if it comes from the peer.
    ///
    /// # Errors
    /// EBADF if the socket was closed meanwhile, which also ends a read.
    fn check_read_end(&self) -> Result<ReadNow, NetError> {
        self.fd.number().map(|_| ReadNow::End)
    }

    /// Seals some of `data`, if TCP has accepted everything that was sealed before. Adds the number
    /// of sealed records to `records`.
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::send`], and EPIPE after `shutdown(WR)`.
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

    /// Seals records of `data`. Returns how many bytes they take.
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

    /// Returns `true` while sealed bytes wait for TCP.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.tx.state().socket.wire().is_empty()
    }

    /// Sends FIN behind all that was sent, including an open record. Errors are ignored: if the
    /// connection is gone, a read returns that.
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
    /// Checks that no bad record header was read. Behind one, TCP stays readable with bytes that
    /// are never read.
    ///
    /// # Errors
    /// [`UnfitForRelay::BadHeader`]
    fn check_not_stopped(&mut self) -> Result<(), NetError> {
        if self.keyed()?.is_stopped() {
            return Err(UnfitForRelay::BadHeader.into());
        }
        Ok(())
    }
}
