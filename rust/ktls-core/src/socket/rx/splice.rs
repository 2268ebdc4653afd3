//! One data record at a time, for splice (`docs/kernel-rules.md`, S3.7).

use crate::error::Error;
use crate::rekey::RxRekey;
use crate::socket::rx::{SocketRx, StreamParser};
use crate::socket::{CallFault, SocketShared};
use crate::wire::ContentType;

impl SocketRx {
    /// Returns what is left of the next data record, which it opens if need be, or None while that is not whole.
    ///
    /// The plaintext stays until [`SocketRx::take`].
    ///
    /// # Errors
    /// [`Error::KeyExpired`], [`Error::BadTag`], [`Error::NoContentType`];
    /// [`Error::ControlSpliced`], and that record stays, too.
    pub fn head(&mut self, shared: &SocketShared) -> Result<Option<&[u8]>, CallFault> {
        if self.opened.is_empty() {
            if self.rekey == RxRekey::Paused {
                return Err(Error::KeyExpired.into());
            }
            let StreamParser::Ready(len) = self.parse(shared) else {
                return Ok(None);
            };
            self.open_aside(len, shared)?;
        }
        let Some(record) = self.opened.front() else {
            return Ok(None);
        };
        let record_type = record.record_type;
        if record_type != ContentType::APPLICATION_DATA.0 {
            return Err(Error::ControlSpliced { record_type }.into());
        }
        Ok(Some(&record.memory[record.left.clone()]))
    }

    /// Drops the first `len` bytes of [`SocketRx::head`], which are delivered.
    pub fn take(&mut self, len: usize) {
        if let Some(record) = self.opened.front_mut() {
            record.take(len);
            if record.left.is_empty() {
                self.forget_opened();
            }
        }
    }
}
