//! The kernel face: the behaviour of a Linux TCP socket with the tls ULP, without a socket.
//!
//! Rules are cited by their numbers in `docs/kernel-rules.md`. [`SocketTx`] and [`SocketRx`] are
//! one direction each and share only [`SocketShared`]. [`options`] checks the arguments of
//! `setsockopt` and `getsockopt`; [`call`] checks those of one send or receive call.

pub mod call;
mod fault;
mod info;
pub mod options;
mod queued_record;
mod recv_call;
mod rx;
mod source;
mod target;
mod tx;

pub use fault::{CallFault, SockError};
pub use info::{DirectionConf, UlpInfo};
pub use queued_record::{JobSealer, KeptBytes, QueuedPlaintext, QueuedRecord};
use recv_call::RecordAdmission;
pub use recv_call::{ReceiveCall, ReceiveResult};
pub use rx::{NoBytesReason, NoPad, OpenAheadOutcome, ReceiveStep, RecordOpener, SocketRx};
pub use source::SendBuffers;
pub use target::{BehindPlaintext, ReceiveBuffers};
pub use tx::{PartialRecord, RecordFramer, SocketTx};

use std::sync::Arc;

use crate::stats::Stats;

/// The state that both directions of one socket share.
#[derive(Debug, Default)]
pub struct SocketShared {
    /// The value of `sk_err`.
    pub error: SockError,
    /// The counters of this socket.
    pub stats: Arc<Stats>,
}
