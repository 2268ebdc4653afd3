//! Driving a handshake over a socket.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use ktls_core::session::Policy;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::Connection;
use super::close::{drain, finish_sending, through_signals};
use crate::handshake::{Handshake, HandshakeError};
use crate::wait::{read_now, wait, write_now};
use crate::{Error, Patience};

/// A socket on which a handshake is under way.
pub struct Handshaking {
    fd: OwnedFd,
    handshake: Handshake,
    buffer: Vec<u8>,
}

/// How long a failed handshake may take for the peer to read its alert.
const LINGER: Duration = Duration::from_secs(1);
/// A flight of a server with a usual chain fits.
const READ: usize = 16 << 10;

impl Handshaking {
    /// Takes over the socket.
    #[must_use]
    pub fn new(fd: OwnedFd, handshake: Handshake) -> Self {
        Self {
            fd,
            handshake,
            buffer: vec![0; READ],
        }
    }

    /// Goes on until the handshake is complete.
    ///
    /// # Errors
    /// [`Error::Handshake`] once the peer has its alert; the system's; those of waiting, after which
    /// it can be called again.
    pub fn run(&mut self, patience: Patience) -> Result<(), Error> {
        loop {
            self.send(patience)?;
            if self.handshake.is_complete() {
                return Ok(());
            }
            self.receive(patience)?;
        }
    }

    /// The connection, after [`Handshaking::run`].
    ///
    /// # Errors
    /// When it is not complete.
    pub fn finish(self, policy: &Policy) -> Result<Connection, Error> {
        Connection::new(self.fd, self.handshake.finish()?, policy)
    }

    fn send(&mut self, patience: Patience) -> Result<(), Error> {
        while !self.handshake.outgoing().is_empty() {
            match write_now(self.fd.as_fd(), self.handshake.outgoing()) {
                Ok(count) => self.handshake.sent(count),
                Err(Error::Io(Errno::AGAIN)) => {
                    wait(self.fd.as_fd(), PollFlags::OUT, patience)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, patience: Patience) -> Result<(), Error> {
        match read_now(self.fd.as_fd(), &mut self.buffer) {
            Ok(0) => Err(HandshakeError::closed().into()),
            Ok(count) => {
                let received = self.handshake.receive(&self.buffer[..count]);
                received.map(drop).map_err(|error| self.fail(error))
            }
            Err(Error::Io(Errno::AGAIN)) => {
                wait(self.fd.as_fd(), PollFlags::IN, patience).map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the peer read its alert before the socket goes.
    fn fail(&mut self, error: HandshakeError) -> Error {
        let end = Patience::Until(Instant::now() + LINGER);
        if through_signals(|| self.send(end)).is_ok() {
            finish_sending(&self.fd);
            drain(&self.fd, end);
        }
        error.into()
    }
}
