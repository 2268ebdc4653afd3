//! Records that somebody else may have opened on their way.

use std::fmt::Debug;

use crate::error::Error;
use crate::key::{InnerPlaintext, TrafficKey};
use crate::socket::rx::SocketRx;

/// Opens records of which somebody has worked on the bytes already.
///
/// The simulator's model of a network device is one: the device decrypts segments before TCP has them.
pub trait RecordOpener: Debug + Send {
    /// Opens the record at the head, whose number is `seq`, into the start of `out`.
    ///
    /// # Errors
    /// As [`TrafficKey::open`].
    fn open(
        &mut self,
        key: &TrafficKey,
        seq: u64,
        record: &mut [u8],
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error>;

    /// The record at the head, of `len` bytes, was opened, and its number is spent.
    fn spent(&mut self, len: usize);

    /// A KeyUpdate was opened: no record behind it is opened before the next key.
    fn key_update_read(&mut self);

    /// Another key is in use now than `past`, under which the next record would have had the number `seq`.
    fn replaced(&mut self, past: TrafficKey, seq: u64);
}

impl SocketRx {
    /// From now on `opener` opens the records.
    pub fn open_by(&mut self, opener: Box<dyn RecordOpener>) {
        self.opener = Some(opener);
    }
}
