//! Several records opened or sealed in one call of the AEAD.
//!
//! # Theory of operation
//!
//! A key that implements [`Interleaved`](crate::aead::Interleaved) processes several records at
//! once, which takes far less time per record than one after the other. Records that are processed
//! together are a *group*, of at most [`MAX_GROUP`]. Sealing a group is simple: its sequence
//! numbers are taken first, and nothing can fail after that. Opening is more difficult: the type,
//! padding and authenticity of a record are known only after it was opened, and its receiver may
//! not want it yet.
//!
//! **Opening.** [`GroupOpener::open`] finds whole records by their headers alone, and opens them
//! side by side into the caller's buffer, where each takes the room of its inner plaintext. It
//! consumes nothing: no sequence number is spent and no byte of the wire is taken. `saves_time`
//! decides whether a group is opened at all.
//!
//! **The cursor.** [`OpenedGroup`] returns the opened records in order. Its user only decides for
//! each record whether it is wanted now. [`GroupRecord::accept`] leaves the plaintext in the
//! buffer, behind the plaintext accepted before; [`GroupRecord::move_out`] moves it elsewhere. The
//! user spends the sequence number of each such record and takes the record off the wire. At the
//! first record that is not wanted, the user drops the cursor: for example because a KeyUpdate was
//! read, because the call may return only one type, or because the record is too long. The records
//! from there on stay sealed on the wire, and are opened again when they are wanted. The result is
//! the same as if the records had been opened one by one. The cursor also ends at a record that is
//! all padding, which is then opened alone and reported as an error.
//!
//! **Padding.** If padding lies between two plaintexts, the cursor moves the later plaintext down
//! to the end of the earlier one. The content type of TLS 1.3 leaves no such gap: the AEAD stores
//! the last byte of each inner plaintext separately (see [`InnerJob`](crate::aead::InnerJob)).
//!
//! **Wiping.** After that, the caller's buffer holds bytes that the caller must not see: padding,
//! and plaintext that was opened and not accepted, whose record still counts as unread. Behind a
//! KeyUpdate it would even be data of a key that is no longer valid. Dropping the cursor overwrites
//! everything behind the accepted plaintext with zeros. Only `Drop` does this, so that no early
//! return can forget it.
//!
//! **Group size.** Records that are opened and not wanted cost time: a peer that alternates record
//! types could make each record be opened up to 16 times. Dropping the cursor therefore adapts the
//! [`GroupSize`]. After a group with unwanted records, the next group is one record; after a group
//! in which every record was wanted, the next may be twice as large.

mod open;
mod seal;
mod size;
mod wiping_cursor;

pub(crate) use open::GroupOpener;
pub(crate) use seal::seal_group;
pub(crate) use size::GroupSize;
pub(crate) use wiping_cursor::{GroupRecord, OpenedGroup};

/// The most records that an interleaved key processes in one call.
pub(crate) const MAX_GROUP: usize = 16;

/// The lengths of a record in a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordSpan {
    /// Bytes on the wire.
    pub(crate) wire_len: usize,
    /// Bytes of inner plaintext, without the content type of an unpadded record of TLS 1.3.
    pub(crate) room: usize,
    /// The content type. In TLS 1.3 it is the last byte of the inner plaintext, which is 0 if the
    /// record is padded.
    record_type: u8,
}
