//! splice(2) between a pipe and the socket (`docs/kernel-rules.md`, S2.4 and S3.7).

use std::os::fd::{AsFd, OwnedFd};

use ktls_core::WipedBytes;
use ktls_core::socket::call::{ControlRoom, MORE, RecvFlags};
use ktls_core::socket::{ReceiveCall, ReceiveStep, SendBuffers};
use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, ioctl_fionread, read, write};
use rustix::net::sockopt::Timeout;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice, tee};

use super::send::SendResult;
use super::{FdSocket, poll_now, wait_at};
use crate::mutex::lock;
use crate::wait::{PEER_DONE, ProgressDeadline, wait};
use crate::{NetError, Wait};

impl FdSocket {
    /// Moves up to `len` bytes of one data record into a pipe. Returns how many; 0 is the end of
    /// the stream or an empty record.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S3.7. EAGAIN if the call would wait and `flags` has
    /// `SPLICE_F_NONBLOCK` or the pipe is nonblocking; a nonblocking socket makes no difference.
    /// [`NetError::Interrupted`] also comes without a signal: call again.
    pub fn splice_to(
        &self,
        pipe: &OwnedFd,
        len: usize,
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let flags = check_flags(flags)?;
        if len == 0 {
            return Ok(0);
        }
        let fd = self.fd.open()?;
        limit.set_patience(pipe_patience(pipe, flags, limit.patience())?);
        wait_for_room(pipe, limit)?;
        let _ring = self.watchers.ring_later();
        let _turn = self.reader.take(limit.patience())?;
        if lock(&self.rx).is_keyed() {
            let moved = self.splice_record(&fd, pipe, len, limit);
            self.drop_outdated_error(&fd);
            self.update_device();
            return moved;
        }
        self.splice_plain(&fd, pipe, len, limit)
    }

