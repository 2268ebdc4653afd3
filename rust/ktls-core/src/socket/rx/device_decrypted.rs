//! Opening records that a device may have decrypted before they arrived.

use std::fmt::Debug;

use crate::error::Error;
use crate::key::{InnerPlaintext, TrafficKey};
use crate::socket::rx::SocketRx;

/// Opens records whose bytes were processed before they arrived.
///
/// The simulator's model of a network device implements it: the device decrypts segments before TCP
/// receives them.
pub trait RecordOpener: Debug + Send {
    /// Opens the record at the head, with the sequence number `seq`, into the start of `out`.
    ///
    /// # Errors
    /// Returns the errors of [`TrafficKey::open`].
    fn open(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        record: &mut [u8],
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error>;

    /// Called after the record at the head, of `len` bytes, was opened and its number was spent.
    fn spent(&mut self, len: usize);

    /// Called after a KeyUpdate was opened. No record is opened until the next key is installed.
    fn key_update_read(&mut self);

    /// Called after the next key has replaced `past`, under which the next record would have had
    /// the number `seq`.
    fn replaced(&mut self, past: TrafficKey, seq: u64);
}

impl SocketRx {
    /// Makes `opener` open the records from now on.
    pub fn open_by(&mut self, opener: Box<dyn RecordOpener>) {
        self.opener = Some(opener);
    }
}
