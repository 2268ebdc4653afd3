//! Writing, KeyUpdates of our own, and close_notify.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ktls_core::Error as CoreError;
use ktls_core::rekey::Reply;
use ktls_core::session::SessionSender;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::Connection;
use crate::wait::{FlushOutcome, ProgressDeadline, WriteNow, write_before_more, write_now};
use crate::{NetError, Wait};

/// The most plaintext that a call takes at a time if it does not wait until TCP has it.
const AHEAD: usize = 64 << 10;

impl Connection {
    /// Sends `data` and returns how many bytes were taken. They are fewer than all only if the time
    /// to wait was over. Bytes that were taken and are [unsent](Connection::unsent) are sent in the
    /// background.
    ///
    /// # Errors
    /// If nothing was taken: the errors of waiting, those of the system, or the error with which
    /// the connection has failed.
    pub fn write(
        self: &Arc<Self>,
        data: &[u8],
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let fd = self.fd.open()?;
        let _turn = self.writer.take(limit.patience())?;
        self.fd.number()?;
        let written = self.write_within(&fd, data, limit);
        self.send_rest_later(&fd);
        written
    }

    fn write_within(
        &self,
        fd: &OwnedFd,
        data: &[u8],
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let patience = limit.patience();
        // A call that does not wait must not be far ahead of TCP.
        let most = match patience {
            Wait::Never => AHEAD,
            Wait::Until(_) | Wait::Forever => usize::MAX,
        };
        let mut taken = 0;
        loop {
            let rest = &data[taken..];
            let written = match self.write_now(fd, &rest[..rest.len().min(most)]) {
                Err(_) if taken > 0 => return Ok(taken),
                written => written?,
            };
            taken += written.taken;
            let flushed = written.flush == FlushOutcome::All;
            if taken == data.len() && (flushed || patience == Wait::Never) {
                return Ok(taken);
            }
            if !flushed && let Err(error) = self.wait_within(fd, limit) {
                return if taken > 0 { Ok(taken) } else { Err(error) };
            }
        }
    }

    /// Seals some of `data` once TCP has all that was sealed before, and sends it as far as TCP
    /// takes it.
    pub(crate) fn write_now(&self, fd: &OwnedFd, data: &[u8]) -> Result<WriteNow, NetError> {
        self.check_alive()?;
        let mut tx = self.session.sender();
        push(fd, &mut tx)?;
        let flush = FlushOutcome::from_unsent(tx.wire());
        if flush == FlushOutcome::Full || data.is_empty() {
            return Ok(WriteNow { taken: 0, flush });
        }
        let taken = tx.write(data, self.session.now())?;
        let write = if taken < data.len() {
            write_before_more
        } else {
            write_now
        };
        // The bytes are accepted, so an error of the socket is returned by the next call.
        let _shows_again = push_by(write, fd, &mut tx);
        let flush = FlushOutcome::from_unsent(tx.wire());
        Ok(WriteNow { taken, flush })
    }

    /// Sends the sealed bytes, and waits until TCP has all of them.
    ///
    /// # Errors
    /// Returns the errors of the system and of waiting.
    pub fn flush(self: &Arc<Self>, limit: &mut ProgressDeadline) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let flushed = self.flush_within(&fd, limit);
        self.send_rest_later(&fd);
        flushed
    }

    pub(super) fn flush_within(
        &self,
        fd: &OwnedFd,
        limit: &mut ProgressDeadline,
    ) -> Result<(), NetError> {
        loop {
            {
                let mut tx = self.session.sender();
                push(fd, &mut tx)?;
                if tx.wire().is_empty() {
                    return Ok(());
                }
            }
            self.wait_within(fd, limit)?;
        }
    }

    /// Sends a KeyUpdate and puts our next key in use.
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::key_update`], of the system, and of waiting for room.
    pub fn key_update(self: &Arc<Self>, reply: Reply, patience: Wait) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let done = self.with_room(&fd, patience, |tx| tx.key_update(reply, self.session.now()));
        self.send_rest_later(&fd);
        done
    }

    /// Sends close_notify: no more data will be sent.
    ///
    /// # Errors
    /// Returns the errors of the system and of waiting for room.
    pub fn close_notify(self: &Arc<Self>, patience: Wait) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let done = self.with_room(&fd, patience, SessionSender::close_notify);
        self.send_rest_later(&fd);
        done
    }

    /// Calls `seal` and sends the sealed bytes. While there is no room, waits and calls `seal`
    /// again.
    fn with_room(
        &self,
        fd: &OwnedFd,
        patience: Wait,
        mut seal: impl FnMut(&mut SessionSender) -> Result<(), CoreError>,
    ) -> Result<(), NetError> {
        self.check_alive()?;
        loop {
            let sealed = {
                let mut tx = self.session.sender();
                push(fd, &mut tx)?;
                let sealed = seal(&mut tx);
                let _shows_again = push(fd, &mut tx);
                sealed
            };
            match sealed {
                Err(CoreError::NoRoom { .. }) => self.wait(fd, PollFlags::OUT, patience)?,
                done => return Ok(done?),
            };
        }
    }
}

/// Sends as many sealed bytes as the socket takes, and seals and sends the KeyUpdate that the peer
/// may have asked for.
pub(super) fn push(fd: &impl AsFd, tx: &mut SessionSender) -> Result<(), NetError> {
    push_by(write_now, fd, tx)
}

fn push_by(
    write: fn(BorrowedFd<'_>, &[u8]) -> Result<usize, NetError>,
    fd: &impl AsFd,
    tx: &mut SessionSender,
) -> Result<(), NetError> {
    loop {
        while !tx.wire().is_empty() {
            match write(fd.as_fd(), tx.wire()) {
                Ok(count) => tx.wrote(count),
                Err(NetError::Io(Errno::AGAIN)) => return Ok(tx.answer_peer_update()?),
                Err(error) => return Err(error),
            }
        }
        tx.answer_peer_update()?;
        if tx.wire().is_empty() {
            return Ok(());
        }
    }
}
