//! Handing a connection over: to a kTLS socket, or to another user of its keys.
//!
//! First, all that was accepted is sent and the answers that the peer waits for are given. Then
//! both halves are locked, the other user installs the keys, and the connection ends without a
//! record. If anything fails before the other user has a key, the connection goes on as it was.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ktls_core::session::{SettleOutcome, UnreadBytes};
use ktls_core::{CryptoInfo, Error as CoreError, TrafficSecret};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::{Connection, closing_bell};
use crate::descriptor::BothTurns;
use crate::fd_socket::AdoptedKeys;
use crate::session::{HandOverKeys, KtlsKeyState, NextUser};
use crate::wait::{ProgressDeadline, read_now};
use crate::{FdSocket, NetError, STATS};

/// A connection that can be handed over: nothing waits to be sent. If this is dropped, the
/// connection goes on.
pub struct ReadyToHandOver {
    user: NextUser,
    connection: Arc<Connection>,
    _turns: BothTurns,
}

/// What became of the keys of a connection that is handed over.
pub enum InstallOutcome<E> {
    /// Another user has the keys of both directions.
    Installed,
    /// Another user has some of the keys, and then an error has occurred. The connection cannot go
    /// on: a key could be used twice with one number.
    Partly(E),
}

/// What remains of a connection that was handed over.
pub struct HandedOverConnection {
    /// The descriptor.
    pub fd: OwnedFd,
    /// The key of our direction, with the number of the next record.
    pub tx: CryptoInfo,
    /// The key of the peer's direction, with the number of the next record.
    pub rx: CryptoInfo,
    /// The secret of `tx`, if the connection has it.
    pub tx_secret: Option<TrafficSecret>,
    /// The secret of `rx`, if the connection has it.
    pub rx_secret: Option<TrafficSecret>,
    /// The secrets, and the rules of the RFC.
    pub keys: KtlsKeyState,
    /// What was received and not read.
    pub unread: UnreadBytes,
    /// Whether this side is the client.
    pub is_client: bool,
    /// Whether the peer has sent close_notify. What is unread behind it is not TLS.
    pub is_closed_by_peer: bool,
}

/// A connection that a kTLS socket of the engine continues.
pub struct EngineHandOver {
    /// The socket, which delivers the bytes that were received and not read.
    pub socket: FdSocket,
    /// The secrets, and the rules of the RFC.
    pub keys: KtlsKeyState,
    /// What was received and not read, if the peer has sent close_notify: it is not passed to the
    /// socket then, which would open what is not TLS.
    pub unread: UnreadBytes,
}

impl Connection {
    /// Sends what waits to be sent, and reads as far as `user` needs.
    ///
    /// # Errors
    /// - The errors of [`Connection::flush`] and of waiting: [`NetError::Io`] with EAGAIN if TCP or
    ///   the peer would have to be waited for.
    /// - The error of the peer, which the next reads return behind the data.
    pub fn prepare_hand_over(
        self: &Arc<Self>,
        user: NextUser,
        limit: &mut ProgressDeadline,
    ) -> Result<ReadyToHandOver, NetError> {
        let fd = self.fd.open()?;
        let of: Arc<dyn crate::descriptor::HasTurns> = Arc::<Self>::clone(self);
        let turns = BothTurns::take(of, limit.patience())?;
        self.fd.number()?;
        self.check_alive()?;
        if user == NextUser::Kernel {
            self.read_to_boundary(&fd, limit)?;
        }
        self.flush_within(&fd, limit)?;
        Ok(ReadyToHandOver {
            user,
            connection: Arc::clone(self),
            _turns: turns,
        })
    }

    /// Opens what was read, and completes the record of which a part was read.
    fn read_to_boundary(&self, fd: &OwnedFd, limit: &mut ProgressDeadline) -> Result<(), NetError> {
        loop {
            let settled = self.session.settle();
            let event = self.session.receiver().poll();
            if let Some(event) = event {
                self.pass_on(fd, event)?;
            }
            match settled? {
                SettleOutcome::Settled => return Ok(()),
                SettleOutcome::EventFirst => {}
                SettleOutcome::Needs(count) => self.complete_record(fd, count, limit)?,
            }
        }
    }

