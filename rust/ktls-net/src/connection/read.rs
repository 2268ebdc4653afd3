//! Reading, and sending what the bytes read call for.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ktls_core::session::{SessionEvent, SessionRead};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::Connection;
use super::close::finish_sending;
use super::write::push;
use crate::session::ReadStep;
use crate::wait::{ReadNow, read_now};
use crate::{NetError, ProgressDeadline};

/// The most reads without data in a call before its caller checks the clock and signals.
const READS_PER_CALL: usize = 64;

/// The outcome of reading wire bytes from the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FillOutcome {
    /// Bytes have arrived.
    Filled,
    /// No bytes have arrived yet.
    NotYet,
}

impl Connection {
    /// Reads application data into `out` and returns how many bytes. 0 means that the peer sent
    /// close_notify, or that `out` is empty.
    ///
    /// # Errors
    /// - The error of the peer, which was sent the alert; [`ktls_core::Error::Truncated`] if the
    ///   stream ends without close_notify.
    /// - The errors of the system and of waiting. [`NetError::Interrupted`] also comes without a
    ///   signal if `limit` checks for signals: call again.
    pub fn read(
        self: &Arc<Self>,
        out: &mut [u8],
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        if out.is_empty() {
            return Ok(0);
        }
        let fd = self.fd.open()?;
        let _ring = self.watchers.ring_later();
        let _turn = self.reader.take(limit.patience())?;
        self.fd.number()?;
        self.push_unsent(&fd);
        let read = self.read_within(&fd, out, limit);
        // A writer that is running sends its bytes itself.
        if !self.writer.is_taken() {
            self.send_rest_later(&fd);
        }
        read
    }

    fn read_within(
        &self,
        fd: &OwnedFd,
        out: &mut [u8],
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        loop {
            match self.read_now(fd, out)? {
                ReadNow::Data(count) => return Ok(count.get()),
                ReadNow::End => return Ok(0),
                ReadNow::NotYet => self.wait_to_read(fd, limit)?,
                ReadNow::Busy => {
                    limit.patience().left()?;
                    return Err(NetError::Interrupted);
                }
            }
        }
    }

    /// Reads application data into `out`, which is not empty, without waiting. The caller has the
    /// reader's turn.
    ///
    /// # Errors
    /// Returns the errors of [`Connection::read`], except those of waiting.
    pub(crate) fn read_now(&self, fd: &OwnedFd, out: &mut [u8]) -> Result<ReadNow, NetError> {
        self.check_alive()?;
        for _ in 0..READS_PER_CALL {
            let ReadStep { read, event } = self.session.read(out);
            let passed_on = event.map_or(Ok(()), |event| self.pass_on(fd, event));
            match read.map_err(|error| self.fail(fd, error))? {
                // The data is returned in any case. If the answer failed, the next call returns
                // that error.
                SessionRead::Data(count) => return Ok(ReadNow::Data(count)),
                SessionRead::EndOfStream => return Ok(ReadNow::End),
                SessionRead::EventFirst => passed_on?,
                SessionRead::NeedMore => {
                    if self.fill(fd, out.len())? == FillOutcome::NotYet {
                        return Ok(ReadNow::NotYet);
                    }
                }
            }
        }
        Ok(ReadNow::Busy)
    }

    /// Reads wire bytes from the socket, without waiting.
    fn fill(&self, fd: &OwnedFd, wanted: usize) -> Result<FillOutcome, NetError> {
        let mut rx = self.session.receiver();
        match read_now(fd.as_fd(), rx.room(wanted)) {
            // After our own close, the bytes and the end belong to the background sender.
            Ok(_) if self.fd.is_closed() => Err(NetError::Io(Errno::BADF)),
            Ok(0) => {
                rx.check_end()?;
                Ok(FillOutcome::NotYet)
            }
            Ok(count) => {
                rx.filled(count);
                Ok(FillOutcome::Filled)
            }
            Err(NetError::Io(Errno::AGAIN)) => Ok(FillOutcome::NotYet),
            Err(error) => Err(error),
        }
    }

    /// Passes an event of the receiving half to the sending half, and sends the answer.
    pub(super) fn pass_on(&self, fd: &OwnedFd, event: SessionEvent) -> Result<(), NetError> {
        self.session
            .act_on(event)
            .map_err(|error| self.fail(fd, error))?;
        self.push_quietly(fd);
        Ok(())
    }

    /// Sends what another call has left unsent, as far as the socket takes it.
    pub(super) fn push_unsent(&self, fd: &OwnedFd) {
        if self.session.has_unsent() {
            self.push_quietly(fd);
        }
    }

    /// Sends what the socket takes. An error only ends sending: data can still be read.
    fn push_quietly(&self, fd: &OwnedFd) {
        let mut tx = self.session.sender();
        if push(fd, &mut tx).is_err() {
            tx.abandon();
        } else if tx.wire().is_empty() && self.session.failure().is_some() {
            // FIN follows behind the alert.
            finish_sending(fd);
        }
    }

    /// Waits for bytes to read, and sends meanwhile what is unsent.
    fn wait_to_read(&self, fd: &OwnedFd, limit: &mut ProgressDeadline) -> Result<(), NetError> {
        let mut events = PollFlags::IN;
        if self.session.has_unsent() {
            events |= PollFlags::OUT;
        }
        let seen = limit.wait(limit.patience(), |patience| self.wait(fd, events, patience))?;
        if seen.contains(PollFlags::OUT) {
            self.push_quietly(fd);
        }
        Ok(())
    }
}
