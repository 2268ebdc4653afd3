//! Directions without a key: calls are those of TCP, but share `sk_err` with the record layer.

use std::os::fd::{AsFd, OwnedFd};

use ktls_core::socket::call::{DONTWAIT, MORE, NOSIGNAL, SendControl, WAITALL, check_plain};
use ktls_core::socket::{ReceiveBuffers, ReceiveCall, ReceiveResult, SendBuffers};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::send::SendResult;
use super::{FdSocket, poll_now, wait_at, wait_to_receive};
use crate::wait::PEER_DONE;
use crate::{NetError, ProgressDeadline};

impl FdSocket {
    /// Receives the bytes of TCP.
    pub(super) fn recv_plain(
        &self,
        fd: &OwnedFd,
        out: &mut ReceiveBuffers<'_, '_>,
        flags: u32,
        limit: &mut ProgressDeadline,
        mut call: ReceiveCall,
    ) -> Result<ReceiveResult, NetError> {
        let flags = RecvFlags::from_bits_retain((flags & !WAITALL) | DONTWAIT);
        let mut system = None;
        while out.room() > 0 {
            let room = out.room();
            let piece = out.next_piece();
            let len = piece.len().min(room);
            let got = recv(fd, &mut piece[..len], flags).map(|(got, _)| got);
            match got {
                _ if call.has_copied() && !matches!(got, Ok(1..) | Err(Errno::AGAIN)) => break,
                Ok(0) => {
                    self.check_plain_end(fd)?;
                    break;
                }
                Ok(got) => {
                    out.advance(got);
                    call.add(got);
                    if flags.contains(RecvFlags::PEEK) || call.has_enough() && got < len {
                        break;
                    }
                }
                Err(Errno::AGAIN) if call.has_enough() => break,
                Err(Errno::AGAIN) => {
                    if !call.has_copied() {
                        self.check_fault(fd)?;
                    }
                    let wanted = PollFlags::IN | PEER_DONE;
                    match wait_to_receive(fd, wanted, &call, limit, &mut system) {
                        Err(_) if call.has_copied() => break,
                        waited => waited?,
                    }
                }
                Err(errno) => return Err(self.plain_failed(fd, errno)),
            }
        }
        Ok(call.received())
    }

    /// Sends bytes as TCP does. A record type is ignored (trace ulp.passthrough_cmsg).
    pub(super) fn send_plain(
        &self,
        fd: &OwnedFd,
        mut source: SendBuffers<'_>,
        controls: &[SendControl<'_>],
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<SendResult, NetError> {
        self.foresee(fd);
        match check_plain(controls.iter().copied()) {
            Err(error) if !self.tx.is_shut() && !is_reset(fd) => return Err(error.into()),
            // The error of a connection that has ended comes before that of the control messages.
            _ => self.check_fault(fd)?,
        }
        let tcp_flags = SendFlags::from_bits_retain(flags | DONTWAIT | NOSIGNAL);
        let (mut system, mut wait_error) = (None, None);
        loop {
            let piece = source.rest();
            let last = piece.len() == source.left();
            let more = if last {
                tcp_flags
            } else {
                tcp_flags | SendFlags::from_bits_retain(MORE)
            };
            match send(fd, piece, more) {
                Ok(len) => {
                    source.take(len, |_| {});
                    limit.renew();
                    limit.note_taken();
                }
                Err(Errno::AGAIN) => {
                    let place = fd.as_fd();
                    match wait_at(place, fd, PollFlags::OUT, limit, &mut system, Timeout::Send) {
                        Err(error) if source.taken() > 0 => {
                            wait_error = Some(error);
                            break;
                        }
                        waited => waited?,
                    }
                }
                Err(_) if source.taken() > 0 => break,
                Err(errno) => return Err(self.plain_failed(fd, errno)),
            }
            // TCP is called once even without bytes, because it may return an error.
            if source.left() == 0 {
                break;
            }
        }
        let taken = source.taken();
        Ok(SendResult { taken, wait_error })
    }

    /// Fails with the error of `sk_err`, if there is one, and clears it.
    pub(super) fn check_fault(&self, fd: &OwnedFd) -> Result<(), NetError> {
        self.take_fault(fd)
            .map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Handles the end of TCP's bytes. Behind a reset, `sk_err` is returned first; behind FIN, it
    /// stays.
    ///
    /// # Errors
    /// The error of `sk_err`.
    pub(super) fn check_plain_end(&self, fd: &OwnedFd) -> Result<(), NetError> {
        let fault = self.shared.error.peek();
        // A reset behind FIN is EPIPE, and does not count.
        if self.tx.has_failed() && fault.is_some_and(|fault| !fault.is_pipe()) {
            self.check_fault(fd)?;
        }
        Ok(())
    }

    /// Handles an error that TCP has returned to this call: after a reset, it replaces an older one
    /// in `sk_err`.
    pub(super) fn plain_failed(&self, fd: &OwnedFd, errno: Errno) -> NetError {
        if is_reset(fd) {
            let _older = self.shared.error.take();
            self.tx.set_failed();
        }
        errno.into()
    }
}

/// Returns `true` if the connection is gone.
fn is_reset(fd: &OwnedFd) -> bool {
    poll_now(fd, PollFlags::empty()).contains(PollFlags::HUP)
}
