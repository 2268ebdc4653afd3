//! Sealed records that wait for the next transmission
//! (`docs/kernel-rules.md`, S2.2-13 and S2.3-1).

use crate::socket::tx::SocketTx;
use crate::socket::{CallFault, SocketShared};
use crate::wire::ContentType;

impl SocketTx {
    /// Lets held records leave. A record under the last sequence number is dropped instead.
    pub fn release(&mut self) {
        if self.held_is_last {
            self.drop_held();
        }
        self.hold(0);
    }

    /// Drops the held records.
    pub fn drop_held(&mut self) {
        self.held_is_last = false;
        self.forget_held();
    }

    /// Seals the open record, if there is one. If `sk_err` holds an error, the record is held for
    /// the next transmission.
    ///
    /// # Errors
    /// - `Error::KeyExhausted` at the record limit; the record stays open.
    /// - `Error::SeqExhausted` if the sequence number wrapped.
    /// - The error in `sk_err`.
    pub fn close_open(&mut self, shared: &SocketShared) -> Result<(), CallFault> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.check_limit()?;
        let kept = if self.held_is_last { 0 } else { self.held() };
        self.release();
        let before = self.waiting() - kept;
        self.seal_open(ContentType::APPLICATION_DATA.0, shared)?;
        shared
            .error
            .check_send()
            .inspect_err(|_| self.hold(self.waiting() - before))
    }
}
