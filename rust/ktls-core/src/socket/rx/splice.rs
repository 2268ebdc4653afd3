//! Reading one data record at a time, for `splice` (`docs/kernel-rules.md`, S3.7).

use crate::error::Error;
use crate::rekey::RxRekey;
use crate::socket::rx::{SocketRx, StreamParser};
use crate::socket::{CallFault, SocketShared};
use crate::wire::ContentType;

impl SocketRx {
    /// Returns the rest of the next data record, or `None` while that is not whole. Opens the
    /// record if it is not open.
    ///
    /// The plaintext stays until [`SocketRx::take`].
    ///
    /// # Errors
    /// - [`Error::KeyExpired`] between a KeyUpdate and the next key.
    /// - [`Error::BadTag`] if the record does not authenticate.
    /// - [`Error::NoContentType`] if the record is all padding.
    /// - [`Error::ControlSpliced`] if the next record is a control record, which stays.
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

    /// Drops the first `len` bytes of [`SocketRx::head`], which were delivered.
    pub fn take(&mut self, len: usize) {
        if let Some(record) = self.opened.front_mut() {
            record.take(len);
            if record.left.is_empty() {
                self.forget_opened();
            }
        }
    }
}
