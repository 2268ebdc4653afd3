//! Sending (`docs/kernel-rules.md`, S2.2).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, MutexGuard};

use ktls_core::socket::call::{DONTWAIT, SendControl, SendControls, SendFlags};
use ktls_core::socket::{PartialRecord, SendBuffers, SocketTx};
use ktls_core::wire::ContentType;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;

use super::tx_side::{TxState, seal_at_once};
use super::{FdSocket, wait_at};
use crate::queue::{ConnRing, KeptBytes};
use crate::wait::{FlushOutcome, ProgressDeadline};
use crate::{NetError, Wait};

/// The state of one send call.
struct SendCall<'a, 'b> {
    source: SendBuffers<'a>,
    record_type: Option<u8>,
    flags: SendFlags,
    /// The limit of the caller.
    limit: &'b mut ProgressDeadline,
    /// The limit of `SO_SNDTIMEO`, once it was queried.
    system: Option<Wait>,
    fd: &'b OwnedFd,
    /// Bytes of plaintext that the call returns even if it fails later: their records are with TCP
    /// or in the ring, or they are in the open record.
    committed: usize,
    /// Why the call no longer waits for TCP to accept the sealed records.
    wait_error: Option<NetError>,
}

/// The outcome of putting the records of a call into the ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RingOutcome {
    /// The ring has all of them, or they are lost with the connection.
    All,
    /// The queue is gone. The rest has to be sent without it.
    Gone,
}

/// The result of a send.
#[derive(Debug, Default)]
pub(super) struct SendResult {
    /// The number of plaintext bytes that were taken.
    pub(super) taken: usize,
    /// Why the call did not wait until TCP had all of them: EAGAIN, [`NetError::TimedOut`] or
    /// [`NetError::Interrupted`].
    pub(super) wait_error: Option<NetError>,
}

