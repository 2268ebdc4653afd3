//! What a Linux TCP socket with the tls ULP does, as pure logic: the kernel face.
//!
//! Rules are cited by their numbers in `docs/kernel-rules.md`. [`SocketTx`] and [`SocketRx`] are one
//! direction each and share nothing but [`SocketShared`]; [`options`] are the checks of `setsockopt` and
//! `getsockopt`, [`call`] those of one send or receive call.

pub mod call;
mod fault;
mod info;
pub mod options;
mod queued_record;
mod receive;
mod rx;
mod source;
mod target;
mod tx;

pub use fault::{CallFault, SockError};
pub use info::{DirectionConf, UlpInfo};
pub use queued_record::{JobSealer, KeptBytes, QueuedPlaintext, QueuedRecord};
use receive::RecordAdmission;
pub use receive::{ReceiveCall, ReceiveResult};
pub use rx::{NoBytesReason, NoPad, OpenAheadOutcome, ReceiveStep, RecordOpener, SocketRx};
pub use source::SendBuffers;
pub use target::{BehindPlaintext, ReceiveBuffers};
pub use tx::{PartialRecord, RecordFramer, SocketTx};

use std::sync::Arc;

use crate::stats::Stats;

/// What both directions of one socket share.
#[derive(Debug, Default)]
pub struct SocketShared {
    /// `sk_err`
    pub error: SockError,
    /// Where this socket counts.
    pub stats: Arc<Stats>,
}
