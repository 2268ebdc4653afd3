//! What a receiver holds: bytes that nobody has seen yet, and the memory for them.

use super::SessionReceiver;
use crate::fifo::FifoPool;

impl SessionReceiver {
    /// Returns how many bytes can be acted on before more is read: plaintext, and sealed records that are
    /// whole. The record that ends the stream counts until the end is told. An event does not: poll first.
    #[must_use]
    pub fn pending(&self) -> usize {
        let mut rest = self.wire.bytes();
        while let Ok(Some(frame)) = self.opener.framing().deframe(rest) {
            rest = frame.rest();
        }
        // A header that will be refused is something to act on, too.
        let partial = if self.opener.framing().deframe(rest).is_ok() {
            rest.len()
        } else {
            0
        };
        self.rest.len() + self.wire.len() - partial
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