impl FdSocket {
    /// Sends `slices` as records. Returns how many bytes were taken.
    ///
    /// A queue needs no copy of the slices for which `kept` has an entry. `kept` is empty or as
    /// long as `slices`.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S2.2. If nothing was taken: EAGAIN,
    /// [`NetError::TimedOut`] or [`NetError::Interrupted`], as `limit` decides.
    /// [`NetError::Interrupted`] also comes without a signal if `limit` runs [until something is
    /// taken](ProgressDeadline::until_taken).
    pub fn send(
        &self,
        slices: &[&[u8]],
        kept: &[Option<KeptBytes>],
        controls: &[SendControl<'_>],
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<usize, NetError> {
        let source = SendBuffers::new(slices).keeping(kept);
        Ok(self.send_within(source, controls, flags, limit)?.taken)
    }

    /// Sends `source` as records, like [`FdSocket::send`]. Also returns why the call did not wait
    /// longer.
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::send`].
    pub(super) fn send_within(
        &self,
        source: SendBuffers<'_>,
        controls: &[SendControl<'_>],
        flags: u32,
        limit: &mut ProgressDeadline,
    ) -> Result<SendResult, NetError> {
        let fd = self.fd.open()?;
        let mut at_once = ProgressDeadline::once(Wait::Never);
        let limit = if flags & DONTWAIT == 0 {
            limit
        } else {
            &mut at_once
        };
        if !self.tx.is_keyed() {
            let _turn = self.writer.take(limit.patience())?;
            return self.send_plain(&fd, source, controls, flags, limit);
        }
        let flags = SendFlags::new(flags)?;
        let _ring = self.watchers.ring_later();
        let _turn = self.writer.take(limit.patience())?;
        self.foresee(&fd);
        if self.shared.error.peek().is_some() {
            // A newer error of TCP replaces the one in `sk_err`.
            self.collect_error(&fd);
        }
        let asked = SendControls::new(controls.iter().copied(), flags);
        let record_type = match asked.record_type {
            Ok(record_type) => record_type,
            Err(error) => {
                if asked.end_open {
                    self.end_open_record(fd.shared(), flags, limit)?;
                }
                return Err(error.into());
            }
        };
        let mut sending = SendCall {
            source,
            record_type,
            flags,
            limit,
            system: None,
            fd: &fd,
            committed: 0,
            wait_error: None,
        };
        let sent = self.send_records(&mut sending);
        self.drop_outdated_error(&fd);
        self.tx.push_later(fd.shared());
        sending.outcome(sent)
    }

    /// Seals and sends the open record, as the first control message of a call does before the
    /// second one is refused.
    fn end_open_record(
        &self,
        fd: &Arc<OwnedFd>,
        flags: SendFlags,
        limit: &mut ProgressDeadline,
    ) -> Result<(), NetError> {
        let mut sending = SendCall {
            source: SendBuffers::new(&[]),
            record_type: Some(ContentType::APPLICATION_DATA.0),
            flags,
            limit,
            system: None,
            fd,
            committed: 0,
            wait_error: None,
        };
        let ended = self.send_records(&mut sending);
        self.tx.push_later(fd);
        match ended {
            // The record is sealed, and leaves when TCP has room.
            Err(NetError::Io(Errno::AGAIN)) => Ok(()),
            ended => ended,
        }
    }

    /// Seals and sends all records of a call.
    fn send_records(&self, sending: &mut SendCall<'_, '_>) -> Result<(), NetError> {
        let ring = self.tx.ring();
        if sending.flags.more || self.tx.is_shut() || ring.is_some() {
            // This call may write nothing to TCP, so it has to query TCP's error.
            self.collect_error(sending.fd);
        }
        if self.tx.is_dead() {
            return self.seal_and_discard(sending);
        }
        if let Some(ring) = ring
            && self.submit_records(sending, ring)? == RingOutcome::All
        {
            return Ok(());
        }
        self.flush(sending, sending.flags.more)?;
        loop {
            let sealed = self.seal(sending, seal_at_once(sending.limit.patience()));
            // With more to come in this call, TCP need not send a short segment.
            let goes_on = sealed.is_ok() && sending.source.left() > 0;
            let flushed = self.flush(sending, sending.flags.more || goes_on);
            match flushed {
                Ok(()) => sending.committed = sending.source.taken(),
                // The records are sealed, so they count. They leave when TCP has room.
                Err(error) if error.ends_a_wait() => {
                    sending.committed = sending.source.taken();
                    sending.wait_error = Some(error);
                    return sealed;
                }
                Err(error) => return Err(error),
            }
            sealed?;
            if sending.source.left() == 0 {
                return Ok(());
            }
        }
    }

    /// Puts records into the ring of the queue.
    fn submit_records(
        &self,
        sending: &mut SendCall<'_, '_>,
        ring: &Arc<ConnRing>,
    ) -> Result<RingOutcome, NetError> {
        loop {
            let mut state = self.lock_with_room(sending, ring)?;
            if self.tx.is_dead() {
                drop(state);
                return self.seal_and_discard(sending).map(|()| RingOutcome::All);
            }
            self.tx.begin_send(&mut state, ring)?;
            let socket = &mut state.socket;
            if !socket.is_queued() {
                return Ok(RingOutcome::Gone);
            }
            let made = self.make_records(socket, sending, ring.room());
            self.tx.submit(socket);
            sending.committed = sending.source.taken();
            made?;
            if sending.source.left() == 0 {
                return Ok(RingOutcome::All);
            }
        }
    }

    /// Waits for room in the ring. Returns with the direction locked, so that no other call can
    /// take the room.
    fn lock_with_room(
        &self,
        sending: &mut SendCall<'_, '_>,
        ring: &ConnRing,
    ) -> Result<MutexGuard<'_, TxState>, NetError> {
        loop {
            if let Some(state) = self.tx.lock_if_ready(ring) {
                return Ok(state);
            }
            // Checked once more after the bell is armed: room that was made before rings no bell.
            ring.begin_wait();
            if let Some(state) = self.tx.lock_if_ready(ring) {
                return Ok(state);
            }
            let SendCall {
                fd, limit, system, ..
            } = sending;
            let bell = ring.room_bell().as_fd();
            match wait_at(bell, fd, PollFlags::IN, limit, system, Timeout::Send) {
                // Returned even if there is room now: the caller has to run its signal handlers.
                Err(NetError::Interrupted) => return Err(NetError::Interrupted),
                Ok(()) => limit.renew(),
                Err(error) => return self.tx.lock_if_ready(ring).ok_or(error),
            }
        }
    }

    /// Makes records of the call until `limit` bytes wait for TCP.
    fn seal(&self, sending: &mut SendCall<'_, '_>, limit: usize) -> Result<(), NetError> {
        self.make_records(&mut self.tx.state().socket, sending, limit)
    }

    /// Makes records of the call until `limit` bytes of wire, or records of a queue, wait.
    fn make_records(
        &self,
        tx: &mut SocketTx,
        sending: &mut SendCall<'_, '_>,
        limit: usize,
    ) -> Result<(), NetError> {
        let more = if sending.flags.more {
            PartialRecord::KeepOpen
        } else {
            PartialRecord::Seal
        };
        let sent = tx.send(
            &mut sending.source,
            sending.record_type,
            more,
            limit,
            &self.shared,
        );
        sending.limit.note_taken();
        Ok(sent?)
    }

    /// Seals one record and drops it, without an error. The kernel does so after `shutdown(WR)` and
    /// after a reset that was reported (traces send.after_shutdown_big, set.after_rst).
    fn seal_and_discard(&self, sending: &mut SendCall<'_, '_>) -> Result<(), NetError> {
        let sealed = self.seal(sending, 1);
        self.tx.state().socket.discard_wire();
        sealed
    }

    /// Writes all sealed bytes to TCP. Waits as long as the call may.
    ///
    /// # Errors
    /// Returns the errors of TCP and of [`wait_at`].
    fn flush(&self, sending: &mut SendCall<'_, '_>, more: bool) -> Result<(), NetError> {
        while self.write(sending, more)? == FlushOutcome::Full {
            let SendCall {
                fd, limit, system, ..
            } = sending;
            wait_at(fd.as_fd(), fd, PollFlags::OUT, limit, system, Timeout::Send)?;
        }
        Ok(())
    }

    /// Writes sealed bytes to TCP without waiting. Renews the limit of the call if TCP has accepted
    /// some.
    fn write(&self, sending: &mut SendCall<'_, '_>, more: bool) -> Result<FlushOutcome, NetError> {
        if !sending.limit.is_renewed() {
            return self.tx.write(sending.fd, more);
        }
        let unsent = || self.tx.state().socket.wire().len();
        let before = unsent();
        let flushed = self.tx.write(sending.fd, more)?;
        if unsent() < before {
            sending.limit.renew();
        }
        Ok(flushed)
    }
}

impl SendCall<'_, '_> {
    /// Returns the result of the call, where `sent` is how its records fared.
    fn outcome(self, sent: Result<(), NetError>) -> Result<SendResult, NetError> {
        let Self {
            committed, source, ..
        } = self;
        let (taken, wait_error) = match sent {
            Ok(()) => (source.taken(), self.wait_error),
            // The error of TCP is kept for the next call.
            Err(error) if committed > 0 => (committed, Some(error).filter(NetError::ends_a_wait)),
            Err(error) => return Err(error),
        };
        Ok(SendResult { taken, wait_error })
    }
}