    /// Waits for wire bytes, and reads up to `count` of them, so that no further record is begun.
    fn complete_record(
        &self,
        fd: &OwnedFd,
        count: usize,
        limit: &mut ProgressDeadline,
    ) -> Result<(), NetError> {
        let mut bytes = vec![0; count];
        match read_now(fd.as_fd(), &mut bytes) {
            Ok(0) => Err(CoreError::Truncated.into()),
            Ok(count) => Ok(self.session.receiver().push(&bytes[..count])?),
            Err(NetError::Io(Errno::AGAIN)) => {
                limit.wait(limit.patience(), |patience| {
                    self.wait(fd, PollFlags::IN, patience)
                })?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl ReadyToHandOver {
    /// Returns the descriptor.
    ///
    /// # Errors
    /// EBADF if another thread has closed the connection.
    pub fn descriptor(&self) -> Result<Arc<OwnedFd>, NetError> {
        self.connection.descriptor()
    }

    /// Ends the connection, after `install` has got the keys of our direction and of the peer's.
    ///
    /// # Errors
    /// - EBADF if another thread has closed the connection.
    /// - EAGAIN if another thread has sealed something meanwhile.
    /// - The errors of `install`. The connection goes on as it was, except after
    ///   [`InstallOutcome::Partly`], which closes it.
    pub fn finish<E: From<NetError>>(
        self,
        install: impl FnOnce(&CryptoInfo, &CryptoInfo) -> Result<InstallOutcome<E>, E>,
    ) -> Result<HandedOverConnection, E> {
        let fd = self.connection.fd.open()?;
        // Another call may hold the descriptor for a while. Then this duplicate goes on.
        let own = fd.try_clone().map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::MFILE);
            NetError::Io(errno)
        })?;
        let installed = |keys: &HandOverKeys| {
            let outcome = install(&keys.tx, &keys.rx).map_err(InstallFailure::Install)?;
            Ok((keys.clone(), outcome))
        };
        let (rest, (keys, outcome)) = match self.connection.session.hand_over(self.user, installed)
        {
            Ok(done) => done,
            Err(InstallFailure::Install(error)) => return Err(error),
            Err(InstallFailure::Core(CoreError::NoRoom { .. })) => {
                return Err(NetError::Io(Errno::AGAIN).into());
            }
            Err(InstallFailure::Core(error)) => return Err(NetError::from(error).into()),
        };
        drop(fd);
        let fd = self.connection.let_go().unwrap_or(own);
        if let InstallOutcome::Partly(error) = outcome {
            return Err(error);
        }
        Ok(HandedOverConnection {
            fd,
            tx: keys.tx,
            rx: keys.rx,
            tx_secret: keys.tx_secret,
            rx_secret: keys.rx_secret,
            keys: rest.keys,
            unread: rest.unread,
            is_client: keys.is_client,
            is_closed_by_peer: rest.is_closed_by_peer,
        })
    }

    /// Ends the connection, and returns a kTLS socket of the engine that continues it.
    ///
    /// # Errors
    /// - The errors of [`ReadyToHandOver::finish`].
    /// - [`CoreError::CipherMissing`] if the cipher has no implementation.
    pub fn into_engine(self) -> Result<EngineHandOver, NetError> {
        let mut expanded = None;
        let mut rest = self.finish(|tx, rx| {
            expanded = Some(AdoptedKeys::new(tx.clone(), rx.clone())?);
            Ok::<_, NetError>(InstallOutcome::Installed)
        })?;
        let keys = expanded.ok_or(CoreError::NoKey)?;
        let kept = if rest.is_closed_by_peer {
            UnreadBytes::default()
        } else {
            std::mem::take(&mut rest.unread)
        };
        Ok(EngineHandOver {
            socket: FdSocket::adopt(rest.fd, Arc::clone(&STATS), keys, kept),
            keys: rest.keys,
            unread: rest.unread,
        })
    }
}

/// Why a session was not handed over.
enum InstallFailure<E> {
    Core(CoreError),
    Install(E),
}

impl<E> From<CoreError> for InstallFailure<E> {
    fn from(error: CoreError) -> Self {
        Self::Core(error)
    }
}

impl Connection {
    /// Closes the connection for other calls, without a record and without FIN. Returns the
    /// descriptor unless another call is using it.
    fn let_go(&self) -> Option<OwnedFd> {
        let fd = self.fd.close();
        closing_bell::ring();
        self.end_background_flush();
        drop(self.watchers.ring_later());
        fd.and_then(Arc::into_inner)
    }
}
