//! The handshake over a socket.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ktls_core::Fifo;
use ktls_core::session::KeyUpdatePolicy;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::Connection;
use crate::background_sender::{EndSignal, deliver_and_close};
use crate::handshake::{Handshake, HandshakeError};
use crate::wait::{read_now, wait, write_now};
use crate::{NetError, Wait};

/// A socket during its handshake.
///
/// If it is dropped before the handshake is complete, the socket is closed in the background. The
/// peer gets everything that was to be sent until then, including an alert.
pub struct HandshakingSocket {
    /// `None` once the handshake has become a connection.
    under_way: Option<UnderWay>,
    buffer: Vec<u8>,
}

/// A handshake and its socket.
struct UnderWay {
    fd: OwnedFd,
    handshake: Handshake,
}

/// The size of the read buffer, in bytes. The flight of a server with a usual chain fits.
const READ: usize = 16 << 10;

impl HandshakingSocket {
    /// Makes a handshake over `fd`, which it owns.
    #[must_use]
    pub fn new(fd: OwnedFd, handshake: Handshake) -> Self {
        Self {
            under_way: Some(UnderWay { fd, handshake }),
            buffer: vec![0; READ],
        }
    }

    /// Sends and receives until the handshake is complete.
    ///
    /// # Errors
    /// - [`NetError::Handshake`]; its alert is sent when `self` is dropped.
    /// - The errors of the system.
    /// - The errors of waiting, after which it can be called again.
    pub fn run(&mut self, patience: Wait) -> Result<(), NetError> {
        let under_way = self.under_way.as_mut().ok_or(NetError::Io(Errno::BADF))?;
        under_way.run(&mut self.buffer, patience)
    }

    /// Returns the connection, after [`HandshakingSocket::run`] has returned without an error.
    ///
    /// # Errors
    /// [`NetError::Handshake`] if the handshake is not complete.
    pub fn finish(mut self, policy: &KeyUpdatePolicy) -> Result<Connection, NetError> {
        let under_way = self.under_way.take().ok_or(NetError::Io(Errno::BADF))?;
        let UnderWay { fd, handshake } = under_way;
        match handshake.finish() {
            Ok(established) => Connection::new(fd, established, policy),
            Err(error) => {
                deliver_and_close(Arc::new(fd), Fifo::default(), EndSignal::Fin);
                Err(error.into())
            }
        }
    }
}

impl Drop for HandshakingSocket {
    fn drop(&mut self) {
        if let Some(UnderWay { fd, handshake }) = self.under_way.take() {
            let unsent = Fifo::from(handshake.outgoing());
            deliver_and_close(Arc::new(fd), unsent, EndSignal::Fin);
        }
    }
}

impl UnderWay {
    fn run(&mut self, buffer: &mut [u8], patience: Wait) -> Result<(), NetError> {
        loop {
            self.send(patience)?;
            if self.handshake.is_complete() {
                return Ok(());
            }
            self.receive(buffer, patience)?;
        }
    }

    fn send(&mut self, patience: Wait) -> Result<(), NetError> {
        while !self.handshake.outgoing().is_empty() {
            match write_now(self.fd.as_fd(), self.handshake.outgoing()) {
                Ok(count) => self.handshake.sent(count),
                Err(NetError::Io(Errno::AGAIN)) => {
                    wait(self.fd.as_fd(), PollFlags::OUT, patience)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Wait) -> Result<(), NetError> {
        match read_now(self.fd.as_fd(), buffer) {
            Ok(0) => Err(HandshakeError::closed().into()),
            Ok(count) => Ok(self.handshake.receive(&buffer[..count]).map(drop)?),
            Err(NetError::Io(Errno::AGAIN)) => {
                wait(self.fd.as_fd(), PollFlags::IN, patience).map(drop)
            }
            Err(error) => Err(error),
        }
    }
}
