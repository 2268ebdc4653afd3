//! What a receiver holds: bytes that nobody has seen yet, and the memory for them.

use super::SessionReceiver;
use crate::fifo::FifoPool;

impl SessionReceiver {
    /// Bytes that can be acted on before anything more is read: plaintext, and whole records.
    #[must_use]
    pub fn pending(&self) -> usize {
        if self.closed && self.held.is_none() {
            return self.rest.bytes().len();
        }
        let mut rest = self.wire.bytes();
        while let Ok(Some(frame)) = self.opener.framing().deframe(rest) {
            rest = &rest[frame.len..];
        }
        // A header that will be refused is something to act on, too.
        let partial = if self.opener.framing().deframe(rest).is_ok() {
            rest.len()
        } else {
            0
        };
        let held = usize::from(self.held.is_some());
        self.rest.bytes().len() + self.wire.bytes().len() - partial + held
    }

    /// Takes memory from `pool` for what will be received.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Gives memory that holds nothing back to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        pool.collect(&mut self.rest);
    }
}
