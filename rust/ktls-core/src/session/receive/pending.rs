//! The bytes that a receiver holds, and the memory for them.

use super::{ReceiverState, SessionReceiver};
use crate::error::Error;
use crate::fifo::FifoPool;
use crate::wire::HEADER_LEN;

impl SessionReceiver {
    /// Returns the number of bytes that can be acted on before more is read: plaintext, and whole
    /// sealed records. The record that ends the stream counts until the end is returned. An event
    /// does not count: poll first.
    #[must_use]
    pub fn pending(&self) -> usize {
        if self.is_closed() {
            return self.rest.len() + self.closing_record;
        }
        let mut rest = self.wire.bytes();
        while let Ok(Some(frame)) = self.opener.framing().deframe(rest) {
            rest = frame.rest();
        }
        // A header that will be refused can be acted on as well: a read returns its error.
        let partial = if self.opener.framing().deframe(rest).is_ok() {
            rest.len()
        } else {
            0
        };
        self.rest.len() + self.wire.len() - partial
    }

    /// Queues a copy of wire bytes, for drivers that do not read into [`SessionReceiver::room`].
    /// Bytes after an error are dropped.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if there is no memory for them. Nothing is changed then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !matches!(self.state, ReceiverState::Failed(_)) {
            self.wire.reserve(bytes.len())?;
            self.wire.push(bytes);
        }
        Ok(())
    }

    /// Returns the size in bytes of a buffer for everything that one
    /// [`SessionReceiver::read_up_to`] can read: at most one byte more than `most`, and fewer than
    /// were received. Returns 0 if there is no data.
    #[must_use]
    pub fn readable(&self, most: usize) -> usize {
        if !self.rest.is_empty() {
            return self.rest.len().min(most);
        }
        if self.state != ReceiverState::Open {
            return 0;
        }
        let (mut rest, mut room) = (self.wire.bytes(), 0);
        while room < most
            && let Ok(Some(frame)) = self.opener.framing().deframe(rest)
        {
            // The next record is opened over the type of this one.
            room += frame.inner_len().saturating_sub(self.type_len());
            rest = frame.rest();
        }
        match room {
            0 => 0,
            room if room > most => most,
            room => room + self.type_len(),
        }
    }

    /// Returns the number of wire bytes that complete the record at the head of the wire, or its
    /// header. Returns 0 if the record is whole or malformed, or if there is plaintext or an end to
    /// be read.
    #[must_use]
    pub fn wants(&self) -> usize {
        if self.state != ReceiverState::Open || !self.rest.is_empty() {
            return 0;
        }
        let wire = self.wire.bytes();
        let len = match self.opener.framing().announced(wire) {
            Ok(None) => HEADER_LEN,
            Ok(Some(header)) => HEADER_LEN + header.len,
            Err(_) => 0,
        };
        len.saturating_sub(wire.len())
    }

    /// Takes the bytes behind the peer's close_notify, which are not TLS. Returns an empty vector
    /// if the close_notify was not read yet.
    pub fn take_leftover(&mut self) -> Vec<u8> {
        if !self.is_closed() {
            return Vec::new();
        }
        let leftover = self.wire.bytes()[self.closing_record..].to_vec();
        self.wire.truncate_by(leftover.len());
        leftover
    }

    /// Takes memory from `pool` for what will be received.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Returns memory that holds nothing to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        pool.collect(&mut self.rest);
    }
}
