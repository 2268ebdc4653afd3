//! Records that are sealed and wait for the next transmission
//! (`docs/kernel-rules.md`, S2.2-13 and S2.3-1).

use crate::socket::tx::SocketTx;
use crate::socket::{CallFault, SocketShared};
use crate::wire::ContentType;

impl SocketTx {
    /// Lets what waited for the next transmission go out, but a record under the last number: that is lost.
    pub fn release(&mut self) {
        if self.held_is_last {
            self.drop_held();
        }
        self.hold(0);
    }

    /// What waited for the next transmission is lost.
    pub fn drop_held(&mut self) {
        self.held_is_last = false;
        self.forget_held();
    }

    /// Seals the open record, if there is one, also when it may not leave before the next transmission.
    ///
    /// # Errors
    /// `Error::KeyExhausted`, and it stays open; `Error::SeqExhausted`; what `sk_err` holds.
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