    /// Sends up to `len` bytes from a pipe. Returns how many; 0 is the end of the pipe. Nothing
    /// else may read the pipe meanwhile.
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::send`]. EAGAIN if the pipe is empty and `flags` has
    /// `SPLICE_F_NONBLOCK` or the pipe is nonblocking.
    pub fn splice_from(
        &self,
        pipe: &OwnedFd,
        len: usize,
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let flags = check_flags(flags)?;
        self.fd.open()?;
        let waiting = pipe_patience(pipe, flags, limit.patience())?;
        let mut total = 0;
        while total < len {
            match self.splice_some(pipe, len - total, flags, limit) {
                Ok(SendResult { taken: 0, .. }) => break,
                Ok(SendResult { taken, wait_error }) => {
                    total += taken;
                    if wait_error.is_some() {
                        break;
                    }
                }
                Err(_) if total > 0 => break,
                Err(NetError::Io(Errno::AGAIN)) if poll_now(pipe, PollFlags::IN).is_empty() => {
                    limit.wait(waiting, |patience| {
                        wait(pipe.as_fd(), PollFlags::IN, patience)
                    })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// Moves bytes of plain TCP into a pipe, if the direction has no key. TCP's splice waits in
    /// spite of the flags, so it is called only when there is something to move.
    fn splice_plain(
        &self,
        fd: &OwnedFd,
        pipe: &OwnedFd,
        len: usize,
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let wanted = PollFlags::IN | PEER_DONE;
        if poll_now(fd, wanted).is_empty() {
            self.check_fault(fd)?;
            wait_at(fd.as_fd(), fd, wanted, limit, &mut None, Timeout::Recv)?;
        }
        match splice(fd, None, pipe, None, len, SpliceFlags::NONBLOCK) {
            Ok(0) => self.check_plain_end(fd).map(|()| 0),
            Ok(moved) => Ok(moved),
            Err(errno) => Err(self.plain_failed(fd, errno)),
        }
    }

    /// Moves bytes of the next data record into a pipe.
    fn splice_record(
        &self,
        fd: &OwnedFd,
        pipe: &OwnedFd,
        len: usize,
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let call = ReceiveCall::new(RecvFlags::default(), ControlRoom::None, len, 1);
        let mut system = None;
        loop {
            let mut side = lock(&self.rx);
            let rx = side.keyed()?;
            if let Some(plaintext) = rx.head(&self.shared)? {
                let moved = fill_pipe(&plaintext[..plaintext.len().min(len)], pipe)?;
                rx.take(moved);
                return Ok(moved);
            }
            let pulled = side.pull(fd, &self.shared);
            let Some(reason) = self.no_bytes_reason(pulled) else {
                continue;
            };
            if side
                .keyed()?
                .go_on_without_bytes(&call, reason, &self.shared)?
                == ReceiveStep::Done
            {
                return Ok(0);
            }
            let events = side.events();
            side.waits = true;
            drop(side);
            let waited = wait_at(fd.as_fd(), fd, events, limit, &mut system, Timeout::Recv);
            lock(&self.rx).waits = false;
            waited?;
        }
    }

    /// Sends bytes from a pipe. Only those that were taken are removed from the pipe.
    fn splice_some(
        &self,
        pipe: &OwnedFd,
        len: usize,
        flags: SpliceFlags,
        limit: &mut ProgressDeadline,
    ) -> Result<SendResult, NetError> {
        let mut bytes = peek_pipe(pipe, len)?;
        if bytes.is_empty() {
            return Ok(SendResult::default());
        }
        let behind = ioctl_fionread(pipe)? > bytes.len() as u64;
        let more = flags.contains(SpliceFlags::MORE) || (behind && bytes.len() < len);
        let slices: &[&[u8]] = &[&bytes];
        let flags = if more { MORE } else { 0 };
        let sent = self.send_within(SendBuffers::new(slices), &[], flags, limit)?;
        let mut left = &mut bytes[..sent.taken];
        while !left.is_empty() {
            let len = read(pipe, &mut *left)?;
            left = &mut left[len..];
            if len == 0 {
                break;
            }
        }
        Ok(sent)
    }
}

/// Checks the `SPLICE_F_*` flags, of which `NONBLOCK` and `MORE` have an effect here.
///
/// # Errors
/// EINVAL for an unknown flag.
fn check_flags(flags: u32) -> Result<SpliceFlags, NetError> {
    let known = SpliceFlags::MOVE | SpliceFlags::NONBLOCK | SpliceFlags::MORE | SpliceFlags::GIFT;
    let flags = SpliceFlags::from_bits_retain(flags);
    if known.contains(flags) {
        Ok(flags)
    } else {
        Err(NetError::Io(Errno::INVAL))
    }
}

/// Returns how long to wait for a pipe or for a record to move there. The timeout 0 of the socket
/// does not count.
///
/// # Errors
/// EINVAL if `pipe` is not a pipe.
fn pipe_patience(pipe: &OwnedFd, flags: SpliceFlags, patience: Wait) -> Result<Wait, NetError> {
    if FileType::from_raw_mode(fstat(pipe)?.st_mode) != FileType::Fifo {
        return Err(NetError::Io(Errno::INVAL));
    }
    let nonblock =
        flags.contains(SpliceFlags::NONBLOCK) || fcntl_getfl(pipe)?.contains(OFlags::NONBLOCK);
    Ok(match patience {
        _ if nonblock => Wait::Never,
        Wait::Never => Wait::Forever,
        patience => patience,
    })
}

/// Waits until the pipe accepts bytes.
fn wait_for_room(pipe: &OwnedFd, limit: &mut ProgressDeadline) -> Result<(), NetError> {
    if poll_now(pipe, PollFlags::OUT).is_empty() {
        let wait = |patience| wait(pipe.as_fd(), PollFlags::OUT, patience);
        limit.wait(limit.patience(), wait)?;
    }
    Ok(())
}

/// Moves as many bytes into a pipe as fit, and returns how many. A splice between two pipes is the
/// only call that never waits and reports how much fits.
fn fill_pipe(bytes: &[u8], pipe: &OwnedFd) -> Result<usize, NetError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let held = write(&into, bytes)?;
    Ok(splice(&out, None, pipe, None, held, SpliceFlags::NONBLOCK)?)
}

/// Returns a copy of up to `len` bytes of a pipe, which stay in the pipe. May return fewer than the
/// pipe holds; empty at its end.
fn peek_pipe(pipe: &OwnedFd, len: usize) -> Result<WipedBytes, NetError> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let mut bytes = WipedBytes::zeros(tee(pipe, &into, len, SpliceFlags::NONBLOCK)?);
    let mut have = 0;
    while have < bytes.len() {
        have += read(&out, &mut bytes[have..])?;
    }
    Ok(bytes)
}
